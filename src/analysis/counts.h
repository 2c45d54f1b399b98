// SPDX-License-Identifier: Apache-2.0
//
// Counts: the plain numbers of one arm, or of the candidate at one weight. A value; one thread at a
// time.
#pragma once

#include <array>
#include <cstdint>

#include "caxton/analysis/judge.h"
#include "caxton/model/evidence.h"
#include "histogram.h"

namespace caxton::analysis {

// The latency conditions a plan may have, one of each at most: p50, p95, p99.
inline constexpr size_t kQuantiles = 3;
using SlowLimits = std::array<int64_t, kQuantiles>;  // nanoseconds

struct Counts {
  int64_t runs = 0, bad = 0, shared = 0;
  std::array<int64_t, kQuantiles> slow{};  // runs slower than the limit of each condition
  Histogram latency;
  uint64_t memory_bytes = 0;  // the largest
  int64_t run_ns = 0;
  int64_t seconds = 0;  // of the clock, with traffic or shortly before it (kCpuSpreadSeconds)
  double fuel = 0;      // of good runs
  // Each key's first bad event, while the comparison is on (comparison.h).
  int64_t events = 0, candidate_events = 0;

  void Add(const Observation& o, const SlowLimits& limits);
  int64_t good() const { return runs - bad; }
  double ErrorRate() const;
  double CpuMillis() const;  // mean over `seconds`
  double FuelMean() const;
  ArmNumbers Numbers() const;

 private:
  int64_t last_second_ = -1;
};

}  // namespace caxton::analysis
