// SPDX-License-Identifier: Apache-2.0
//
// Limits of what a judge keeps, and the constants of its tests that are not the user's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::analysis {

// A shadow's report. Places where it differs; all beyond share the place "(other)".
inline constexpr size_t kMaxShadowPlaces = 128;
inline constexpr size_t kMaxShadowPathBytes = 256;
inline constexpr size_t kMaxPlacesPerMessage = 64;  // and "(other)"
inline constexpr size_t kShadowSamples = 3;         // kept of each place
inline constexpr size_t kShadowValueBytes = 200;    // of a sample's value
inline constexpr size_t kShadowIdBytes = 64;        // of a sample's message id
// A content beyond one of these is compared as bytes.
inline constexpr size_t kMaxComparedJsonBytes = size_t{256} << 10;
inline constexpr int kMaxComparedJsonDepth = 64;
// A replay of history: messages that only the candidate failed on which are kept with their cause.
inline constexpr size_t kHistoryFailures = 5;
inline constexpr size_t kHistoryDetailBytes = 500;
// A ratio decides nothing before it is the mean of as many pairs.
inline constexpr int64_t kShadowMinRatioPairs = 100;

// A second of traffic is closed once the clock is this far past its end: shards report a little out
// of order.
inline constexpr int64_t kSecondGraceMs = 1000;
// Latencies are kept exactly below 2^5 ns and within 1/32 above, up to 2^47 ns (39 hours).
inline constexpr int kHistogramPrecisionBits = 5;
inline constexpr int kHistogramMaxBits = 47;
// Different weights at which runs are kept apart; a plan has fewer (kMaxStages, full).
inline constexpr size_t kMaxWeights = 64;
// Keys with a bad event that are remembered; beyond, every second one is (bad_keys.h).
inline constexpr size_t kMaxBadKeys = size_t{1} << 16;
// Early promotion needs evidence that the candidate errs less than this times as often as stable.
inline constexpr double kEarlyRatio = 1.5;
// cpu: the multiple of the limit that a second counts for at most, and how many seconds without
// traffic dilute the one that ends them.
inline constexpr double kCpuCut = 4;
inline constexpr int64_t kCpuSpreadSeconds = 10;
// fuel_ratio: good runs that each arm needs, groups of keys that are compared, and how many of them
// must have a fair share of each arm's runs (fuel_comparison.h).
inline constexpr int64_t kMinFuelRuns = 100;
inline constexpr size_t kFuelGroups = 64;
inline constexpr double kMinFuelGroups = 8;

}  // namespace caxton::analysis
