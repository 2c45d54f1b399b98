// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/state_machine.h"

#include <algorithm>
#include <array>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/limits.h"
#include "caxton/model/text.h"

namespace caxton::deployment {
namespace {

using State = DeploymentState;

// Row: from, column: to. VALIDATING DEPLOYING RUNNING DRAINING FAILED ROLLED_BACK
constexpr bool kLegal[kDeploymentStateCount][kDeploymentStateCount] = {
    /* VALIDATING  */ {false, true, false, false, true, true},
    /* DEPLOYING   */ {false, false, true, false, true, true},
    /* RUNNING     */ {false, false, false, true, false, true},
    /* DRAINING    */ {false, false, false, false, false, false},
    /* FAILED      */ {false, false, false, false, false, false},
    /* ROLLED_BACK */ {false, false, false, false, false, false},
};

absl::Status Refuse(std::string_view reason, std::string_view why, std::string_view fix = "") {
  absl::Status status = WithReason(absl::FailedPreconditionError(AbslView(why)), reason);
  return fix.empty() ? status : WithFix(std::move(status), fix);
}

std::string Cut(std::string_view text) {
  return std::string(TruncateUtf8(text, kMaxRecordTextBytes));
}

// One application of one event. The On functions change `s` and add effects, or return an error.
class Machine final {
 public:
  Machine(const DeploymentStatus& status, int64_t wall_ns) : wall_ns_(wall_ns) {
    out_.status = status;
  }

  absl::Status Handle(const Event& event) {
    return std::visit([this](const auto& e) { return On(e); }, event);
  }
  Transition Take() { return std::move(out_); }

 private:
  absl::Status On(const Created& event);
  absl::Status On(const Dequeued& event);
  absl::Status On(const ValidationPassed&);
  absl::Status On(const ValidationFailed& event);
  absl::Status On(const Prepared&);
  absl::Status On(const PrepareFailed& event);
  absl::Status On(const StageElapsed& event);
  absl::Status On(const Ticked& event);
  absl::Status On(const Promote& event);
  absl::Status On(const Pause& event);
  absl::Status On(const Resume&);
  absl::Status On(const Abort&);
  absl::Status On(const Rollback& event);
  absl::Status On(const JudgeVerdict& event);
  absl::Status On(const CleanupElapsed& event);
  absl::Status On(const Superseded&);
  absl::Status On(const Removed&);
  absl::Status On(const Drained&);
  absl::Status On(const Recovered&);

  void Do(Effect effect) { out_.effects.push_back(std::move(effect)); }
  void Changed();
  void MoveTo(State to);
  void EnterStage(uint32_t stage);
  void Advance(std::string_view text);
  void GoFull(std::string_view text);
  void PublishFull();
  void Finalize();
  void Drain(EndCause cause);
  void EndWithoutTraffic(State to, EndCause cause);
  void TakeBack(EndCause cause);
  void Inconclusive(PauseReason pause, Verdict verdict);
  void StopClock(PauseReason reason);
  absl::Status CancelBeforeRunning(EndCause cause);
  void RecoverDeploying();
  void RecoverRunning();
  absl::Status Stale(std::string_view what) const;

  bool InState(State state) const { return s.state == state; }
  // Has a share of the traffic and a stable revision to give it back to.
  bool InStages() const { return InState(State::kDeploying) && s.prepared; }
  bool InWindow() const { return InState(State::kRunning) && !s.finalized && s.has_stable(); }
  const StagePlan& Stage() const { return s.plan.stages[s.stage]; }

