// SPDX-License-Identifier: Apache-2.0
//
// The controller's limits. What bounds a number of things that others make is tested at its edge,
// but for kMaxAgents: so many take minutes to deploy.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::controller {

inline constexpr size_t kMaxAgents = 20'000;
inline constexpr size_t kMaxArtifactsPerAgent = 10;  // revisions a rollback can return to
inline constexpr size_t kMaxDeploymentsPerAgent =
    100;  // kept on record; the oldest final ones go first
// Deployments between VALIDATING and RUNNING at once, over all agents; the rest waits its turn.
inline constexpr size_t kDefaultMaxDeployments = 32;
inline constexpr size_t kMaxGroup = 16;  // agents that are switched together
inline constexpr size_t kMaxWatchers = 10'000;
inline constexpr int64_t kTickNs = 1'000'000'000;  // progress to the journal, judge and watchers
inline constexpr int64_t kDrainPollNs = 2'000'000;
inline constexpr int64_t kBusyPollNs = 2'000'000;  // until a record is on the disk
inline constexpr int kMaxReadPolls = 500;          // a read waits for a record at most a second
inline constexpr size_t kMaxWaitingCommands = 64;  // per deployment, while a record is written
// A candidate without a healthy worker for longer than this fails its stage, or is withdrawn in its
// cleanup window.
inline constexpr int64_t kUnwellNs = 30'000'000'000;
inline constexpr int64_t kWellPollNs = 2'000'000;  // until a warm candidate's first health check
inline constexpr int64_t kDefaultDrainNs = 30'000'000'000;  // where a drain has no bound of its own
inline constexpr int64_t kMaxDrainNs = 600'000'000'000;
// Clean-up by age, of deployments that have ended: their evidence and comparisons, then record,
// revision, module and native code. What a rollback can return to stays whatever its age.
inline constexpr int64_t kDefaultKeepEvidenceNs = int64_t{7 * 24} * 3'600'000'000'000;
inline constexpr int64_t kDefaultKeepEndedNs = int64_t{30 * 24} * 3'600'000'000'000;
inline constexpr int64_t kMinKeepNs = 60'000'000'000;
// A module that was uploaded or validated and that no revision names.
inline constexpr int64_t kUnnamedModuleKeptNs = int64_t{24} * 3'600'000'000'000;
inline constexpr int64_t kCleanUpPeriodNs = 3'600'000'000'000;
inline constexpr size_t kMaxCleanedAtOnce = 256;  // deployments in one write; the rest follows
// A replay of history: until its workers are warm, and then for all of its messages.
inline constexpr int64_t kReplayWarmUpNs = 60'000'000'000;
inline constexpr int64_t kReplayLimitNs = 60'000'000'000;
inline constexpr int64_t kPrepareGraceNs =
    5'000'000'000;  // for a restart's StartRevision, on top of warm_up

// Commands kept for repeats, by idempotency key. Above these the oldest is forgotten.
inline constexpr size_t kMaxIdempotencyKeyBytes = 128;
inline constexpr size_t kMaxCommandsKept = 10'000;
inline constexpr size_t kMaxCommandsKeptBytes = size_t{32} << 20;  // keys, digests and answers
inline constexpr int64_t kCommandsKeptNs = int64_t{24} * 3'600 * 1'000'000'000;
inline constexpr size_t kMaxCommandsRunning = 1'000;  // with a key, without an answer yet
inline constexpr size_t kMaxRepeatsWaiting = 64;      // for the answer to one command

}  // namespace caxton::controller
