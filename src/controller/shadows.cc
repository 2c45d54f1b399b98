// SPDX-License-Identifier: Apache-2.0
//
// Shadows: their comparisons, which are made on the mirror's strand and journaled about once a
// second, and the second group of stable's workers where a plan asks for one. What if the process
// dies here? The comparison goes on from its last record, a second of it may be missing; nothing of
// a shadow was ever committed.
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

void ControllerImpl::StartComparison(Run* run) {
  const deployment::DeploymentStatus& s = run->status;
  if (run->comparison != nullptr) return;
  analysis::ShadowComparison comparison(s.plan);
  absl::StatusOr<std::optional<std::string>> kept = d_.journal->GetComparison(s.id);
  absl::Status read = kept.status();
  if (kept.ok() && kept->has_value()) {
    auto decoded = analysis::ShadowComparison::Decode(s.plan, **kept);
    read = decoded.status();
    if (decoded.ok()) comparison = *std::move(decoded);
  }
  if (!read.ok()) {
    Step(s.id,
         deployment::JudgeVerdict{
             {deployment::VerdictKind::kError,
              StrCat("what the shadow showed before cannot be read: ", StdView(read.message()))}},
         nullptr);
  }
  run->comparison = std::make_shared<SharedComparison>(std::move(comparison));
  {
    MutexLock lock(&comparisons_mutex_);
    comparisons_[s.id] = run->comparison;
  }
  if (s.plan.secondary) StartSecondary(s.stable);
  OnComparisonFired(s.id);
}

void ControllerImpl::StopComparison(Run* run) {
  if (run->comparison == nullptr) return;
  const bool decided = run->status.verdict.kind != deployment::VerdictKind::kNone;
  if (!decided) RecordComparison(run);
  run->shadow_report = run->comparison->Report();
  {
    MutexLock lock(&comparisons_mutex_);
    comparisons_.erase(run->status.id);
  }
  run->comparison.reset();
  if (decided) {  // on record with the verdict: the report is what that was made from
    ReadShadowReport(run);
    if (d_.on_compared) d_.on_compared(ViewOf(*run));
  }
  if (!run->status.plan.secondary) return;
  const RevisionRef stable = run->status.stable;
  const RevisionRef secondary{stable.agent, SecondaryOf(stable.number)};
  if (AgentEntry* agent = book_.Find(stable.agent); agent != nullptr) {
    agent->running.erase(secondary.number);
  }
  d_.supervisor->Stop(secondary, [] {});
}

// The same module once more, in workers of its own: the live path's are never asked to run a copy.
void ControllerImpl::StartSecondary(RevisionRef stable) {
  AgentEntry* agent = book_.Find(stable.agent);
  std::shared_ptr<const Revision> revision = agent ? agent->Find(stable.number) : nullptr;
  if (revision == nullptr) return;
  auto second = std::make_shared<Revision>(*revision);
  second->ref.number = SecondaryOf(stable.number);
  const RevisionRef ref = second->ref;
  GetWorkers(*second, kPrepareGraceNs * 12, true,
             [this, ref, stable,
              second](absl::StatusOr<std::shared_ptr<supervisor::RevisionWorkers>> workers) {
               if (stopped_) return;
               AgentEntry* agent = book_.Find(ref.agent);
               const bool wanted = agent != nullptr && agent->route.shadow &&
                                   agent->route.secondary && agent->route.stable == stable.number;
               if (!wanted) {
                 d_.supervisor->Stop(ref, [] {});
               } else if (workers.ok()) {
                 agent->running[ref.number] = {second, *std::move(workers),
                                               std::make_shared<router::RevisionLoad>()};
                 PublishAgent(agent);
               } else {
                 // Without it no copy is made, and the shadow would end as inconclusive.
                 d_.executor->PostAfter(kTickNs, [this, stable] { StartSecondary(stable); });
               }
             });
}

