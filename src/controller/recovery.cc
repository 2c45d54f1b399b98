// SPDX-License-Identifier: Apache-2.0
//
// After a restart: the book from the journal, the recorded routes to the router (without workers:
// messages wait), then every deployment goes on from its record.
#include <algorithm>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentState;

absl::Status ControllerImpl::Recover() {
  ASSIGN_OR_RETURN(journal::JournalImage image, d_.journal->RecoverImage());
  book_.Load(image);
  next_deployment_ = image.last_deployment.value() + 1;
  for (auto& [id, bytes] : image.deployments) {
    absl::StatusOr<deployment::DeploymentStatus> status = deployment::DecodeStatus(bytes);
    if (!status.ok()) return Annotate(status.status(), deployment::DeploymentName(id));
    next_deployment_ = std::max(next_deployment_, id.value() + 1);
    AgentEntry* agent = book_.Find(status->candidate.agent);
    if (agent == nullptr) continue;
    agent->history.push_back(id);
    if (!status->final()) {
      if (status->queued) {
        agent->queued.push_back(id);
      } else if (status->state == DeploymentState::kValidating ||
                 status->state == DeploymentState::kDeploying) {
        agent->active = id;
        places_.Occupy(PlaceOf(*status));
      }
    }
    auto run = std::make_unique<Run>();
    run->status = *std::move(status);
    ReadShadowReport(run.get());
    ReadHistoryReport(run.get());
    runs_[id] = std::move(run);
  }
  // A removal that was cut short: its tombstone is there, its rows may be.
  journal::CommitOp leftovers;
  for (const journal::AgentRecord& record : image.agents) {
    if (record.removed) EraseRows(record.id, &leftovers.rows);
  }
  if (!leftovers.rows.empty()) d_.journal->committer().Submit(std::move(leftovers));
  for (AgentEntry* agent : book_.All()) PublishAgent(agent);
  RETURN_IF_ERROR(d_.artifacts->Sweep(KeptModules()));
  return absl::OkStatus();
}

void ControllerImpl::StartServing() {
  OnStrand([this] {
    std::vector<DeploymentId> unfinished;
    for (const auto& [id, run] : runs_) {
      if (!run->status.final()) unfinished.push_back(id);
    }
    for (DeploymentId id : unfinished) Step(id, deployment::Recovered{}, nullptr);
    for (DeploymentId id : unfinished) RepeatSuperseding(id);
    for (DeploymentId id : unfinished) {
      const Run* run = FindRun(id);
      for (DeploymentId other : run->status.group) {
        const Run* member = FindRun(other);
        if (member != nullptr && member->status.final()) GroupFailed(*member);
        if (member == nullptr && run->status.running_ns == 0) {
          Step(id,
               deployment::Abort{deployment::EndCause::kGroup,
                                 StrCat(deployment::DeploymentName(other),
                                        ", which it was to be switched together with, is gone")},
               nullptr);
        }
      }
    }
    std::vector<AgentEntry*> agents = book_.All();
    // Those that waited longest first.
    std::sort(agents.begin(), agents.end(), [](const AgentEntry* a, const AgentEntry* b) {
      return !a->queued.empty() && (b->queued.empty() || a->queued.back() < b->queued.back());
    });
    for (AgentEntry* agent : agents) ResumeQueue(agent);
    for (AgentEntry* agent : agents) {
      if (agent->record.removing == 0) continue;
      // Whoever asked for it is gone; it goes on all the same, and a repeat joins it.
      removals_[agent->record.id].mode =
          static_cast<router::RemoveMode>(agent->record.removing - 1);
      BeginRemoval(agent->record.id);
    }
    CleanUp();
  });
}

// A finalized deployment had told the one before it that it is superseded, or was about to.
void ControllerImpl::RepeatSuperseding(DeploymentId id) {
  const deployment::DeploymentStatus& newer = FindRun(id)->status;
  if (newer.state != DeploymentState::kRunning || !newer.finalized || !newer.has_stable()) return;
  for (const auto& [other, run] : runs_) {
    if (run->status.candidate == newer.stable && run->status.state == DeploymentState::kRunning) {
      Step(other, deployment::Superseded{}, nullptr);
    }
  }
}

// What the newest waiting deployment had not yet done to the others when the server died; and its
// turn may have come.
void ControllerImpl::ResumeQueue(AgentEntry* agent) {
  if (agent->queued.empty()) return;
  const DeploymentId newest = agent->queued.back();
  for (DeploymentId overtaken : std::exchange(agent->queued, {newest})) {
    if (overtaken != newest) Step(overtaken, Overtaken(newest), nullptr);
  }
  if (!agent->active.valid()) {
    RunNextQueued(agent, DeploymentId());
  } else if (FindRun(newest)->status.plan.queue == QueuePolicy::kReplace) {
    Step(agent->active, deployment::Abort{}, nullptr);
  }
}

}  // namespace caxton::controller
