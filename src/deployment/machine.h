// SPDX-License-Identifier: Apache-2.0
//
// Machine: one application of one event, the inside of Apply. machine_stages.cc holds the way up
// (validation to all traffic, clock, judge, commands), machine_ends.cc the ways out and recovery.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "caxton/deployment/state_machine.h"

namespace caxton::deployment {

// FAILED_PRECONDITION with a reason, and the next step where there is one.
absl::Status Refuse(std::string_view reason, std::string_view why, std::string_view fix = "");
// At most kMaxRecordTextBytes.
std::string CutText(std::string_view text);

// The On functions change `s` and add effects, or return an error.
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
  absl::Status On(const HistoryReplayed& event);
  absl::Status On(const Prepared&);
  absl::Status On(const PrepareFailed& event);
  absl::Status On(const StageElapsed& event);
  absl::Status On(const Ticked& event);
  absl::Status On(const Promote& event);
  absl::Status On(const Pause& event);
  absl::Status On(const Resume&);
  absl::Status On(const Abort& event);
  absl::Status On(const Rollback& event);
  absl::Status On(const JudgeVerdict& event);
  absl::Status On(const CleanupElapsed& event);
  absl::Status On(const Superseded&);
  absl::Status On(const Drained&);
  absl::Status On(const Recovered&);

  void Do(Effect effect) { out_.effects.push_back(std::move(effect)); }
  void Changed();
  void MoveTo(DeploymentState to);
  void EnterStage(uint32_t stage);
  void Advance(Verdict passed);  // none: not by a judge
  void GoFull(Verdict passed);
  // What the judge said of the stage that s.stage is.
  Verdict VerdictOf(VerdictKind kind, const StageReport& report,
                    VerdictMoment moment = VerdictMoment::kStageEnd) const;
  void PublishFull();
  void Finalize();
  void EndWithoutTraffic(DeploymentState to, EndCause cause);
  void TakeBack(EndCause cause);
  void Inconclusive(PauseReason pause, Verdict verdict);
  void EndShadow(const StageReport& report);
  void StopClock(PauseReason reason);
  absl::Status CancelBeforeRunning(EndCause cause);
  void RecoverDeploying();
  void RecoverRunning();
  absl::Status Stale(std::string_view what) const;

  bool InState(DeploymentState state) const { return s.state == state; }
  // Has a share of the traffic and a stable revision to give it back to.
  bool InStages() const { return InState(DeploymentState::kDeploying) && s.prepared; }
  bool InWindow() const {
    return InState(DeploymentState::kRunning) && !s.finalized && s.has_stable();
  }
  const StagePlan& Stage() const { return s.plan.stages[s.stage]; }

  Transition out_;
  DeploymentStatus& s = out_.status;
  int64_t wall_ns_;
};

}  // namespace caxton::deployment
