// SPDX-License-Identifier: Apache-2.0
//
// The router's limits. Those on what others make are tested at their edges, but for
// kMaxWaitingBytes: a test would need as much memory.
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
// Dead letters that are kept of an agent, until somebody retries or drops them. What waits by then
// may become one still (ADR 25).
inline constexpr uint64_t kMaxDeadLettersPerAgent = 100'000;
// Above this many bytes of waiting messages that one agent sent, a step of it that sends more than
// one message to agents is dead-lettered ("quota"). Sends never block: cycles of agents must not
// deadlock.
inline constexpr int64_t kOriginQuotaBytes = int64_t{256} << 20;

// Backoff: doubled from the first to the longest, then spread by the jitter, never above the
// longest.
inline constexpr int64_t kRetryFirstNs = 100'000'000;       // 100 ms
inline constexpr int64_t kRetryLongestNs = 60'000'000'000;  // 60 s
inline constexpr double kRetryJitter = 0.2;                 // +- share of the delay

inline constexpr int64_t kRefusedRetryAfterMs = 100;
// A ticket's low bits name the shard that gave it; the last two places are the mirror's and the
// replays'.
inline constexpr int kTicketShardBits = 6;
inline constexpr size_t kMaxShards = (size_t{1} << kTicketShardBits) - 2;
inline constexpr size_t kMaxDeferredReplies =
    100'000;  // requests whose reply will come in a later message
inline constexpr int64_t kDeferredReplyKeptNs = 3'600'000'000'000;  // an hour
inline constexpr size_t kMaxJoinedWaiters =
    100'000;  // callers that repeat a message still being handled

// For so long after its deadline a message with an idempotency key may be a repeat whose answer is
// kept: the hours that the journal keeps answers, and the one that was begun.
inline constexpr int64_t kRepeatsAfterDeadlineNs = int64_t{25} * 3'600 * 1'000'000'000;

// Copies for shadows, waiting and running. What is above these is dropped and counted.
inline constexpr int64_t kMaxMirroredPerAgent = 1024;
inline constexpr int64_t kMaxMirroredBytesPerAgent = int64_t{16} << 20;
inline constexpr int64_t kMaxMirroredBytes = int64_t{128} << 20;  // all agents
// Copies of one agent that its shadow runs at once: bounds what it may return, and how far its
// latencies are its own queue's.
inline constexpr size_t kMirrorWindow = 32;

// Handled messages that are kept for replays and validation, in memory; the oldest go first. Bytes
// are of encoded envelopes and kKeptOverheadBytes each, and every shard has an equal share of them.
inline constexpr size_t kMaxKeptMessageBytes = size_t{64} << 10;  // a larger one is not kept
inline constexpr size_t kMaxKeptPerAgent = 1000;                  // messages, in each shard
inline constexpr size_t kMaxKeptBytesPerAgent = size_t{8} << 20;
inline constexpr size_t kMaxKeptBytes = size_t{64} << 20;  // all agents
inline constexpr size_t kKeptOverheadBytes = 160;
static_assert(kMaxKeptBytesPerAgent / kMaxShards > kMaxKeptMessageBytes + kKeptOverheadBytes,
              "a shard's share holds at least one message of any size that is kept");
// Messages of one replay that run at once.
inline constexpr size_t kReplayWindow = 32;
// A message whose run has killed as many workers of its revision has failed there.
inline constexpr int kReplayKills = 2;

}  // namespace caxton::router
