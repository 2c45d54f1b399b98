// SPDX-License-Identifier: Apache-2.0
#include "counts.h"

#include <algorithm>

#include "caxton/analysis/limits.h"

namespace caxton::analysis {
namespace {
constexpr int64_t kMsPerSecond = 1000;
constexpr double kNanosPerMillicore = 1e6;  // a second
double Ratio(double a, int64_t b) { return b == 0 ? 0 : a / static_cast<double>(b); }
}  // namespace

void Counts::Add(const Observation& o, const SlowLimits& limits) {
  if (o.verdict == RunVerdict::kShared) {
    ++shared;
    return;
  }
  ++runs;
  if (o.verdict == RunVerdict::kBad) {
    ++bad;
  } else {
    fuel += static_cast<double>(o.fuel);
  }
  for (size_t i = 0; i < kQuantiles; ++i) {
    if (o.latency_ns > limits[i]) ++slow[i];
  }
  latency.Add(o.latency_ns);
  memory_bytes = std::max(memory_bytes, o.memory_bytes);
  run_ns += o.run_ns;
  if (const int64_t second = o.at_ms / kMsPerSecond; second > last_second_) {
    seconds += std::min(second - last_second_, kCpuSpreadSeconds);
    last_second_ = second;
  }
}

double Counts::ErrorRate() const { return Ratio(static_cast<double>(bad), runs); }
double Counts::CpuMillis() const {
  return Ratio(static_cast<double>(run_ns) / kNanosPerMillicore, seconds);
}
double Counts::FuelMean() const { return Ratio(fuel, good()); }

ArmNumbers Counts::Numbers() const {
  return {.runs = runs,
          .bad = bad,
          .shared = shared,
          .error_rate = ErrorRate(),
          .p50_ns = latency.Quantile(0.50),
          .p95_ns = latency.Quantile(0.95),
          .p99_ns = latency.Quantile(0.99),
          .memory_bytes = memory_bytes,
          .cpu_millis = CpuMillis(),
          .fuel_mean = FuelMean()};
}

}  // namespace caxton::analysis
