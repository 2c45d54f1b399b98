// SPDX-License-Identifier: Apache-2.0
#include "bad_keys.h"

#include "caxton/analysis/limits.h"

namespace caxton::analysis {
namespace {
// The finalizer of MurmurHash3 (Appleby): the arm is drawn by the hash modulo a million, the sample
// by other bits.
uint64_t Mix(uint64_t h) {
  h ^= h >> 33;
  h *= 0xff51afd7ed558ccdu;
  h ^= h >> 33;
  h *= 0xc4ceb9fe1a85ec53u;
  return h ^ (h >> 33);
}
}  // namespace

bool BadKeys::InSample(uint64_t key_hash) const {
  return halvings_ == 0 || (Mix(key_hash) >> (64 - halvings_)) == 0;
}

bool BadKeys::First(uint64_t key_hash) {
  if (!InSample(key_hash) || !seen_.insert(key_hash).second) return false;
  if (seen_.size() <= kMaxBadKeys) return true;
  // 63 halvings would take more keys than there are.
  if (halvings_ < 63) ++halvings_;
  absl::erase_if(seen_, [this](uint64_t key) { return !InSample(key); });
  return InSample(key_hash);
}

}  // namespace caxton::analysis
