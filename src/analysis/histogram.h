// SPDX-License-Identifier: Apache-2.0
//
// Counts of durations in buckets whose width is 1/32 of their value, so that a quantile is at most
// 3 % off. A value; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace caxton::analysis {

class Histogram {
 public:
  void Add(int64_t nanoseconds);
  // The middle of the bucket that holds the observation of rank ceil(q * count); 0 where there is
  // none.
  int64_t Quantile(double q) const;
  int64_t count() const { return count_; }

 private:
  static size_t BucketOf(uint64_t value);
  static int64_t MiddleOf(size_t bucket);

  std::vector<int64_t> counts_;  // grows to the largest bucket used
  int64_t count_ = 0;
};

}  // namespace caxton::analysis
