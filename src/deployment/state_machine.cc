// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/state_machine.h"

#include <algorithm>
#include <array>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "machine.h"

namespace caxton::deployment {
namespace {

using State = DeploymentState;

// Row: from, column: to. VALIDATING DEPLOYING RUNNING DRAINING FAILED ROLLED_BACK
constexpr bool kLegal[kDeploymentStateCount][kDeploymentStateCount] = {
    /* VALIDATING  */ {false, true, false, false, true, true},
    /* DEPLOYING   */ {false, false, true, true, true, true},
    /* RUNNING     */ {false, false, false, true, false, true},
    /* DRAINING    */ {false, false, false, false, false, false},
    /* FAILED      */ {false, false, false, false, false, false},
    /* ROLLED_BACK */ {false, false, false, false, false, false},
};

// What a final deployment answers: a repeat of what ended it is no error.
absl::Status CheckFinal(const DeploymentStatus& s, const Event& event) {
  const bool repeat = std::holds_alternative<Recovered>(event) ||
                      (std::holds_alternative<Abort>(event) && s.aborted()) ||
                      (std::holds_alternative<Rollback>(event) && s.state == State::kRolledBack);
  if (repeat) return absl::OkStatus();
  return Refuse("FINAL", StrCat("the deployment has ended: it is ", DeploymentStateName(s.state)));
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
  Transition out = machine.Take();
  if (out.changed && !std::holds_alternative<Ticked>(event)) {
    out.status.generation =
        std::max(status.generation + 1, static_cast<uint64_t>(std::max<int64_t>(wall_ns, 0)));
  }
  return out;
}

std::string_view EventName(const Event& event) {
  constexpr std::array<std::string_view, std::variant_size_v<Event>> kNames = {
      "Created",       "Dequeued",     "ValidationPassed", "ValidationFailed", "Prepared",
      "PrepareFailed", "StageElapsed", "Ticked",           "Promote",          "Pause",
      "Resume",        "Abort",        "Rollback",         "JudgeVerdict",     "CleanupElapsed",
      "Superseded",    "Drained",      "Recovered",        "HistoryReplayed"};
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
