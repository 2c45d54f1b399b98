// SPDX-License-Identifier: Apache-2.0
//
// What runs with time: the judge, the clocks of stages and cleanup windows, and the tick that
// records their progress.
#include <algorithm>
#include <atomic>
#include <memory>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentState;

void ControllerImpl::StartJudge(Run* run) {
  if (run->status.plan.strategy == Strategy::kShadow) return StartComparison(run);
  run->judge = analysis::MakeJudge(run->status.plan);
  run->judge_spoke = false;
  int64_t last_ms = -1;
  absl::Status read = d_.journal->ScanEvidence(run->status.id, [&](const Observation& seen) {
    last_ms = std::max(last_ms, seen.at_ms);
    run->judge->Observe(seen);
  });
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  agent->clock_base_ns = d_.clock->MonoNanos();
  agent->clock_offset_ms = last_ms + 1;                                // downtime does not count
  if (agent->route.deployment == run->status.id) PublishAgent(agent);  // with this clock
  if (!read.ok()) {
    Step(run->status.id,
         deployment::JudgeVerdict{
             {deployment::VerdictKind::kError,
              StrCat("the evidence cannot be read: ", StdView(read.message()))}},
         nullptr);
    return;
  }
  AskJudge(run);
}

void ControllerImpl::Observe(const Observation& observation) {
  OnStrand([this, observation] {
    Run* run = FindRun(observation.deployment);
    if (run == nullptr || run->judge == nullptr) return;
    run->judge->Observe(observation);
    AskJudge(run);
  });
}

void ControllerImpl::AskJudge(Run* run) {
  if (run->judge_spoke || run->judge == nullptr) return;
  std::optional<deployment::Verdict> verdict = run->judge->Fired();
  if (!verdict.has_value()) return AskEarly(run);
  run->judge_spoke = true;
  Step(run->status.id, deployment::JudgeVerdict{*std::move(verdict)}, nullptr);
}

// `promote: early`: asked of each stage once; if it comes to nothing, the stage's time decides.
void ControllerImpl::AskEarly(Run* run) {
  const deployment::DeploymentStatus& s = run->status;
  const bool in_stage =
      s.state == DeploymentState::kDeploying && s.prepared && s.stage < s.plan.stages.size() &&
      s.paused == deployment::PauseReason::kNone && !run->unwell_since_ns.has_value();
  if (s.plan.promote != PromoteWhen::kEarly || !in_stage || run->early_asked == s.stage) return;
  if (run->busy) return;  // asked again soon; what waits may leave this stage, to which it belongs
  std::optional<deployment::StageReport> report = run->judge->EarlyPass(s.plan.stages[s.stage]);
  if (!report.has_value()) return;
  run->early_asked = s.stage;
  Step(s.id, deployment::StageElapsed{ElapsedNs(*run), *std::move(report), true}, nullptr);
}

deployment::StageReport ControllerImpl::ReportOf(const Run& run) const {
  const deployment::DeploymentStatus& s = run.status;
  if (run.comparison != nullptr) return run.comparison->EndOfShadow();
  if (run.judge == nullptr) {
    return s.judged() ? deployment::StageReport{} : deployment::StageReport{true, true, ""};
  }
  deployment::StagePlan stage;
  if (s.stage < s.plan.stages.size()) {
    stage = s.plan.stages[s.stage];
  } else {
    stage.weight_ppm = s.WeightPpm();
  }
  return run.judge->EndOfStage(stage);
}

int64_t ControllerImpl::ElapsedNs(const Run& run) const {
  if (!run.clock_runs) {
    return run.status.state == DeploymentState::kRunning ? run.status.cleanup_elapsed_ns
                                                         : run.status.stage_elapsed_ns;
  }
  return run.clock_base_ns + (d_.clock->MonoNanos() - run.clock_since_ns);
}

void ControllerImpl::ArmClock(Run* run, int64_t remaining_ns, bool cleanup) {
  StopClock(run);
  const DeploymentId id = run->status.id;
  run->clock_base_ns = cleanup ? run->status.cleanup_elapsed_ns : run->status.stage_elapsed_ns;
  run->clock_since_ns = d_.clock->MonoNanos();
  run->clock_runs = true;
  run->timer = d_.executor->PostAfter(remaining_ns, [this, id, cleanup] { OnTimeUp(id, cleanup); });
  KeepTicking();
}

void ControllerImpl::KeepTicking() {
  if (std::exchange(ticking_, true)) return;
  d_.executor->PostAfter(kTickNs, [this] { Tick(); });
}

