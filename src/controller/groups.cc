// SPDX-License-Identifier: Apache-2.0
//
// Groups: deployments of several agents that are switched in one route change. Each is validated
// and prepared like any other; the records of all that say "it serves" are one write, and their
// routes one swap. What ends one of them before that ends them all. A group has one of the server's
// places (PlaceOf). What if the process dies here?
// Before the write nobody serves and every member prepares again; after it all do.
#include <algorithm>
#include <set>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentName;
using deployment::DeploymentState;

void ControllerImpl::DeployGroup(std::vector<DeployRequest> requests, CommandClaim claim,
                                 Done<GroupOutcome> done) {
  OnStrand([this, requests = std::move(requests), claim = std::move(claim),
            done = std::move(done)]() mutable {
    if (claim.earlier) return TellGroup(requests, claim, std::move(done));
    OnDeployGroup(std::move(requests), std::move(claim), std::move(done));
  });
}

void ControllerImpl::TellGroup(const std::vector<DeployRequest>& requests,
                               const CommandClaim& claim, Done<GroupOutcome> done) {
  const Run* first = FindRun(claim.record.deployment);
  if (first == nullptr) return done(Gone());
  GroupOutcome outcome;
  std::set<std::string> members;
  for (DeploymentId id : first->status.group) {
    const Run* run = FindRun(id);
    if (run == nullptr) return done(Gone());  // its agent was removed
    outcome.made.push_back(ViewOf(*run));
    members.insert(run->status.agent);
  }
  for (const DeployRequest& request : requests) {
    if (!members.contains(request.agent)) outcome.already_running.push_back(request.agent);
  }
  done(std::move(outcome));
}

