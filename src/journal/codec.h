// SPDX-License-Identifier: Apache-2.0
//
// What the codecs of this module share beyond caxton/base/codec.h.
#pragma once

#include <cstring>
#include <string>

#include "caxton/base/codec.h"

namespace caxton::journal {

// How many elements follow, each of at least `min_bytes`: refused beyond `max`.
inline uint32_t ReadBoundedCount(ByteReader& in, size_t min_bytes, size_t max) {
  const uint32_t count = ReadCount(in, min_bytes);
  if (count <= max) return count;
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