void ControllerImpl::OnTimeUp(DeploymentId id, bool cleanup) {
  Run* run = FindRun(id);
  if (run == nullptr || stopped_) return;
  if (!run->busy) TickJudge(run);
  if (!run->busy) CheckWell(run);
  if (run->busy || run->unwell_since_ns.has_value()) {
    // What is on its way to the disk may end this stage, and then stops the timer. And a stage does
    // not end well while the candidate is not: it becomes well again, or fails after kUnwellNs.
    run->timer = d_.executor->PostAfter(run->busy ? kBusyPollNs : kTickNs,
                                        [this, id, cleanup] { OnTimeUp(id, cleanup); });
    return;
  }
  const deployment::StageReport report = ReportOf(*run);
  if (cleanup) {
    Step(id, deployment::CleanupElapsed{report}, nullptr);
  } else {
    Step(id, deployment::StageElapsed{ElapsedNs(*run), report}, nullptr);
  }
}

void ControllerImpl::TickJudge(Run* run) {
  if (run->judge == nullptr) return;
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  run->judge->Tick(agent->clock_offset_ms +
                   (d_.clock->MonoNanos() - agent->clock_base_ns) / kNanosPerMilli);
  AskJudge(run);
}

std::string ControllerImpl::WhyUnwell(const Run& run) {
  const AgentEntry* agent = book_.Find(run.status.candidate.agent);
  const auto it = agent->running.find(run.status.candidate.number);
  if (it == agent->running.end()) return "its workers cannot be started";
  const supervisor::WorkersStatus now = it->second.workers->status();
  if (now.running == 0) return "none of its workers stays up";
  return now.healthy ? "" : StrCat("its health check fails: ", now.note);
}

// In its stages, paused or not, and in the cleanup window, unless somebody has skipped its judge.
bool ControllerImpl::Watched(const Run& run) {
  const deployment::DeploymentStatus& s = run.status;
  if (s.state == DeploymentState::kDeploying) return s.prepared && !s.rolling_back;
  return s.state == DeploymentState::kRunning && !s.finalized && s.has_stable() &&
         !s.judge_skipped && !s.rolling_back;
}

// A candidate that is not well fails its stage, whatever its steps say.
void ControllerImpl::CheckWell(Run* run) {
  std::string why = Watched(*run) ? WhyUnwell(*run) : "";
  if (why.empty()) {
    run->unwell_since_ns.reset();
    return;
  }
  const int64_t now_ns = d_.clock->MonoNanos();
  if (!run->unwell_since_ns.has_value()) run->unwell_since_ns = now_ns;
  if (now_ns - *run->unwell_since_ns <= kUnwellNs) return;
  run->unwell_since_ns.reset();
  Step(run->status.id, deployment::PrepareFailed{std::move(why)}, nullptr);
}

void ControllerImpl::StopClock(Run* run) {
  d_.executor->Cancel(run->timer);
  run->timer = TimerId();
  run->clock_runs = false;
}

void ControllerImpl::Tick() {
  ticking_ = false;
  if (stopped_) return;
  for (auto& [id, run] : runs_) {
    if (!run->clock_runs && !Watched(*run)) continue;
    ticking_ = true;
    if (run->busy) continue;
    TickJudge(run.get());
    if (!run->busy) CheckWell(run.get());
    if (run->busy) continue;
    if (run->clock_runs) RecordProgress(run.get());
    RecordComparison(run.get());
    Notify(*run, false);
  }
  if (ticking_) d_.executor->PostAfter(kTickNs, [this] { Tick(); });
}

// May lag by a tick and never leads. Nobody waits for this record, so the deployment does not count
// as busy; the guard refuses it once a withdrawal has overtaken it, whose record is the last word.
void ControllerImpl::RecordProgress(Run* run) {
  auto ticked =
      deployment::Apply(run->status, deployment::Ticked{ElapsedNs(*run)}, d_.clock->WallNanos());
  if (!ticked.ok() || !ticked->changed) return;
  run->status = ticked->status;
  journal::CommitOp op = RecordOf(run, {});
  constexpr uint64_t kOnlyTicket = 1;
  op.guard = journal::StepGuard{run->status.candidate, Ticket(kOnlyTicket),
                                std::make_shared<std::atomic<uint64_t>>(kOnlyTicket)};
  op.durable = [] {};  // asks for the fsync: without one a power cut would take more than a tick
  d_.journal->committer().Submit(std::move(op));
}

}  // namespace caxton::controller