absl::Status ControllerImpl::CheckGroup(const std::vector<DeployRequest>& requests) {
  if (requests.empty() || requests.size() > kMaxGroup) {
    return WithReason(absl::InvalidArgumentError(
                          StrCat("a group has 1 to ", kMaxGroup, " agents, not ", requests.size())),
                      "GROUP_SIZE");
  }
  std::set<std::string> names;
  for (const DeployRequest& request : requests) {
    RETURN_IF_ERROR(CheckRequest(request));
    if (!names.insert(request.agent).second) {
      return WithReason(
          absl::InvalidArgumentError(StrCat("agent '", request.agent, "' is in the group twice")),
          "GROUP_TWICE");
    }
    if (request.validate_only) {
      return WithReason(absl::InvalidArgumentError("a dry run takes one agent"), "GROUP_DRY_RUN");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<ControllerImpl::Making>> ControllerImpl::MemberOf(
    const DeployRequest& request) {
  AgentEntry* agent = book_.Find(std::string_view(request.agent));
  absl::StatusOr<Revision> revision = NewRevision(request, agent);
  if (!revision.ok()) return Annotate(revision.status(), request.agent);
  absl::StatusOr<deployment::DeploymentPlan> plan = PlanFor(request.spec, agent);
  if (!plan.ok()) return Annotate(plan.status(), request.agent);
  if (!plan->stages.empty() || plan->strategy == Strategy::kCanary ||
      plan->strategy == Strategy::kShadow) {
    return WithFix(
        WithReason(absl::InvalidArgumentError(StrCat(
                       "agent '", request.agent, "': a group switches at once, it has no stages (",
                       StrategyName(plan->strategy), ")")),
                   "GROUP_STAGES"),
        "use direct, or blue-green without a hold");
  }
  if (agent != nullptr) {
    RETURN_IF_ERROR(CheckLabel(*agent, *revision));
    if (!request.force && RunsAlready(*agent, *revision)) return std::nullopt;
    if (agent->active.valid()) {
      return WithFix(WithReason(absl::FailedPreconditionError(
                                    StrCat("agent '", request.agent, "' is being deployed by ",
                                           DeploymentName(agent->active))),
                                "DEPLOYMENT_IN_PROGRESS"),
                     "wait for it or abort it: a group does not queue");
    }
  }
  return Making{request, *std::move(revision), *std::move(plan)};
}

void ControllerImpl::OnDeployGroup(std::vector<DeployRequest> requests, CommandClaim claim,
                                   Done<GroupOutcome> done) {
  if (absl::Status wrong = CheckGroup(requests); !wrong.ok()) return done(std::move(wrong));

  // All of them are found to be possible before the first is made.
  GroupOutcome outcome;
  std::vector<Making> members;
  std::vector<DeploymentId> group;
  for (const DeployRequest& request : requests) {
    absl::StatusOr<std::optional<Making>> member = MemberOf(request);
    if (!member.ok()) return done(member.status());
    if (!member->has_value()) {
      outcome.already_running.push_back(request.agent);
      continue;
    }
    members.push_back(**std::move(member));
    group.push_back(DeploymentId(next_deployment_ + group.size()));
  }
  if (members.empty()) return done(std::move(outcome));
  journal::CommitOp op;
  std::vector<Made> made;
  for (Making& member : members) {
    member.group = group;
    made.push_back(Make(std::move(member), &op));
    CAXTON_ASSERT(made.back().id == group[made.size() - 1], "ids are given out in order");
  }
  claim.record.deployment = group.front();
  claim.record.made = true;
  PutClaim(claim, &op.rows);
  op.durable = [this, made = std::move(made), outcome = std::move(outcome),
                done = std::move(done)]() mutable {
    OnStrand([this, made = std::move(made), outcome = std::move(outcome),
              done = std::move(done)]() mutable {
      for (const Made& one : made) {
        if (Run* run = FindRun(one.id); run != nullptr) outcome.made.push_back(ViewOf(*run));
      }
      done(std::move(outcome));
      for (Made& one : made) OnCreated(std::move(one));
    });
  };
  d_.journal->committer().Submit(std::move(op));
}

void ControllerImpl::GroupReady(DeploymentId id) {
  Run* run = FindRun(id);
  run->ready = true;
  for (DeploymentId other : run->status.group) {
    const Run* member = FindRun(other);
    if (member == nullptr || !member->ready) return;
  }
  SwitchGroup(run->status.group);
}

void ControllerImpl::SwitchGroup(std::vector<DeploymentId> group) {
  if (stopped_) return;
  bool busy = false;
  for (DeploymentId id : group) {
    const Run* run = FindRun(id);
    // Aborted meanwhile: the others are on their way out too.
    if (run == nullptr || run->status.state != DeploymentState::kDeploying ||
        run->status.prepared) {
      return;
    }
    busy |= run->busy;
  }
  if (busy) {
    d_.executor->PostAfter(kBusyPollNs, [this, group] { SwitchGroup(group); });
    return;
  }
  journal::CommitOp op;
  std::vector<std::vector<deployment::Effect>> effects;
  for (DeploymentId id : group) {
    Run* run = FindRun(id);
    absl::StatusOr<deployment::Transition> next =
        deployment::Apply(run->status, deployment::Prepared{}, d_.clock->WallNanos());
    CAXTON_ASSERT(next.ok() && !next->withdrawal, "what is warm can serve");
    run->busy = true;
    run->status = next->status;
    journal::CommitOp record = RecordOf(run, next->effects);
    op.rows.Append(std::move(record.rows));
    effects.push_back(std::move(next->effects));
    if (d_.on_transition) d_.on_transition(ViewOf(*run), "Prepared");
  }
  op.durable = [this, group, effects = std::move(effects)]() mutable {
    OnStrand([this, group, effects = std::move(effects)]() mutable {
      std::vector<std::shared_ptr<const router::AgentRoute>> routes;
      for (size_t i = 0; i < group.size(); ++i) {
        Run* run = FindRun(group[i]);
        AgentEntry* agent = run ? book_.Find(run->status.candidate.agent) : nullptr;
        if (agent == nullptr) continue;  // removed meanwhile
        for (const deployment::Effect& effect : effects[i]) {
          if (const auto* to = std::get_if<deployment::PublishRoute>(&effect)) {
            agent->route = RouteFor(*agent, *run, *to);
          }
        }
        routes.push_back(book_.Snapshot(*agent));
      }
      d_.router->PublishAll(std::move(routes));
      for (size_t i = 0; i < group.size(); ++i) {
        CarryOut(group[i], std::move(effects[i]));
        Finish(group[i]);
      }
    });
  };
  d_.journal->committer().Submit(std::move(op));
}

void ControllerImpl::GroupFailed(const Run& run) {
  if (run.status.running_ns != 0) return;  // after the switch each is on its own
  for (DeploymentId other : run.status.group) {
    const Run* member = FindRun(other);
    if (member == nullptr || member->status.final() || member->status.running_ns != 0) continue;
    Step(other,
         deployment::Abort{
             deployment::EndCause::kGroup,
             StrCat("it was to be switched together with ", DeploymentName(run.status.id), " (",
                    run.status.agent, "), which ended: ",
                    run.status.error.empty()
                        ? std::string(deployment::EndCauseName(run.status.cause))
                        : run.status.error)},
         nullptr);
  }
}

}  // namespace caxton::controller
