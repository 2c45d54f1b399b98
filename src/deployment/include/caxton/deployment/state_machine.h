// SPDX-License-Identifier: Apache-2.0
//
// The deployment state machine: (status, event) -> (status, effects). Pure: no I/O, no clock, no
// randomness. The controller applies an event, journals the new status, carries out the effects in
// order, and feeds back what comes of them as further events. After a crash it decodes the status
// and applies Recovered.
//
//   VALIDATING -> DEPLOYING | FAILED | ROLLED_BACK
//   DEPLOYING  -> RUNNING | ROLLED_BACK | FAILED (no stable to return to)
//              -> DRAINING (a shadow whose time is over: it never serves)
//   RUNNING    -> DRAINING (superseded and cleaned up, or removed) | ROLLED_BACK
//   FAILED, ROLLED_BACK and a drained DRAINING are final. What is removed with its agent goes from
//   the record, in whatever state it is.
//
// The order of journal and effects (Transition::withdrawal):
//   * false: the record is durable BEFORE the first effect; giving traffic is never ahead of the
//   journal.
//   * true: the effects hold a Withdraw. It is carried out FIRST (table swapped, committer fenced),
//   the record goes
//     into the journal ahead of everything queued, and the remaining effects follow the record. A
//     crash in between loses the withdrawal and what it fenced, together: the deployment resumes
//     where it was.
//
// One agent, several deployments: while a newer deployment runs its stages, the older one is
// RUNNING and is the newer one's stable. Before the newer one gets traffic (Prepared) the
// controller ends the older one's cleanup window, if it is still open, with CleanupElapsed: a route
// names at most two revisions.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/deployment/status.h"

namespace caxton::deployment {

// ---- Events. What a person asked for is refused with FAILED_PRECONDITION where it makes no sense;
// a repeat of what has been done already is no error and has no effects.

struct Created {
  bool queued = false;  // the agent is busy with another deployment; starts with Dequeued
};
struct Dequeued {
  RevisionRef stable;   // of now
  DeploymentPlan plan;  // resolved again: there may be a stable revision by now
};
struct ValidationPassed {};
// The end of a replay of history, after everything else of the validation has passed: Failed ends
// the deployment before any traffic, everything else lets it go on.
struct HistoryReplayed {
  Verdict verdict;
};
struct ValidationFailed {
  std::string error;  // all faults
};
struct Prepared {};  // the candidate's workers are up and warm
struct PrepareFailed {
  std::string error;
};
// The timer of ArmStageTimer has fired. `report` is the judge's (a pass where there is none).
struct StageElapsed {
  int64_t elapsed_ns = 0;  // of the stage, in all
  StageReport report;
  bool early = false;  // `promote: early`: the evidence suffices before the stage's time is up
};
// Progress of the running clock (stage or cleanup), to be journaled about once a second. No
// effects.
struct Ticked {
  int64_t elapsed_ns = 0;
};
struct Promote {
  uint32_t from_stage = 0;  // the stage to be left; an earlier one: a repeat, nothing happens
  bool full = false;        // skips the stages and the judge
};
struct Pause {
  int64_t elapsed_ns = 0;  // of the stage when it was paused
};
struct Resume {};
struct Abort {
  EndCause cause = EndCause::kAbort;  // or kGroup: another of its group has failed
  std::string why;                    // kGroup: which; kAbort: as whoever asked for it says
};
struct Rollback {
  int64_t drain_ns = 0;  // > 0: running steps may commit for that long first
  std::string why = {};  // as whoever asked for it says; may be empty
};
struct JudgeVerdict {
  Verdict verdict;
};
struct CleanupElapsed {
  StageReport report;  // the judge's, of the whole deployment; no text: none
};
struct Superseded {};  // a newer deployment has ended its cleanup window
struct Drained {};     // what DrainRevision asked for is done
struct Recovered {};   // after a restart, once

using Event =
    std::variant<Created, Dequeued, ValidationPassed, ValidationFailed, Prepared, PrepareFailed,
                 StageElapsed, Ticked, Promote, Pause, Resume, Abort, Rollback, JudgeVerdict,
                 CleanupElapsed, Superseded, Drained, Recovered, HistoryReplayed>;
std::string_view EventName(const Event& event);

// ---- Effects, in the order in which they are to be carried out.

struct Validate {};  // -> ValidationPassed | ValidationFailed
struct Prepare {
};  // start and warm the candidate within plan.warm_up_*  -> Prepared | PrepareFailed
// Start a revision's workers without waiting: after a restart.
struct StartRevision {
  RevisionRef revision;
};
// The route of the agent. candidate 0: all to `stable`. Gives traffic: only after the record.
struct PublishRoute {
  RevisionRef stable, candidate;
  uint32_t weight_ppm = 0;
  StageRole role = StageRole::kCanary;  // what `candidate` is
};
// Fence the revision, route all to `restore`, interrupt its running steps. Takes traffic: before
// the record.
struct Withdraw {
  RevisionRef revision, restore;
};
struct ArmStageTimer {  // -> StageElapsed
  int64_t remaining_ns = 0;
};
struct ArmCleanupTimer {  // -> CleanupElapsed
  int64_t remaining_ns = 0;
};
struct StopTimers {};
struct StartJudge {};  // refolds the evidence there is -> JudgeVerdict
struct StopJudge {};
// Let the revision's running steps end, at most `limit_ns` (0: the server's own bound) -> Drained
struct DrainRevision {
  RevisionRef revision;
  int64_t limit_ns = 0;
};
struct StopRevision {  // stop its workers
  RevisionRef revision;
};
struct FinalizePrevious {  // apply Superseded to the RUNNING deployment of `revision`
  RevisionRef revision;
};
struct NotifyWatchers {};
struct RunNextQueued {};  // the agent may take the next deployment

using Effect = std::variant<Validate, Prepare, StartRevision, PublishRoute, Withdraw, ArmStageTimer,
                            ArmCleanupTimer, StopTimers, StartJudge, StopJudge, DrainRevision,
                            StopRevision, FinalizePrevious, NotifyWatchers, RunNextQueued>;
std::string_view EffectName(const Effect& effect);

struct Transition {
  DeploymentStatus status;
  std::vector<Effect> effects;
  bool changed = false;     // false: nothing to journal
  bool withdrawal = false;  // see above: the Withdraw goes before the record
};

// `wall_ns` is the time of the event, kept in the status for people. An error leaves everything as
// it was.
absl::StatusOr<Transition> Apply(const DeploymentStatus& status, const Event& event,
                                 int64_t wall_ns);

// The one table of legal transitions.
bool IsLegal(DeploymentState from, DeploymentState to);

}  // namespace caxton::deployment
