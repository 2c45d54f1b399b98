// SPDX-License-Identifier: Apache-2.0
//
// The journal's limits. Those on what others make are tested at their edges.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::journal {

inline constexpr uint32_t kFormatVersion = 6;
inline constexpr uint32_t kOldestFormatVersion = 6;  // older ones were never released

inline constexpr size_t kMaxRoundOps = 256;
inline constexpr size_t kMaxRoundBytes = 1 << 20;
// Where a sync takes longer than kGatherFromNanos, the next round waits for those it answered, a
// quarter of the excess.
inline constexpr int64_t kGatherFromNanos = 1'000'000;
inline constexpr int64_t kMaxGatherNanos = 2'000'000;
inline constexpr size_t kMinGatherOps = 8;
inline constexpr size_t kFewOps =
    2;  // a round of no more may spare some microseconds for its callbacks
inline constexpr uint64_t kMaxUnsyncedRounds =
    256;                                         // then one is synced though nobody waits for it
inline constexpr size_t kMaxAttemptsKept = 16;   // per held message or dead letter
inline constexpr size_t kMaxWithdrawnKept = 64;  // per agent, in its route record

inline constexpr uint32_t kIdemHoursKept = 24;
inline constexpr uint64_t kDefaultMaxIdemBytes = uint64_t{256} << 20;
inline constexpr uint64_t kDefaultMaxRetainedBytes = uint64_t{64} << 20;  // per agent
inline constexpr uint64_t kDefaultDiskReserveBytes = uint64_t{512} << 20;
inline constexpr uint64_t kDiskCheckRounds = 64;
inline constexpr int64_t kDiskCheckNanos = 1'000'000'000;
inline constexpr int64_t kStallRetryMillis = 100;
inline constexpr uint64_t kRetainedTrimShare =
    64;  // trimming frees at least max_retained_bytes / this at once
inline constexpr uint64_t kMaxStarts = uint64_t{1} << 24;  // a Seq has 24 bits for the start count
inline constexpr uint64_t kMaxEvidencePerDeployment = 20'000'000;
inline constexpr uint8_t kMaxRemovalMode = 4;     // AgentRecord::removing at most
inline constexpr size_t kMaxIdemTextBytes = 512;  // of what a sender is told again

}  // namespace caxton::journal
