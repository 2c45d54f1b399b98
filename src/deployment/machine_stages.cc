// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/limits.h"
#include "caxton/model/limits.h"
#include "caxton/model/text.h"

namespace caxton::deployment {

using State = DeploymentState;

absl::Status Refuse(std::string_view reason, std::string_view why, std::string_view fix) {
  absl::Status status = WithReason(absl::FailedPreconditionError(AbslView(why)), reason);
  return fix.empty() ? status : WithFix(std::move(status), fix);
}

std::string CutText(std::string_view text) {
  return std::string(TruncateUtf8(text, kMaxRecordTextBytes));
}

void Machine::Changed() {
  out_.changed = true;
  s.updated_ns = wall_ns_;
}

void Machine::MoveTo(State to) {
  CAXTON_ASSERT(IsLegal(s.state, to), "the table of transitions allows it");
  CAXTON_ASSERT(
      !InState(State::kDeploying) || to != State::kDraining || s.plan.strategy == Strategy::kShadow,
      "only a shadow ends without having served");
  s.state = to;
  if (to == State::kRunning) s.running_ns = wall_ns_;
  if (s.final()) s.ended_ns = wall_ns_;
  Changed();
}

absl::Status Machine::Stale(std::string_view what) const {
  return Refuse("STALE_EVENT", StrCat(what, " does not concern a deployment that is ",
                                      DeploymentStateName(s.state), s.queued ? " (queued)" : ""));
}

// ---- The way up.

absl::Status Machine::On(const Created& event) {
  if (s.created_ns != 0 || !InState(State::kValidating)) return Stale("creation");
  s.created_ns = wall_ns_;
  s.queued = event.queued;
  Changed();
  if (!event.queued) Do(Validate{});
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

absl::Status Machine::On(const Dequeued& event) {
  if (!s.queued || !InState(State::kValidating)) return Stale("starting");
  s.queued = false;
  s.stable = event.stable;
  s.plan = event.plan;
  Changed();
  Do(Validate{});
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

absl::Status Machine::On(const ValidationPassed&) {
  if (!InState(State::kValidating) || s.queued) return Stale("validation");
  MoveTo(State::kDeploying);
  Do(Prepare{});
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

absl::Status Machine::On(const ValidationFailed& event) {
  if (!InState(State::kValidating) || s.queued) return Stale("validation");
  s.error = CutText(event.error);
  EndWithoutTraffic(State::kFailed, EndCause::kValidation);
  return absl::OkStatus();
}

absl::Status Machine::On(const HistoryReplayed& event) {
  if (!InState(State::kValidating) || s.queued) return Stale("a replay");
  s.history = {event.verdict.kind, CutText(event.verdict.text)};
  if (event.verdict.kind != VerdictKind::kFailed) return On(ValidationPassed{});
  s.error = s.history.text;
  EndWithoutTraffic(State::kFailed, EndCause::kHistory);
  return absl::OkStatus();
}

absl::Status Machine::On(const Prepared&) {
  if (!InState(State::kDeploying) || s.prepared) return Stale("preparation");
  if (s.plan.strategy == Strategy::kShadow && !s.has_stable()) {
    s.error = "there is nothing to shadow: no revision of this agent serves";
    EndWithoutTraffic(State::kFailed, EndCause::kPrepare);
    return absl::OkStatus();
  }
  s.prepared = true;
  if (s.judged()) Do(StartJudge{});
  // A first deployment has nothing to share the traffic with.
  if (s.plan.stages.empty() || !s.has_stable()) {
    GoFull({});
  } else {
    EnterStage(0);
  }
  return absl::OkStatus();
}

absl::Status Machine::On(const PrepareFailed& event) {
  if (InState(State::kDeploying) && !s.prepared) {
    s.error = CutText(event.error);
    EndWithoutTraffic(s.has_stable() ? State::kRolledBack : State::kFailed, EndCause::kPrepare);
    return absl::OkStatus();
  }
  // Its workers cannot be kept up: it is not well, and stable is.
  if (InStages() || InWindow()) {
    s.error = CutText(event.error);
    TakeBack(EndCause::kPrepare);
    return absl::OkStatus();
  }
  return Stale("preparation");
}

void Machine::EnterStage(uint32_t stage) {
  s.stage = stage;
  s.stage_elapsed_ns = 0;
  s.paused = PauseReason::kNone;
  s.verdict = {};
  Changed();
  Do(PublishRoute{s.stable, s.candidate, Stage().weight_ppm, Stage().role});
  Do(ArmStageTimer{Stage().duration_ns});
  Do(NotifyWatchers{});
}

Verdict Machine::VerdictOf(VerdictKind kind, const StageReport& report,
                           VerdictMoment moment) const {
  return {kind, CutText(report.text), {report.observations, report.at_ms, moment, s.stage}};
}

void Machine::Advance(Verdict passed) {
  Do(StopTimers{});
  if (s.stage + 1 < s.plan.stages.size()) {
    EnterStage(s.stage + 1);
  } else {
    GoFull(std::move(passed));
  }
}

void Machine::PublishFull() {
  // While a judge watches, stable stays beside it to take over what fails.
  if (s.judged() && !s.finalized) {
    Do(PublishRoute{s.stable, s.candidate, kFullWeightPpm});
  } else {
    Do(PublishRoute{s.candidate, RevisionRef{}, 0});
  }
}

void Machine::GoFull(Verdict passed) {
  s.stage = static_cast<uint32_t>(s.plan.stages.size());
  s.stage_elapsed_ns = 0;
  s.paused = PauseReason::kNone;
  // Where nothing is judged, a stage's report says nothing.
  s.verdict = passed.text.empty() ? Verdict{} : std::move(passed);
  MoveTo(State::kRunning);
  if (!s.has_stable() || s.plan.cleanup_ns <= 0) {
    Finalize();
  } else {
    PublishFull();
    Do(ArmCleanupTimer{s.plan.cleanup_ns});
  }
  Do(RunNextQueued{});
  Do(NotifyWatchers{});
}

void Machine::Finalize() {
  const bool judged = s.judged();
  s.finalized = true;
  s.cleanup_elapsed_ns = s.plan.cleanup_ns;
  Changed();
  if (judged) Do(StopJudge{});
  PublishFull();
  if (s.has_stable()) Do(FinalizePrevious{s.stable});
}

// ---- Stages: clock, judge, commands.

absl::Status Machine::On(const Ticked& event) {
  if (s.rolling_back || event.elapsed_ns < 0) return Stale("the clock");
  int64_t* elapsed = nullptr;
  int64_t most = 0;
  if (InStages() && s.paused == PauseReason::kNone) {
    elapsed = &s.stage_elapsed_ns;
    most = Stage().duration_ns * kStageExtensionLimit;
  } else if (InState(State::kRunning) && !s.finalized) {
    elapsed = &s.cleanup_elapsed_ns;
    most = s.plan.cleanup_ns;
  } else {
    return Stale("the clock");
  }
  const int64_t now = std::min(event.elapsed_ns, most);
  if (now <= *elapsed) return absl::OkStatus();
  *elapsed = now;
  Changed();
  return absl::OkStatus();
}

absl::Status Machine::On(const StageElapsed& event) {
  if (!InStages() || s.rolling_back || s.paused != PauseReason::kNone)
    return Stale("the stage's end");
  s.stage_elapsed_ns = std::max(s.stage_elapsed_ns, event.elapsed_ns);
  Changed();
  const int64_t duration = Stage().duration_ns;
  const bool early = event.early && s.plan.promote == PromoteWhen::kEarly &&
                     Stage().role == StageRole::kCanary && event.report.passed();
  if (s.stage_elapsed_ns < duration && !early) {  // a timer that came early decides nothing
    Do(ArmStageTimer{s.RemainingNs()});
  } else if (Stage().role == StageRole::kShadow) {
    EndShadow(event.report);
  } else if (event.report.passed() || Stage().role == StageRole::kPreview) {
    // No message has reached a preview: what follows it decides.
    Verdict passed;
    if (Stage().role != StageRole::kPreview) {
      passed = VerdictOf(VerdictKind::kSuccessful, event.report,
                         event.early ? VerdictMoment::kEarly : VerdictMoment::kStageEnd);
    }
    if (Stage().pause) {
      s.verdict = std::move(passed);
      StopClock(PauseReason::kStageEnd);
    } else {
      Advance(std::move(passed));
    }
  } else if (s.stage_elapsed_ns < duration * kStageExtensionLimit) {
    Do(ArmStageTimer{s.RemainingNs()});
    Do(NotifyWatchers{});
  } else {
    Inconclusive(PauseReason::kInconclusive, VerdictOf(VerdictKind::kInconclusive, event.report));
  }
  return absl::OkStatus();
}

// Its time is over. It never served, so nothing is given back but its workers.
void Machine::EndShadow(const StageReport& report) {
  s.verdict = VerdictOf(report.Kind(), report);
  if (s.verdict.kind == VerdictKind::kFailed) return TakeBack(EndCause::kJudge);
  Do(StopTimers{});
  Do(StopJudge{});
  Do(PublishRoute{s.stable, RevisionRef{}, 0});
  s.cause = EndCause::kShadowOver;
  MoveTo(State::kDraining);
  Do(DrainRevision{s.candidate, 0});
  Do(RunNextQueued{});
  Do(NotifyWatchers{});
}

void Machine::StopClock(PauseReason reason) {
  s.paused = reason;
  Changed();
  Do(StopTimers{});
  Do(NotifyWatchers{});
}

void Machine::Inconclusive(PauseReason pause, Verdict verdict) {
  s.verdict = std::move(verdict);
  // A judge that failed has no say: neither forward nor back without a person.
  if (pause == PauseReason::kJudgeError) return StopClock(pause);
  switch (s.plan.on_inconclusive) {
    case OnInconclusive::kPause:
      return StopClock(pause);
    case OnInconclusive::kRollback:
      return TakeBack(EndCause::kInconclusive);
    case OnInconclusive::kPromote:
      return Advance({});
  }
}

absl::Status Machine::On(const JudgeVerdict& event) {
  if (!s.judged() || s.rolling_back || !(InStages() || InWindow())) return Stale("a verdict");
  Verdict verdict{event.verdict.kind, CutText(event.verdict.text), event.verdict.basis};
  switch (verdict.kind) {
    case VerdictKind::kNone:
      return absl::InvalidArgumentError("a verdict of none is no verdict");
    case VerdictKind::kFailed:
      s.verdict = std::move(verdict);
      TakeBack(EndCause::kJudge);
      return absl::OkStatus();
    case VerdictKind::kSuccessful:
      break;
    case VerdictKind::kInconclusive:
    case VerdictKind::kError:
      if (!InStages()) break;
      Inconclusive(verdict.kind == VerdictKind::kError ? PauseReason::kJudgeError
                                                       : PauseReason::kInconclusive,
                   std::move(verdict));
      return absl::OkStatus();
  }
  s.verdict = std::move(verdict);
  Changed();
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

absl::Status Machine::On(const Promote& event) {
  if (s.rolling_back) return Refuse("ROLLING_BACK", "it is being rolled back");
  const bool leaves_done = event.from_stage < s.stage;
  if (InState(State::kRunning) || InStages()) {
    if (leaves_done) return absl::OkStatus();  // a repeat
  }
  if (!InStages()) {
    return Refuse("NOT_IN_STAGES",
                  StrCat("it has no stage to leave: it is ", DeploymentStateName(s.state)));
  }
  if (event.from_stage > s.stage) {
    return Refuse("WRONG_STAGE",
                  StrCat("it is in stage ", s.stage + 1, ", not in stage ", event.from_stage + 1));
  }
  // A shadow that is promoted becomes a deployment; what it was compared by says nothing about
  // live messages.
  if (!event.full && Stage().role != StageRole::kShadow) {
    Advance({});
    return absl::OkStatus();
  }
  Do(StopTimers{});
  if (s.judged()) Do(StopJudge{});
  s.judge_skipped = true;
  GoFull({});
  return absl::OkStatus();
}

absl::Status Machine::On(const Pause& event) {
  if (!InStages() || s.rolling_back) {
    return Refuse("NOT_IN_STAGES",
                  StrCat("no stage's clock runs: it is ",
                         s.rolling_back ? "being rolled back" : DeploymentStateName(s.state)));
  }
  if (s.paused != PauseReason::kNone) return absl::OkStatus();
  s.stage_elapsed_ns = std::max(s.stage_elapsed_ns, event.elapsed_ns);
  StopClock(PauseReason::kCommand);
  return absl::OkStatus();
}

absl::Status Machine::On(const Resume&) {
  if (!InStages() || s.rolling_back) {
    return Refuse("NOT_IN_STAGES",
                  StrCat("it is not paused: it is ", DeploymentStateName(s.state)));
  }
  switch (s.paused) {
    case PauseReason::kNone:
      return absl::OkStatus();
    case PauseReason::kStageEnd:
      return Refuse("WAITS_FOR_PROMOTE", "its stage has passed and waits for `promote`",
                    StrCat("caxton deployment promote ", DeploymentName(s.id)));
    case PauseReason::kCommand:
      break;
    case PauseReason::kJudgeError:
      Do(StartJudge{});
      [[fallthrough]];
    case PauseReason::kInconclusive:
      s.stage_elapsed_ns = 0;  // the stage gets its time once more
      s.verdict = {};
      break;
  }
  s.paused = PauseReason::kNone;
  Changed();
  Do(ArmStageTimer{s.RemainingNs()});
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

}  // namespace caxton::deployment
