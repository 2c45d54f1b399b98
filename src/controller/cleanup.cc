// SPDX-License-Identifier: Apache-2.0
//
// Clean-up by age, at the start and every hour. Never what a deployment under way or waiting needs,
// what serves, or what a rollback can return to. What if the process dies here? The rows of what
// goes are one write; files follow once it is on the disk, and those that are left are swept by the
// next clean-up.
#include <algorithm>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/model/units.h"
#include "controller_impl.h"

namespace caxton::controller {

void ControllerImpl::CleanUp() {
  if (stopped_) return;
  CleanedUp cleaned;
  journal::CommitOp op;
  const int64_t now_ns = d_.clock->WallNanos();
  for (AgentEntry* agent : book_.All()) {
    CleanUpDeployments(agent, now_ns, &cleaned, &op.rows);
    CleanUpRevisions(agent, now_ns, &cleaned, &op.rows);
  }
  const bool more = cleaned.deployments + cleaned.evidence >= kMaxCleanedAtOnce;
  if (op.rows.empty()) {
    SweepModules(std::move(cleaned));
  } else {
    op.durable = [this, cleaned = std::move(cleaned)]() mutable {
      OnStrand(
          [this, cleaned = std::move(cleaned)]() mutable { SweepModules(std::move(cleaned)); });
    };
    d_.journal->committer().Submit(std::move(op));
  }
  d_.executor->PostAfter(more ? kTickNs : kCleanUpPeriodNs, [this] { CleanUp(); });
}

bool ControllerImpl::EndedFor(const Run& run, int64_t keep_ns, int64_t now_ns) {
  const deployment::DeploymentStatus& s = run.status;
  return s.final() && s.ended_ns > 0 && now_ns - s.ended_ns > keep_ns;
}

void ControllerImpl::CleanUpDeployments(AgentEntry* agent, int64_t now_ns, CleanedUp* cleaned,
                                        journal::RowBatch* rows) {
  const std::vector<DeploymentId> on_record = agent->history;
  for (DeploymentId id : on_record) {
    if (cleaned->deployments + cleaned->evidence >= kMaxCleanedAtOnce) return;
    Run* run = FindRun(id);
    if (run == nullptr || run->busy || !run->waiting.empty()) continue;
    if (EndedFor(*run, d_.keep_evidence_ns, now_ns) && !run->evidence_gone) {
      EraseEvidence(id, rows);
      run->evidence_gone = true;
      run->shadow_report.reset();
      run->history.reset();
      ++cleaned->evidence;
    }
    // The newest is what the agent's name stands for.
    const bool newest = id == on_record.back();
    if (newest || !EndedFor(*run, d_.keep_ended_ns, now_ns) || GroupNeeds(*run)) continue;
    const RevisionNumber number = run->status.candidate.number;
    // A revision that can be restored is judged by what its deployment came to.
    if (Wanted(*agent, number) || Restorable(*agent, number)) continue;
    std::erase(agent->history, id);
    if (agent->Find(number) != nullptr) ++cleaned->revisions;
    ForgetRevision(agent, number, rows);
    EraseDeployment(id, rows);
    DropRun(id, NotKept(id));
    ++cleaned->deployments;
  }
}

// Those whose deployments went by count before them.
void ControllerImpl::CleanUpRevisions(AgentEntry* agent, int64_t now_ns, CleanedUp* cleaned,
                                      journal::RowBatch* rows) {
  std::vector<RevisionNumber> old;
  for (const auto& [number, revision] : agent->revisions) {
    if (runs_.contains(revision->deployment) || Wanted(*agent, number)) continue;
    if (now_ns - revision->created_ns > d_.keep_ended_ns && !Restorable(*agent, number)) {
      old.push_back(number);
    }
  }
  for (RevisionNumber number : old) ForgetRevision(agent, number, rows);
  cleaned->revisions += old.size();
}

// Whether a deployment of its group has not ended and looks for it after a restart.
bool ControllerImpl::GroupNeeds(const Run& run) {
  return std::any_of(run.status.group.begin(), run.status.group.end(), [this](DeploymentId id) {
    const Run* member = FindRun(id);
    return member != nullptr && !member->status.final();
  });
}

std::vector<Digest> ControllerImpl::KeptModules() {
  std::vector<Digest> kept;
  for (AgentEntry* agent : book_.All()) {
    for (const auto& [number, revision] : agent->revisions) {
      // The cheap one first: Restorable looks for the file, and at all newer revisions.
      if (runs_.contains(revision->deployment) || Wanted(*agent, number) ||
          Restorable(*agent, number)) {
        kept.push_back(revision->module);
      }
    }
  }
  return kept;
}

void ControllerImpl::SweepModules(CleanedUp cleaned) {
  if (d_.cleaner == nullptr || stopped_) return;
  d_.cleaner->Post([artifacts = d_.artifacts, kept = KeptModules(), on_cleaned = d_.on_cleaned,
                    before_ns = d_.clock->WallNanos() - kUnnamedModuleKeptNs,
                    cleaned = std::move(cleaned)]() mutable {
    cleaned.swept = artifacts->Sweep(kept, before_ns);
    if (on_cleaned) on_cleaned(cleaned);
  });
}

absl::Status ControllerImpl::CheckEvidenceKept(const Run& run) {
  if (!run.evidence_gone && !EndedFor(run, d_.keep_evidence_ns, d_.clock->WallNanos())) {
    return absl::OkStatus();
  }
  return WithFix(
      WithReason(absl::FailedPreconditionError(StrCat("the evidence of ",
                                                      deployment::DeploymentName(run.status.id),
                                                      " is not kept any more: it ended more than ",
                                                      FormatDuration(d_.keep_evidence_ns), " ago")),
                 "NOT_KEPT"),
      StrCat("`caxton deployment show ", deployment::DeploymentName(run.status.id),
             "` has the verdict; the server's --keep-evidence says how long the rest stays"));
}

}  // namespace caxton::controller
