// SPDX-License-Identifier: Apache-2.0
//
// What AssemblyScript's runtime imports from `env`: sdk/abi/abi.md, W10.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "caxton/base/clock.h"
#include "caxton/base/strings.h"
#include "caxton/wasm/limits.h"
#include "host_functions.h"

namespace caxton::wasm {
namespace {

constexpr std::string_view kEnvModule = "env";
constexpr uint32_t kSurrogateFirst = 0xd800;
constexpr uint32_t kSurrogateLow = 0xdc00;
constexpr uint32_t kSurrogateEnd = 0xe000;

void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out->push_back(static_cast<char>(0xc0 | (c >> 6)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else if (c < 0x10000) {
    out->push_back(static_cast<char>(0xe0 | (c >> 12)));
    out->push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  } else {
    out->push_back(static_cast<char>(0xf0 | (c >> 18)));
    out->push_back(static_cast<char>(0x80 | ((c >> 12) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3f)));
    out->push_back(static_cast<char>(0x80 | (c & 0x3f)));
  }
}

std::string Utf16ToUtf8(const uint8_t* units, size_t count) {
  const auto unit = [units](size_t i) {
    uint16_t value;
    std::memcpy(&value, units + 2 * i, sizeof value);
    return uint32_t{value};
  };
  std::string out;
  for (size_t i = 0; i < count && out.size() < kMaxAbortTextBytes; ++i) {
    uint32_t c = unit(i);
    if (c >= kSurrogateFirst && c < kSurrogateEnd) {
      const uint32_t low = c < kSurrogateLow && i + 1 < count ? unit(i + 1) : 0;
      if (low >= kSurrogateLow && low < kSurrogateEnd) {
        c = 0x10000 + ((c - kSurrogateFirst) << 10) + (low - kSurrogateLow);
        ++i;
      } else {
        c = '?';
      }
    }
    AppendUtf8(c, &out);
  }
  return out;
}

// A string of the language: UTF-16 at `ptr`, its length in bytes in the four before it. Empty where
// it is null or does not lie in memory.
std::string ScriptString(const HostState& state, uint32_t ptr) {
  if (ptr < 4) return "";
  const uint8_t* header = state.Bytes(ptr - 4, 4);
  if (header == nullptr) return "";
  uint32_t size = 0;
  std::memcpy(&size, header, sizeof size);
  const uint8_t* units = state.Bytes(ptr, size);
  return units == nullptr ? "" : Utf16ToUtf8(units, size / 2);
}

wasm_trap_t* Abort(HostState& state, Slots s) {
  std::string message = ScriptString(state, U32(s[0]));
  if (message.empty()) message = "no message";
  std::string file = ScriptString(state, U32(s[1]));
  if (file.empty()) file = "unknown file";
  return StopGuest(state, StopReason::kAbort,
                   StrCat("abort: ", message, " (", file, ":", U32(s[2]), ":", U32(s[3]), ")"));
}

// In [0, 1), of 53 random bits. The start function, too, may ask for it: AssemblyScript's top-level
// code runs there, and the values of initialization are fixed anyway.
void Seed(HostState& state, Slots s) {
  uint64_t bits = 0;
  uint8_t bytes[sizeof bits];
  state.random().Fill(bytes);
  std::memcpy(&bits, bytes, sizeof bits);
  s[0].f64 = static_cast<double>(bits >> 11) * 0x1p-53;
}

void DateNow(HostState& state, Slots s) {
  s[0].f64 = static_cast<double>(state.now() / kNanosPerMilli);
}

constexpr std::array kEnvFunctions = {
    HostFunction{{kEnvModule, "abort", "iiii:"}, &Entry<&Abort>},
    HostFunction{{kEnvModule, "seed", ":F"}, &Entry<&Seed>},
    HostFunction{{kEnvModule, "Date.now", ":F"}, &Entry<&DateNow>},
};

}  // namespace

std::span<const HostFunction> EnvFunctions() { return kEnvFunctions; }

}  // namespace caxton::wasm
