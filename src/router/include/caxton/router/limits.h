// SPDX-License-Identifier: Apache-2.0
//
// The router's limits. Each is tested at its edge.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::router {

// Ingress from outside is refused (RESOURCE_EXHAUSTED) above these; what is already accepted is
// never shed.
inline constexpr int64_t kMaxWaitingPerAgent = 100'000;  // messages
inline constexpr int64_t kMaxWaitingBytesPerAgent = int64_t{64} << 20;
inline constexpr int64_t kMaxWaitingBytes = int64_t{1} << 30;  // all agents
inline constexpr size_t kMaxJournalQueueBytes = size_t{64} << 20;
// Above this many bytes of waiting messages that one agent sent, a step of it that sends more than
// one message to agents is dead-lettered ("quota"). Sends never block: cycles of agents must not
// deadlock.
inline constexpr int64_t kOriginQuotaBytes = int64_t{256} << 20;

inline constexpr int64_t kRetryFirstNs = 100'000'000;       // backoff: 100 ms,
inline constexpr int64_t kRetryLongestNs = 60'000'000'000;  // doubled up to 60 s, with jitter
inline constexpr double kRetryJitter = 0.2;                 // +- share of the delay

inline constexpr int64_t kRefusedRetryAfterMs = 100;
// A ticket's low bits name the shard that gave it; the last place is the mirror's.
inline constexpr int kTicketShardBits = 6;
inline constexpr size_t kMaxShards = (size_t{1} << kTicketShardBits) - 1;
inline constexpr size_t kMaxDeferredReplies =
    100'000;  // requests whose reply will come in a later message
inline constexpr int64_t kDeferredReplyKeptNs = 3'600'000'000'000;  // an hour
inline constexpr size_t kMaxJoinedWaiters =
    100'000;  // callers that repeat a message still being handled

// Copies for shadows, waiting and running. What is above these is dropped and counted.
inline constexpr int64_t kMaxMirroredPerAgent = 1024;
inline constexpr int64_t kMaxMirroredBytesPerAgent = int64_t{16} << 20;
inline constexpr int64_t kMaxMirroredBytes = int64_t{128} << 20;  // all agents
// Copies of one agent that its shadow runs at once: bounds what it may return, and how far its
// latencies are its own queue's.
inline constexpr size_t kMirrorWindow = 32;

}  // namespace caxton::router
