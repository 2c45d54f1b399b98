// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/random.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "caxton/base/assert.h"

namespace caxton {

uint64_t RandomSource::Next64() {
  uint64_t value = 0;
  Fill({reinterpret_cast<uint8_t*>(&value), sizeof value});
  return value;
}

uint64_t RandomSource::Below(uint64_t bound) {
  CAXTON_ASSERT(bound > 0, "an empty range has no element");
  // Rejection keeps every value equally likely.
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t value = Next64();
  while (value >= limit) value = Next64();
  return value % bound;
}

void OsRandom::Fill(std::span<uint8_t> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = getrandom(out.data() + done, out.size() - done, 0);
    CAXTON_ASSERT(got >= 0 || errno == EINTR, "the kernel's random source always answers");
    if (got > 0) done += static_cast<size_t>(got);
  }
}

void SeededRandom::Fill(std::span<uint8_t> out) {
  for (size_t at = 0; at < out.size(); at += sizeof(uint64_t)) {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    std::memcpy(out.data() + at, &z, std::min(sizeof z, out.size() - at));
  }
}

}  // namespace caxton
