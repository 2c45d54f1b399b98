// SPDX-License-Identifier: Apache-2.0
#include "histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "caxton/analysis/limits.h"

namespace caxton::analysis {
namespace {
constexpr uint64_t kSubBuckets = uint64_t{1} << kHistogramPrecisionBits;
constexpr uint64_t kLargest = (uint64_t{1} << kHistogramMaxBits) - 1;
}  // namespace

size_t Histogram::BucketOf(uint64_t value) {
  if (value < kSubBuckets) return value;
  const int shift = std::bit_width(value) - 1 - kHistogramPrecisionBits;
  // The leading bit is always set; the bits after it choose within the power of two.
  return static_cast<size_t>(shift + 1) * kSubBuckets + ((value >> shift) - kSubBuckets);
}

int64_t Histogram::MiddleOf(size_t bucket) {
  if (bucket < kSubBuckets) return static_cast<int64_t>(bucket);
  const uint64_t shift = bucket / kSubBuckets - 1;
  const uint64_t low = (kSubBuckets + bucket % kSubBuckets) << shift;
  return static_cast<int64_t>(low + (uint64_t{1} << shift) / 2);
}

void Histogram::Add(int64_t nanoseconds) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(nanoseconds, 0));
  const size_t bucket = BucketOf(std::min(value, kLargest));
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++count_;
}

int64_t Histogram::Quantile(double q) const {
  if (count_ == 0) return 0;
  const auto rank = std::clamp<int64_t>(
      static_cast<int64_t>(std::ceil(q * static_cast<double>(count_))), 1, count_);
  int64_t seen = 0;
  for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return MiddleOf(bucket);
  }
  return MiddleOf(counts_.size() - 1);
}

}  // namespace caxton::analysis
