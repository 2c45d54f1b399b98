// SPDX-License-Identifier: Apache-2.0
//
// Limits of what a judge keeps.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::analysis {

// A second of traffic is closed once the clock is this far past its end: shards report a little out
// of order.
inline constexpr int64_t kSecondGraceMs = 1000;
// Latencies are kept exactly below 2^5 ns and within 1/32 above, up to 2^47 ns (39 hours).
inline constexpr int kHistogramPrecisionBits = 5;
inline constexpr int kHistogramMaxBits = 47;
// Different weights at which runs are kept apart; a plan has fewer (kMaxStages, full).
inline constexpr size_t kMaxWeights = 64;

}  // namespace caxton::analysis
