// SPDX-License-Identifier: Apache-2.0
//
// What the codecs of records share. Every record starts with a format byte, so that a later form
// can be told from this one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "caxton/base/wire.h"

namespace caxton {

inline constexpr uint8_t kRecordFormat = 1;

inline void ReadFormat(ByteReader& in) {
  if (in.U8() != kRecordFormat) in.Fail();
}

// Enums on the wire are one byte, numbered from 0 without gaps.
template <typename Enum>
Enum ReadEnum(ByteReader& in, uint8_t count) {
  const uint8_t value = in.U8();
  if (value < count) return static_cast<Enum>(value);
  in.Fail();
  return static_cast<Enum>(0);
}

// How many records follow, each of at least `min_bytes`: a count that the input cannot hold is
// malformed before anything is allocated for it.
inline uint32_t ReadCount(ByteReader& in, size_t min_bytes) {
  const uint32_t count = in.U32();
  if (!in.ok() || count > in.remaining() / min_bytes) {
    in.Fail();
    return 0;
  }
  return count;
}

using StringPairs = std::vector<std::pair<std::string, std::string>>;
inline constexpr size_t kMinPairBytes = 8;  // two length prefixes

template <typename Pairs>
void WritePairs(const Pairs& pairs, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(pairs.size()));
  for (const auto& [name, value] : pairs) {
    out.Bytes(name);
    out.Bytes(value);
  }
}

inline StringPairs ReadPairs(ByteReader& in) {
  StringPairs pairs;
  const uint32_t count = ReadCount(in, kMinPairBytes);
  pairs.reserve(count);
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string name = in.BytesCopy();
    pairs.emplace_back(std::move(name), in.BytesCopy());
  }
  return pairs;
}

}  // namespace caxton