void ControllerImpl::OnMirrored(const MirroredStep& step) {
  std::shared_ptr<SharedComparison> comparison;
  {
    MutexLock lock(&comparisons_mutex_);
    auto it = comparisons_.find(step.deployment);
    if (it != comparisons_.end()) comparison = it->second;
  }
  if (comparison == nullptr || !comparison->Observe(step)) return;
  OnStrand([this, id = step.deployment] { OnComparisonFired(id); });
}

void ControllerImpl::OnMirrorFate(DeploymentId deployment, MirrorFate fate, int64_t count) {
  MutexLock lock(&comparisons_mutex_);
  auto it = comparisons_.find(deployment);
  if (it != comparisons_.end()) it->second->Count(fate, count);
}

void ControllerImpl::OnComparisonFired(DeploymentId id) {
  Run* run = FindRun(id);
  if (run == nullptr || run->comparison == nullptr || run->judge_spoke) return;
  std::optional<deployment::Verdict> verdict = run->comparison->Fired();
  if (!verdict.has_value()) return;
  run->judge_spoke = true;
  Step(id, deployment::JudgeVerdict{*std::move(verdict)}, nullptr);
}

void ControllerImpl::RecordComparison(Run* run) {
  if (run->comparison == nullptr) return;
  std::optional<std::string> bytes = run->comparison->TakeChanged();
  if (!bytes.has_value()) return;
  journal::CommitOp op;
  op.rows.Put(journal::Table::kComparisons, journal::DeploymentKey(run->status.id),
              *std::move(bytes));
  d_.journal->committer().Submit(std::move(op));
  if (d_.on_compared) d_.on_compared(ViewOf(*run));
}

void ControllerImpl::PutDecided(const Run& run, journal::RowBatch* rows) {
  const deployment::Verdict& verdict = run.status.verdict;
  if (run.comparison == nullptr || verdict.kind == deployment::VerdictKind::kNone) return;
  const bool at_end = verdict.basis.moment == deployment::VerdictMoment::kStageEnd;
  rows->Put(journal::Table::kComparisons, journal::DeploymentKey(run.status.id),
            run.comparison->DecidedBytes(at_end));
}

// Of one that has ended, maybe under an earlier server.
void ControllerImpl::ReadShadowReport(Run* run) {
  const deployment::DeploymentStatus& s = run->status;
  if (s.plan.strategy != Strategy::kShadow) return;
  absl::StatusOr<std::optional<std::string>> kept = d_.journal->GetComparison(s.id);
  if (!kept.ok() || !kept->has_value()) return;
  auto comparison = analysis::ShadowComparison::Decode(s.plan, **kept);
  if (comparison.ok()) run->shadow_report = comparison->Report();
}

absl::StatusOr<Explanation> ControllerImpl::ExplainShadow(const Run& run) {
  const deployment::DeploymentStatus& s = run.status;
  ASSIGN_OR_RETURN(const std::optional<std::string> kept, d_.journal->GetComparison(s.id));
  analysis::ShadowComparison comparison(s.plan);
  if (kept.has_value()) {
    ASSIGN_OR_RETURN(comparison, analysis::ShadowComparison::Decode(s.plan, *kept));
  }
  Explanation explanation{.view = ViewOf(run)};
  explanation.evidence = comparison.Report().compared;
  const bool at_end = s.verdict.basis.moment == deployment::VerdictMoment::kStageEnd;
  if (s.verdict.kind != deployment::VerdictKind::kNone && at_end) {
    const deployment::StageReport end = comparison.EndOfShadow();
    explanation.recomputed = {end.Kind(), end.text, s.verdict.basis};
  } else if (auto fires = comparison.Refire(); fires.has_value()) {
    explanation.recomputed = *std::move(fires);
  }
  explanation.matches = deployment::SaysTheSame(s.verdict, explanation.recomputed);
  return explanation;
}

}  // namespace caxton::controller
