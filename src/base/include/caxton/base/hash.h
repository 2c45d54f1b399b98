// SPDX-License-Identifier: Apache-2.0
//
// The two hashes Caxton uses. SHA-256 names contents (modules, effects, seeds); SipHash-2-4
// (Aumasson & Bernstein 2012) under a secret 128-bit salt routes keys, so that nobody can aim
// traffic at a canary.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace caxton {

// A SHA-256 digest. Value; all zero means "none".
struct Digest {
  std::array<uint8_t, 32> bytes{};

  // 64 lower-case hex digits, with no prefix.
  std::string ToHex() const;
  static absl::StatusOr<Digest> FromHex(std::string_view hex);
  bool empty() const;

  friend auto operator<=>(const Digest&, const Digest&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Digest& d) {
    return H::combine(std::move(h), d.bytes);
  }
};

Digest Sha256(std::string_view data);

using Salt = std::array<uint8_t, 16>;
uint64_t SipHash24(const Salt& salt, std::string_view data);

std::string HexEncode(std::string_view bytes);

}  // namespace caxton
