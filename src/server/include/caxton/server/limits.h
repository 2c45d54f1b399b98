// SPDX-License-Identifier: Apache-2.0
//
// The server's limits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::server {

inline constexpr int64_t kStopLimitNs = 10'000'000'000;  // for running steps, at a graceful stop
inline constexpr size_t kLogLinesPerAgent = 2000;        // kept for `caxton agent logs`
inline constexpr size_t kLogBytesPerAgent = 512 << 10;
inline constexpr size_t kMaxConfigBytes = 64 << 10;
inline constexpr int64_t kMaxTimeScale = 1'000'000;
inline constexpr size_t kHttpThreads = 2;
inline constexpr size_t kMaxHttpRequestBytes = 64 << 10;

inline constexpr int64_t kMostDeployments = 10'000;  // --max-deployments at most

}  // namespace caxton::server
