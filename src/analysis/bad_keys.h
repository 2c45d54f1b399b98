// SPDX-License-Identifier: Apache-2.0
//
// BadKeys: which keys have had their first attributed bad event of the deployment, on either arm.
// Bounded by kMaxBadKeys: when it is full, it keeps only every second key (by a hash of the key's
// hash, so independent of its arm), and from then on counts no others; and so again. What was in
// the sample is never forgotten, so that no key counts twice and the comparison stays valid; it
// goes on with half the events a second. A value; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_set.h"

namespace caxton::analysis {

class BadKeys {
 public:
  // True if this is the key's first, and the key is in the sample.
  bool First(uint64_t key_hash);
  size_t size() const { return seen_.size(); }
  int halvings() const { return halvings_; }

 private:
  bool InSample(uint64_t key_hash) const;

  absl::flat_hash_set<uint64_t> seen_;
  int halvings_ = 0;
};

}  // namespace caxton::analysis
