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
inline constexpr size_t kCommitTimesKept = 1024;  // for `caxton server status`
// How long a scrape waits for the controller's list; then it shows the numbers of the last one.
inline constexpr int64_t kScrapeWaitNs = 250'000'000;
// Comparing copies yields to the strands of messages.
inline constexpr int kMirrorNice = 10;
inline constexpr size_t kMaxConfigBytes = 64 << 10;
inline constexpr int64_t kMaxTimeScale = 1'000'000;
// HTTP. One request per connection; a call waits on its thread, so fewer calls than threads:
// metrics and health are answered however many calls wait.
inline constexpr size_t kHttpThreads = 16;
inline constexpr size_t kMaxHttpQueuedConnections = 64;
inline constexpr size_t kMaxHttpCalls = 12;                       // at once, reading included
inline constexpr size_t kMaxHttpBodiesBytes = size_t{256} << 20;  // of all calls together
inline constexpr int64_t kMaxHttpBodyReadNs = 60'000'000'000;     // from the head to the end
inline constexpr int64_t kHttpIoTimeoutSeconds = 5;               // without a byte, either way
inline constexpr int64_t kHttpRetryAfterMs = 200;                 // told where there are too many

inline constexpr int64_t kMostDeployments = 10'000;  // --max-deployments at most

}  // namespace caxton::server
