// SPDX-License-Identifier: Apache-2.0
//
// DeploymentStatus: all that is known of one deployment, as the journal keeps it. A value. Changed
// by Apply (state_machine.h) and by nothing else, but for the fields said below to be the
// controller's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "caxton/base/hash.h"
#include "caxton/deployment/plan.h"
#include "caxton/deployment/verdict.h"
#include "caxton/model/ids.h"

namespace caxton::deployment {

enum class DeploymentState : uint8_t {
  kValidating = 0,
  kDeploying = 1,
  kRunning = 2,
  kDraining = 3,
  kFailed = 4,
  kRolledBack = 5,
};
inline constexpr uint8_t kDeploymentStateCount = 6;
std::string_view DeploymentStateName(DeploymentState state);  // "VALIDATING", ...

// Why the stage's clock stands.
enum class PauseReason : uint8_t {
  kNone = 0,
  kCommand = 1,
  kStageEnd = 2,  // the stage says pause: true and has passed
  kInconclusive =
      3,  // not enough messages, or estimates beyond a limit, at twice the stage's duration
  kJudgeError = 4,
};
inline constexpr uint8_t kPauseReasonCount = 5;
std::string_view PauseReasonName(PauseReason reason);

// Why a deployment ended (or is about to).
enum class EndCause : uint8_t {
  kNone = 0,
  kValidation = 1,
  kPrepare = 2,  // no healthy worker in time
  kJudge = 3,
  kInconclusive = 4,  // and on_inconclusive: rollback
  kRollback = 5,      // by command
  kAbort = 6,         // by command
  kSuperseded = 7,    // by a newer deployment
  kRemoved = 8,       // with its agent
  kShadowOver = 9,    // a shadow's time is over
  kGroup = 10,        // another deployment of its group failed or was taken back
  kHistory = 11,      // messages of the past, which stable handles, fail on it
};
inline constexpr uint8_t kEndCauseCount = 12;
std::string_view EndCauseName(EndCause cause);

// Time from the decision to roll back to the end of each phase, 0: not reached. The controller's.
struct RollbackPhases {
  int64_t diverted_ns = 0;     // no further dispatch to the withdrawn revision
  int64_t interrupted_ns = 0;  // its running steps interrupted, or drained
  int64_t restored_ns = 0;     // record durable, stable serves all
  int64_t redelivered_ns = 0;  // the interrupted messages dispatched again
  int64_t cleaned_ns = 0;      // its workers gone
  friend bool operator==(const RollbackPhases&, const RollbackPhases&) = default;
};

struct DeploymentStatus {
  // Given at creation.
  DeploymentId id;
  std::string agent;
  std::string label;  // --version
  Digest module;
  RevisionRef candidate;
  RevisionRef stable;  // number 0: there was none; set again when a queued deployment starts
  DeploymentPlan plan;
  DeploymentSpec spec;  // what was asked for; the plan is made of it, a retry's anew
  Salt salt{};          // 128 random bits, never reused
  // Deployments that are switched in one route change, this one included; empty: on its own.
  std::vector<DeploymentId> group;
  std::string allowed_by;  // who let broken and undecided contracts through; empty: nobody did

  DeploymentState state = DeploymentState::kValidating;
  bool queued = false;
  bool prepared = false;         // DEPLOYING: the candidate is warm and has traffic
  uint32_t stage = 0;            // index into plan.stages; plan.stages.size(): full
  int64_t stage_elapsed_ns = 0;  // excludes pauses and downtime; may lag by 1 s, never leads
  PauseReason paused = PauseReason::kNone;
  bool judge_skipped = false;  // by `promote --full`
  bool rolling_back = false;   // `rollback --drain`: diverted, withdrawn once drained
  int64_t drain_ns = 0;
  bool withdrawn = false;
  bool restores = false;   // a rollback's: what it replaces is rolled back
  bool drained = false;    // DRAINING: final
  bool finalized = false;  // RUNNING: the cleanup window is over
  int64_t cleanup_elapsed_ns = 0;
  Verdict verdict;
  Verdict history;  // of the replay before traffic; none: not asked for, or not decided
  EndCause cause = EndCause::kNone;
  std::string error;  // validation, preparation: all faults

  // Another with every change but the progress of a clock, and never used twice, not even for a
  // change that a crash took back: one more, or the wall clock in ns where that is ahead.
  uint64_t generation = 0;
  int64_t created_ns = 0, updated_ns = 0, running_ns = 0, ended_ns = 0;  // wall clock; 0: not yet
  RollbackPhases rollback;                                               // the controller's
  std::vector<std::string> let_through;  // broken and undecided contracts; the controller's

  bool has_stable() const { return stable.number.valid(); }
  bool aborted() const { return cause == EndCause::kAbort; }
  // A judge watches the candidate (or a comparison the shadow): something to judge by, something
  // to roll back to, not skipped.
  bool judged() const {
    const bool watched =
        plan.strategy == Strategy::kShadow || plan.compare_errors || !plan.conditions.empty();
    return watched && has_stable() && !judge_skipped;
  }
  // What the candidate is now: kCanary where no stage runs.
  StageRole Role() const;
  // No event changes it any more.
  bool final() const;
  // The candidate's share of new messages now.
  uint32_t WeightPpm() const;
  // Left of the stage (or of its running extension), or of the cleanup window; 0 where no clock
  // runs.
  int64_t RemainingNs() const;

  friend bool operator==(const DeploymentStatus&, const DeploymentStatus&) = default;
};

// "dep-17" and back.
std::string DeploymentName(DeploymentId id);
absl::StatusOr<DeploymentId> ParseDeploymentName(std::string_view name);

void EncodeStatus(const DeploymentStatus& status, std::string* out);
absl::StatusOr<DeploymentStatus> DecodeStatus(std::string_view bytes);

}  // namespace caxton::deployment
