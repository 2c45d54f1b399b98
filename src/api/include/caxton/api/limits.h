// SPDX-License-Identifier: Apache-2.0
//
// The API's limits. Those on what a caller sends or leaves unread are tested at their edges.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::api {

inline constexpr int kMaxRequestBytes = 68 << 20;  // a 64 MiB module and its request
inline constexpr size_t kMaxUploadFrameBytes = 1 << 20;
// Exchange. The stream is read no further above these, of items that are unanswered and of results
// that are not written; one frame more may have been taken by then.
inline constexpr size_t kMaxExchangeUnanswered = 4096;  // items and results
inline constexpr size_t kMaxExchangeUnansweredBytes = size_t{16} << 20;
// Frames in and out. A gRPC client takes 4 MiB by default; only a single larger result goes above.
inline constexpr size_t kMaxExchangeItemsPerFrame = 4096;  // above it the stream is ended
inline constexpr size_t kMaxExchangeResultsPerFrame = 512;
inline constexpr size_t kMaxExchangeFrameBytes = size_t{3} << 20;
// Replies may be larger than their requests: above so many bytes that the client leaves unread the
// stream is ended.
inline constexpr size_t kMaxExchangeUnreadBytes = size_t{64} << 20;
inline constexpr size_t kMaxRefusedKeysPerStream = 1024;  // above it the stream is ended
inline constexpr size_t kTailBatch = 128;                 // rows read at once
inline constexpr int32_t kDefaultPageSize = 100;
inline constexpr int32_t kMaxPageSize = 1000;
inline constexpr size_t kMaxLogLinesPerRead = 256;
inline constexpr int64_t kLogPollNs = 200'000'000;   // while a caller follows an agent's log
inline constexpr size_t kMaxRequestedByBytes = 128;  // what a caller says of itself
// HTTP/JSON. A body is longer than its message: base64 makes 4 bytes of 3.
inline constexpr size_t kMaxConnectBodyBytes = size_t{92} << 20;
inline constexpr int64_t kDefaultConnectTimeoutMs = 30'000;
inline constexpr int64_t kMaxConnectTimeoutMs = 300'000;  // a longer one is cut to it
// Transitions that a slow watcher has not been sent yet; of more it gets the newest.
inline constexpr size_t kMaxWatchBacklog = 16;
inline constexpr int64_t kStopGraceNs = 2'000'000'000;

}  // namespace caxton::api
