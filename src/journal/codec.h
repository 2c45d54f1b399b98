// SPDX-License-Identifier: Apache-2.0
//
// What the codecs of this module share. Every value starts with a format byte, so that a later form
// can be told from this one; a nested record is length-prefixed.
#pragma once

#include <cstring>
#include <string>

#include "caxton/base/wire.h"

namespace caxton::journal {

inline constexpr uint8_t kRecordFormat = 1;

inline void ReadFormat(ByteReader& in) {
  if (in.U8() != kRecordFormat) in.Fail();
}

// Enums on the disk are one byte, numbered from 0 without gaps.
template <typename Enum>
Enum ReadEnum(ByteReader& in, uint8_t count) {
  const uint8_t value = in.U8();
  if (value < count) return static_cast<Enum>(value);
  in.Fail();
  return static_cast<Enum>(0);
}

// How many elements follow: refused beyond `max`, before anything is allocated for them.
inline uint32_t ReadCount(ByteReader& in, size_t max) {
  const uint32_t count = in.U32();
  if (in.ok() && count <= max) return count;
  in.Fail();
  return 0;
}

// Appends what `encode(out)` appends, with its length before it; nothing is copied twice.
template <typename Encode>
void WriteNested(std::string* out, Encode encode) {
  const size_t at = out->size();
  out->append(sizeof(uint32_t), '\0');
  encode(out);
  const auto size = static_cast<uint32_t>(out->size() - at - sizeof(uint32_t));
  std::memcpy(out->data() + at, &size, sizeof size);
}

}  // namespace caxton::journal
