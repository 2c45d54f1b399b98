// SPDX-License-Identifier: Apache-2.0
//
// Rollback: of what is under way or still warm by one table, of what is not by a new deployment of
// the kept artifact. What if the process dies here? The claim of the caller's idempotency key is in
// the record that makes the rollback, so a repeat does not go further back.
#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentName;
using deployment::DeploymentState;

namespace {

// It must not take back what serves in its place.
absl::Status ServesNot(const deployment::DeploymentStatus& status) {
  return WithFix(WithReason(absl::FailedPreconditionError(
                                StrCat(DeploymentName(status.id), " does not serve: it is ",
                                       deployment::DeploymentStateName(status.state),
                                       ", and there is nothing of it to roll back")),
                            "NOT_SERVING"),
                 StrCat("`caxton rollback ", status.agent, "` rolls back what serves"));
}

}  // namespace

void ControllerImpl::Rollback(RollbackRequest request, Done<RollbackOutcome> done) {
  OnStrand([this, request = std::move(request), done = std::move(done)]() mutable {
    const CommandClaim& claim = request.terms.claim;
    if (!claim.earlier) return OnRollback(std::move(request), std::move(done));
    const DeploymentId id = claim.record.deployment;
    if (claim.record.made) return AwaitRestored(id, std::move(done));
    // It may be finishing what the earlier start began.
    ShowSettled(DeploymentName(id), kMaxReadPolls,
                [this, id, done = std::move(done)](absl::StatusOr<DeploymentView> view) mutable {
                  if (!view.ok()) return done(view.status());
                  TellRolledBack(id, std::move(done));
                });
  });
}

// What is rolled back where `target` stands for `found`: what serves. A queued deployment is no
// obstacle to that. Nor is, where the agent is named, a newest one that has ended: in the cleanup
// window of the one that serves, the revision before that is still warm.
ControllerImpl::Run* ControllerImpl::RolledBackFor(const std::string& target,
                                                   const AgentEntry& agent, Run* found) {
  if (found->status.queued && agent.active.valid()) return FindRun(agent.active);
  if (target == DeploymentName(found->status.id) || !found->status.final()) return found;
  for (DeploymentId id : agent.history) {
    Run* run = FindRun(id);
    if (run == nullptr || run->status.state != DeploymentState::kRunning || run->status.finalized) {
      continue;
    }
    // While it drains, the revision before serves already: asked again, it must not go further.
    if (run->status.candidate == agent.Serving() || run->status.rolling_back) return run;
  }
  return found;
}

void ControllerImpl::OnRollback(RollbackRequest request, Done<RollbackOutcome> done) {
  if (request.drain_ns < 0 || request.drain_ns > kMaxDrainNs) {
    return done(WithReason(absl::InvalidArgumentError("a drain takes between 0s and 10m"),
                           "INVALID_DRAIN"));
  }
  absl::StatusOr<Run*> found = FindTarget(request.target);
  if (!found.ok()) return done(found.status());
  Run* run = *found;
  AgentEntry* agent = book_.Find(std::string_view(run->status.agent));
  if (agent == nullptr) return done(NoSuchAgent(run->status.agent));
  if (agent->closed) return done(Removing(run->status.agent));
  if (absl::Status changed = CheckEtag(*run, request.terms.etag); !changed.ok()) {
    return done(std::move(changed));
  }
  if (Run* meant = RolledBackFor(request.target, *agent, run); meant != run) {
    run = meant;
    request.terms.etag.clear();  // it was that of the one found
  }
  if (run->waiting.size() >= kMaxWaitingCommands) return done(TooManyCommands(*run));
  // The revision before is still warm: one table, no compile and no spawn.
  const deployment::DeploymentStatus& s = run->status;
  const bool warm = s.state == DeploymentState::kValidating ||
                    s.state == DeploymentState::kDeploying ||
                    (s.state == DeploymentState::kRunning && !s.finalized && s.has_stable());
  const bool named = request.target == DeploymentName(s.id);
  // A rollback's own deployment is no reason to return to what was rolled back, unless asked for.
  const bool back_to_bad = s.restores && s.state == DeploymentState::kRunning && !named;
  if (warm && (request.to.valid() ? request.to == s.stable.number : !back_to_bad)) {
    return RollbackRun(run, std::move(request), std::move(done));
  }
  // Named itself and rolled back already: a repeat.
  if (named && s.state == DeploymentState::kRolledBack && !request.to.valid()) {
    return RollbackRun(run, std::move(request), std::move(done));
  }
  if (named && s.state != DeploymentState::kValidating && s.state != DeploymentState::kDeploying &&
      s.candidate != agent->Serving()) {
    return done(ServesNot(s));
  }
  // A rollback never queues.
  if (agent->active.valid()) {
    return done(WithFix(WithReason(absl::FailedPreconditionError(
                                       StrCat(DeploymentName(agent->active), " is under way")),
                                   "DEPLOYMENT_IN_PROGRESS"),
                        "roll it back or abort it first, then roll back further"));
  }
  absl::StatusOr<RevisionNumber> to = RollbackTarget(*agent, request.to);
  if (!to.ok()) return done(to.status());
  Redeploy(agent, *to, std::move(request.terms.claim), std::move(done));
}

