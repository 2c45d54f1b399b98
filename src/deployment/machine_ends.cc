// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::deployment {

using State = DeploymentState;

// ---- The ways out.

void Machine::EndWithoutTraffic(State to, EndCause cause) {
  s.cause = cause;
  const bool started = !s.queued;
  s.queued = false;
  MoveTo(to);
  if (started) Do(StopRevision{s.candidate});
  Do(RunNextQueued{});  // one that waited for a place on the server held its agent's turn
  Do(NotifyWatchers{});
}

void Machine::TakeBack(EndCause cause) {
  CAXTON_ASSERT(s.has_stable(), "a revision is withdrawn only where another can take over");
  Do(Withdraw{s.candidate, s.stable});
  Do(StopTimers{});
  if (s.judged() && !s.rolling_back) Do(StopJudge{});
  s.cause = cause;
  s.withdrawn = true;
  s.rolling_back = false;
  s.paused = PauseReason::kNone;
  out_.withdrawal = true;
  MoveTo(State::kRolledBack);
  Do(StopRevision{s.candidate});
  Do(RunNextQueued{});
  Do(NotifyWatchers{});
}

absl::Status Machine::CancelBeforeRunning(EndCause cause) {
  if (InState(State::kValidating)) {
    EndWithoutTraffic(State::kRolledBack, cause);
  } else if (!s.prepared) {
    EndWithoutTraffic(s.has_stable() ? State::kRolledBack : State::kFailed, cause);
  } else {
    TakeBack(cause);
  }
  return absl::OkStatus();
}

absl::Status Machine::On(const Abort& event) {
  if (InState(State::kValidating) || InState(State::kDeploying)) {
    s.error = CutText(event.why);
    return CancelBeforeRunning(event.cause);
  }
  return Refuse("NOT_DEPLOYING",
                StrCat("there is nothing to abort: it is ", DeploymentStateName(s.state)),
                StrCat("caxton agent rollback ", s.agent));
}

absl::Status Machine::On(const Rollback& event) {
  if (InState(State::kValidating) || (InState(State::kDeploying) && !s.prepared)) {
    s.error = CutText(event.why);
    return CancelBeforeRunning(EndCause::kRollback);
  }
  if (InState(State::kRunning) && !s.has_stable()) {
    return Refuse("NO_STABLE", "it is the agent's first revision: there is none to return to");
  }
  if (!InStages() && !InWindow()) {
    return Refuse("CLEANUP_OVER", StrCat("its cleanup window is over, the revision before it is ",
                                         "no longer warm: it is ", DeploymentStateName(s.state)));
  }
  // Asked again while it drains: the first one's words stand.
  if (!s.rolling_back) s.error = CutText(event.why);
  if (event.drain_ns <= 0) {
    TakeBack(EndCause::kRollback);
    return absl::OkStatus();
  }
  if (s.rolling_back) return absl::OkStatus();
  const bool judged = s.judged();
  s.rolling_back = true;
  s.drain_ns = event.drain_ns;
  s.paused = PauseReason::kNone;
  Changed();
  Do(StopTimers{});
  if (judged) Do(StopJudge{});
  Do(PublishRoute{s.stable, RevisionRef{}, 0});
  Do(DrainRevision{s.candidate, s.drain_ns});
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

absl::Status Machine::On(const CleanupElapsed& event) {
  if (!InState(State::kRunning) || s.rolling_back) return Stale("the end of cleanup");
  if (s.finalized) return absl::OkStatus();
  if (s.judged() && s.verdict.kind == VerdictKind::kNone && !event.report.text.empty()) {
    s.verdict =
        VerdictOf(event.report.passed() ? VerdictKind::kSuccessful : VerdictKind::kInconclusive,
                  event.report);
  }
  Do(StopTimers{});
  Finalize();
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

absl::Status Machine::On(const Superseded&) {
  if (!InState(State::kRunning) || s.rolling_back) return Stale("being superseded");
  if (!s.finalized) {
    Do(StopTimers{});
    if (s.judged()) Do(StopJudge{});
  }
  s.cause = EndCause::kSuperseded;
  MoveTo(State::kDraining);
  Do(DrainRevision{s.candidate, 0});
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

absl::Status Machine::On(const Drained&) {
  if (s.rolling_back) {
    TakeBack(EndCause::kRollback);
    return absl::OkStatus();
  }
  if (!InState(State::kDraining)) return Stale("the end of draining");
  s.drained = true;
  s.ended_ns = wall_ns_;
  Changed();
  Do(StopRevision{s.candidate});
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

// ---- After a restart: nothing of the effects is left, the record is.

void Machine::RecoverDeploying() {
  if (!s.prepared) {
    Do(Prepare{});
    return;
  }
  Do(StartRevision{s.stable});
  Do(StartRevision{s.candidate});
  if (s.judged()) Do(StartJudge{});
  Do(PublishRoute{s.stable, s.candidate, s.WeightPpm(), s.Role()});
  if (s.paused == PauseReason::kNone) Do(ArmStageTimer{s.RemainingNs()});
}

void Machine::RecoverRunning() {
  if (!s.finalized) Do(StartRevision{s.stable});
  Do(StartRevision{s.candidate});
  if (s.judged() && !s.finalized) Do(StartJudge{});
  PublishFull();
  if (!s.finalized) Do(ArmCleanupTimer{s.RemainingNs()});
}

absl::Status Machine::On(const Recovered&) {
  if (s.rolling_back) {  // what was to be drained died with the server
    TakeBack(EndCause::kRollback);
    return absl::OkStatus();
  }
  switch (s.state) {
    case State::kValidating:
      if (!s.queued) Do(Validate{});
      break;
    case State::kDeploying:
      RecoverDeploying();
      break;
    case State::kRunning:
      RecoverRunning();
      break;
    case State::kDraining:
      Do(DrainRevision{s.candidate, 0});
      break;
    case State::kFailed:
    case State::kRolledBack:
      break;
  }
  return absl::OkStatus();
}

}  // namespace caxton::deployment