  Transition out_;
  DeploymentStatus& s = out_.status;
  int64_t wall_ns_;
};

void Machine::Changed() {
  out_.changed = true;
  s.updated_ns = wall_ns_;
}

void Machine::MoveTo(State to) {
  CAXTON_ASSERT(IsLegal(s.state, to), "the table of transitions allows it");
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
  s.error = Cut(event.error);
  EndWithoutTraffic(State::kFailed, EndCause::kValidation);
  return absl::OkStatus();
}

absl::Status Machine::On(const Prepared&) {
  if (!InState(State::kDeploying) || s.prepared) return Stale("preparation");
  s.prepared = true;
  if (s.judged()) Do(StartJudge{});
  // A first deployment has nothing to share the traffic with.
  if (s.plan.stages.empty() || !s.has_stable()) {
    GoFull("");
  } else {
    EnterStage(0);
  }
  return absl::OkStatus();
}

absl::Status Machine::On(const PrepareFailed& event) {
  if (InState(State::kDeploying) && !s.prepared) {
    s.error = Cut(event.error);
    EndWithoutTraffic(s.has_stable() ? State::kRolledBack : State::kFailed, EndCause::kPrepare);
    return absl::OkStatus();
  }
  // Its workers cannot be kept up: it is not well, and stable is.
  if (InStages() || InWindow()) {
    s.error = Cut(event.error);
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
  Do(PublishRoute{s.stable, s.candidate, Stage().weight_ppm});
  Do(ArmStageTimer{Stage().duration_ns});
  Do(NotifyWatchers{});
}

void Machine::Advance(std::string_view text) {
  Do(StopTimers{});
  if (s.stage + 1 < s.plan.stages.size()) {
    EnterStage(s.stage + 1);
  } else {
    GoFull(text);
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

void Machine::GoFull(std::string_view text) {
  s.stage = static_cast<uint32_t>(s.plan.stages.size());
  s.stage_elapsed_ns = 0;
  s.paused = PauseReason::kNone;
  s.verdict = text.empty() ? Verdict{} : Verdict{VerdictKind::kSuccessful, Cut(text)};
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
  if (s.stage_elapsed_ns < duration) {  // a timer that came early decides nothing
    Do(ArmStageTimer{s.RemainingNs()});
  } else if (event.report.passed()) {
    if (Stage().pause) {
      s.verdict = {VerdictKind::kSuccessful, Cut(event.report.text)};
      StopClock(PauseReason::kStageEnd);
    } else {
      Advance(event.report.text);
    }
  } else if (s.stage_elapsed_ns < duration * kStageExtensionLimit) {
    Do(ArmStageTimer{s.RemainingNs()});
    Do(NotifyWatchers{});
  } else {
    Inconclusive(PauseReason::kInconclusive, {VerdictKind::kInconclusive, Cut(event.report.text)});
  }
  return absl::OkStatus();
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
      return Advance("");
  }
}

absl::Status Machine::On(const JudgeVerdict& event) {
  if (!s.judged() || s.rolling_back || !(InStages() || InWindow())) return Stale("a verdict");
  Verdict verdict{event.verdict.kind, Cut(event.verdict.text)};
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
  if (!event.full) {
    Advance("");
    return absl::OkStatus();
  }
  Do(StopTimers{});
  if (s.judged()) Do(StopJudge{});
  s.judge_skipped = true;
  GoFull("");
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

// ---- The ways out.

void Machine::EndWithoutTraffic(State to, EndCause cause) {
  s.cause = cause;
  const bool started = !s.queued;
  s.queued = false;
  MoveTo(to);
  if (started) Do(StopRevision{s.candidate});
  if (started) Do(RunNextQueued{});
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

absl::Status Machine::On(const Abort&) {
  if (InState(State::kValidating) || InState(State::kDeploying)) {
    return CancelBeforeRunning(EndCause::kAbort);
  }
  return Refuse("NOT_DEPLOYING",
                StrCat("there is nothing to abort: it is ", DeploymentStateName(s.state)),
                StrCat("caxton agent rollback ", s.agent));
}

absl::Status Machine::On(const Rollback& event) {
  if (InState(State::kValidating) || (InState(State::kDeploying) && !s.prepared)) {
    return CancelBeforeRunning(EndCause::kRollback);
  }
  if (InState(State::kRunning) && !s.has_stable()) {
    return Refuse("NO_STABLE", "it is the agent's first revision: there is none to return to");
  }
  if (!InStages() && !InWindow()) {
    return Refuse("CLEANUP_OVER", StrCat("its cleanup window is over, the revision before it is ",
                                         "no longer warm: it is ", DeploymentStateName(s.state)));
  }
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
    s.verdict = {event.report.passed() ? VerdictKind::kSuccessful : VerdictKind::kInconclusive,
                 Cut(event.report.text)};
  }
  Do(StopTimers{});
  Finalize();
  Do(NotifyWatchers{});
  return absl::OkStatus();
}

void Machine::Drain(EndCause cause) {
  if (!s.finalized) {
    Do(StopTimers{});
    if (s.judged()) Do(StopJudge{});
  }
  s.cause = cause;
  MoveTo(State::kDraining);
  Do(DrainRevision{s.candidate, 0});
  Do(NotifyWatchers{});
}

absl::Status Machine::On(const Superseded&) {
  if (!InState(State::kRunning) || s.rolling_back) return Stale("being superseded");
  Drain(EndCause::kSuperseded);
  return absl::OkStatus();
}

absl::Status Machine::On(const Removed&) {
  if (InState(State::kValidating) || InState(State::kDeploying)) {
    return CancelBeforeRunning(EndCause::kRemoved);
  }
  if (InState(State::kDraining)) return absl::OkStatus();
  if (s.rolling_back) {
    TakeBack(EndCause::kRemoved);
  } else {
    Drain(EndCause::kRemoved);
  }
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
  Do(PublishRoute{s.stable, s.candidate, s.WeightPpm()});
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

// What a final deployment answers: a repeat of what ended it is no error.
absl::Status CheckFinal(const DeploymentStatus& s, const Event& event) {
  const bool repeat = std::holds_alternative<Recovered>(event) ||
                      std::holds_alternative<Removed>(event) ||
                      (std::holds_alternative<Abort>(event) && s.aborted()) ||
                      (std::holds_alternative<Rollback>(event) && s.state == State::kRolledBack);
  if (repeat) return absl::OkStatus();
  return Refuse("FINAL",
                StrCat(DeploymentName(s.id), " has ended: it is ", DeploymentStateName(s.state)));
}

}  // namespace

bool IsLegal(DeploymentState from, DeploymentState to) {
  return kLegal[static_cast<size_t>(from)][static_cast<size_t>(to)];
}

absl::StatusOr<Transition> Apply(const DeploymentStatus& status, const Event& event,
                                 int64_t wall_ns) {
  if (status.final()) {
    RETURN_IF_ERROR(CheckFinal(status, event));
    return Transition{.status = status};
  }
  Machine machine(status, wall_ns);
  RETURN_IF_ERROR(machine.Handle(event));
  return machine.Take();
}

std::string_view EventName(const Event& event) {
  constexpr std::array<std::string_view, std::variant_size_v<Event>> kNames = {
      "Created",       "Dequeued",     "ValidationPassed", "ValidationFailed", "Prepared",
      "PrepareFailed", "StageElapsed", "Ticked",           "Promote",          "Pause",
      "Resume",        "Abort",        "Rollback",         "JudgeVerdict",     "CleanupElapsed",
      "Superseded",    "Removed",      "Drained",          "Recovered"};
  return kNames[event.index()];
}

std::string_view EffectName(const Effect& effect) {
  constexpr std::array<std::string_view, std::variant_size_v<Effect>> kNames = {
      "Validate",      "Prepare",         "StartRevision",    "PublishRoute",   "Withdraw",
      "ArmStageTimer", "ArmCleanupTimer", "StopTimers",       "StartJudge",     "StopJudge",
      "DrainRevision", "StopRevision",    "FinalizePrevious", "NotifyWatchers", "RunNextQueued"};
  return kNames[effect.index()];
}

}  // namespace caxton::deployment