void ControllerImpl::RollbackRun(Run* run, RollbackRequest request, Done<RollbackOutcome> done) {
  const DeploymentId id = run->status.id;
  deployment::Event event = deployment::Rollback{request.drain_ns, request.terms.reason};
  Step(
      id, std::move(event),
      [this, id, done = std::move(done)](absl::Status status) mutable {
        if (!status.ok()) return done(std::move(status));
        TellRolledBack(id, std::move(done));
      },
      std::move(request.terms));
}

// Once its workers are gone. By this server: what an earlier one withdrew has no processes any
// more.
void ControllerImpl::TellRolledBack(DeploymentId id, Done<RollbackOutcome> done) {
  auto answer = [this, id, done = std::move(done)]() mutable {
    Run* run = FindRun(id);
    if (run == nullptr) return done(Gone());
    RollbackOutcome outcome{.view = ViewOf(*run)};
    if (outcome.view.candidate) outcome.from = outcome.view.candidate->Name();
    if (outcome.view.stable) outcome.to = outcome.view.stable->Name();
    done(std::move(outcome));
  };
  Run* run = FindRun(id);
  const bool drains = run != nullptr && run->status.rolling_back;
  const bool cleaning = run != nullptr && run->status.withdrawn && run->rollback_decided_ns != 0 &&
                        run->status.rollback.cleaned_ns == 0;
  if (drains || cleaning) {
    run->when_rolled_back.push_back(std::move(answer));
  } else {
    answer();
  }
}

// The route's record lists the last of them only. What a rollback has replaced by a new deployment
// of a kept revision was rolled back as well, although it was not cut off.
bool ControllerImpl::IsWithdrawn(const AgentEntry& agent, const Revision& revision) const {
  auto made_by = runs_.find(revision.deployment);
  if (agent.IsWithdrawn(revision.ref.number)) return true;
  if (made_by != runs_.end() && made_by->second->status.withdrawn) return true;
  return std::any_of(agent.history.begin(), agent.history.end(), [&](DeploymentId id) {
    auto run = runs_.find(id);
    return run != runs_.end() && run->second->status.restores &&
           run->second->status.running_ns != 0 && !run->second->status.withdrawn &&
           run->second->status.stable == revision.ref;
  });
}

// Whether it served for good and was not withdrawn. One whose deployment is not on record any more
// did: of those that did not, or were withdrawn, both go together (ForgetRevision).
bool ControllerImpl::Proven(const AgentEntry& agent, const Revision& revision) const {
  if (IsWithdrawn(agent, revision)) return false;
  auto made_by = runs_.find(revision.deployment);
  return made_by == runs_.end() || made_by->second->status.running_ns != 0;
}

bool ControllerImpl::Restorable(const AgentEntry& agent, RevisionNumber number) const {
  std::shared_ptr<const Revision> revision = agent.Find(number);
  if (revision == nullptr || !Proven(agent, *revision)) return false;
  // Of the newest kMaxArtifactsPerAgent that are proven: a row of bad ones, or of ones that failed
  // before traffic, does not push out the good.
  const auto newer = std::count_if(agent.revisions.upper_bound(number), agent.revisions.end(),
                                   [&](const auto& entry) { return Proven(agent, *entry.second); });
  return static_cast<size_t>(newer) < kMaxArtifactsPerAgent &&
         d_.artifacts->HasModule(revision->module);
}

RevisionNumber ControllerImpl::OriginalOf(const AgentEntry& agent, const Revision& revision) const {
  const RevisionNumber number = revision.ref.number;
  auto made_by = runs_.find(revision.deployment);
  if (made_by == runs_.end() || !made_by->second->status.restores) return number;
  for (auto it = std::make_reverse_iterator(agent.revisions.lower_bound(number));
       it != agent.revisions.rend(); ++it) {
    if (revision.SameContent(*it->second)) return it->first;
  }
  return number;
}

