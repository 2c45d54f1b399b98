// SPDX-License-Identifier: Apache-2.0
//
// Small modules in the binary format, put together by hand: for builds without Wasmtime, which
// could assemble the text format.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace caxton::fuzz {

// A section: its number and its bytes, without the length.
using WasmSection = std::pair<char, std::string>;

inline std::string WasmModule(const std::vector<WasmSection>& sections) {
  std::string out("\0asm\1\0\0\0", 8);
  for (const auto& [id, bytes] : sections) {
    out.push_back(id);
    for (size_t size = bytes.size();; size >>= 7) {
      out.push_back(static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0)));
      if (size <= 0x7f) break;
    }
    out += bytes;
  }
  return out;
}

// A name with its length in front; shorter than 128 bytes.
inline std::string WasmName(std::string_view name) {
  return static_cast<char>(name.size()) + std::string(name);
}

}  // namespace caxton::fuzz
