// SPDX-License-Identifier: Apache-2.0
//
// Defaults and limits of deployments and of the file that describes them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::deployment {

// The deployment file.
inline constexpr size_t kMaxFileBytes = 1 << 20;
inline constexpr size_t kMaxFileDepth = 16;      // nested maps and lists
inline constexpr size_t kMaxFileNodes = 20'000;  // every key, value, map and list
inline constexpr size_t kMaxFileFaults = 20;     // reported at once

// Plans.
inline constexpr int64_t kDefaultValidateLimitNs = int64_t{30} * 1'000'000'000;
inline constexpr int64_t kDefaultWarmUpLimitNs = int64_t{60} * 1'000'000'000;
inline constexpr int64_t kDefaultShadowNs = int64_t{600} * 1'000'000'000;
inline constexpr int64_t kDefaultCleanupNs = int64_t{300} * 1'000'000'000;
inline constexpr int64_t kSmallStageNs =
    int64_t{300} * 1'000'000'000;  // stages up to kSmallStagePpm
inline constexpr int64_t kLargeStageNs = int64_t{600} * 1'000'000'000;
inline constexpr uint32_t kSmallStagePpm = 50'000;  // 5 %
inline constexpr int64_t kDefaultMinSamples = 100;
inline constexpr double kDefaultErrorRateLimit = 0.05;
inline constexpr int64_t kMaxTimeScale = 1'000'000;
inline constexpr int64_t kMinStageNs = 1'000'000;  // what --time-scale leaves of a stage at least

// A stage that is not decided is looked at again after this part of its duration, to at most twice
// the duration.
inline constexpr int64_t kStageExtensionPart = 4;
inline constexpr int64_t kStageExtensionLimit = 2;

// Texts kept in a deployment's record (errors, verdicts, causes) are cut to this.
inline constexpr size_t kMaxRecordTextBytes = 8 << 10;
// Of what --allow-breaking let through.
inline constexpr size_t kMaxLetThrough = 32;
inline constexpr size_t kMaxLetThroughBytes = 1 << 10;  // each

}  // namespace caxton::deployment