absl::StatusOr<RevisionNumber> ControllerImpl::RollbackTarget(const AgentEntry& agent,
                                                              RevisionNumber to) {
  const RevisionNumber serving = agent.Serving().number;
  std::shared_ptr<const Revision> now = agent.Find(serving);
  if (to.valid()) {
    if (to == serving) {
      return WithReason(absl::FailedPreconditionError(
                            StrCat(agent.record.name, "@", to.value(), " serves already")),
                        "SERVES_ALREADY");
    }
    if (Restorable(agent, to)) return to;
    return WithFix(
        WithReason(
            absl::FailedPreconditionError(StrCat(
                agent.record.name, "@", to.value(),
                " cannot be restored: it was withdrawn or never served, is unknown, or is not kept "
                "any more")),
            "NOT_RESTORABLE"),
        StrCat("`caxton agent history ", agent.record.name, "` shows which can"));
  }
  // What a rollback restored stands where the original did: the next goes further back than that.
  const RevisionNumber before = now == nullptr ? serving : OriginalOf(agent, *now);
  for (auto it = agent.revisions.rbegin(); it != agent.revisions.rend(); ++it) {
    const auto& [number, revision] = *it;
    if (number >= before || !Restorable(agent, number)) continue;
    // Not what runs now under another number.
    if (now == nullptr || !now->SameContent(*revision)) return number;
  }
  return WithFix(
      WithReason(absl::FailedPreconditionError(StrCat("agent '", agent.record.name,
                                                      "' has no earlier revision to return to")),
                 "NOTHING_TO_RESTORE"),
      StrCat("deploy a module that works, or see `caxton agent history ", agent.record.name, "`"));
}

// After the cleanup window: a new deployment of the kept artifact, without stages.
void ControllerImpl::Redeploy(AgentEntry* agent, RevisionNumber to, CommandClaim claim,
                              Done<RollbackOutcome> done) {
  Revision revision = *agent->Find(to);
  revision.created_ns = d_.clock->WallNanos();
  DeployRequest request;
  request.agent = agent->record.name;
  request.label = revision.version;
  request.module = revision.module;
  // Its contracts may be narrower than those it is restored from; it must come back all the same.
  request.allow_breaking = true;
  request.requested_by = "rollback";
  request.terms.claim = std::move(claim);
  absl::StatusOr<deployment::DeploymentPlan> plan = PlanFor(DeploymentSpec{}, agent);
  if (!plan.ok()) return done(plan.status());
  // People wait for it because something is broken: it never waits for a place.
  Create({std::move(request), std::move(revision), *std::move(plan), {}, /*restores=*/true},
         [this, done = std::move(done)](absl::StatusOr<DeployOutcome> made) mutable {
           if (!made.ok()) return done(made.status());
           AwaitRestored(made->view.status.id, std::move(done));
         });
}

void ControllerImpl::AwaitRestored(DeploymentId id, Done<RollbackOutcome> done) {
  Run* run = FindRun(id);
  if (run == nullptr) return done(Gone());
  const bool under_way = run->status.state == DeploymentState::kValidating ||
                         run->status.state == DeploymentState::kDeploying;
  auto tell = [this, id, done = std::move(done)]() mutable { TellRestored(id, std::move(done)); };
  if (under_way) {
    run->when_settled.push_back(std::move(tell));
  } else {
    ShowSettled(
        DeploymentName(id), kMaxReadPolls,
        [tell = std::move(tell)](const absl::StatusOr<DeploymentView>&) mutable { tell(); });
  }
}

void ControllerImpl::TellRestored(DeploymentId id, Done<RollbackOutcome> done) {
  Run* run = FindRun(id);
  if (run == nullptr || run->status.running_ns == 0) {
    const std::string why = run == nullptr ? "its agent was removed" : run->status.error;
    return done(WithReason(
        absl::FailedPreconditionError(StrCat("the kept revision could not be restored: ", why)),
        "RESTORE_FAILED"));
  }
  RollbackOutcome outcome{.view = ViewOf(*run)};
  if (outcome.view.stable) outcome.from = outcome.view.stable->Name();
  if (outcome.view.candidate) outcome.to = outcome.view.candidate->Name();
  done(std::move(outcome));
}

}  // namespace caxton::controller
