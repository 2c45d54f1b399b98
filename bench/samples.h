// SPDX-License-Identifier: Apache-2.0
//
// Samples: every latency of a run, exact quantiles, and the one line of JSON that each benchmark
// prints. A value; one thread at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace caxton::bench {

class Samples {
 public:
  void Add(int64_t ns) { ns_.push_back(ns); }
  size_t size() const { return ns_.size(); }

  // Nearest rank, in nanoseconds; 0 where there is none.
  int64_t Quantile(double q) {
    if (ns_.empty()) return 0;
    const auto rank =
        std::min(ns_.size() - 1, static_cast<size_t>(q * static_cast<double>(ns_.size())));
    std::nth_element(ns_.begin(), ns_.begin() + static_cast<std::ptrdiff_t>(rank), ns_.end());
    return ns_[rank];
  }

 private:
  std::vector<int64_t> ns_;
};

// `extra`: further members, each ", \"name\": value", or empty.
inline void PrintResult(Samples& samples, uint64_t count, int64_t elapsed_ns,
                        const char* extra = "") {
  const double per_second =
      elapsed_ns > 0 ? 1e9 * static_cast<double>(count) / static_cast<double>(elapsed_ns) : 0;
  std::printf(
      "{\"count\": %llu, \"elapsed_ns\": %lld, \"per_second\": %.1f, \"p50_ns\": %lld, "
      "\"p99_ns\": %lld, \"max_ns\": %lld%s}\n",
      static_cast<unsigned long long>(count), static_cast<long long>(elapsed_ns), per_second,
      static_cast<long long>(samples.Quantile(0.5)), static_cast<long long>(samples.Quantile(0.99)),
      static_cast<long long>(samples.Quantile(1)), extra);
}

}  // namespace caxton::bench
