// SPDX-License-Identifier: Apache-2.0
//
// What people ask for: promote, pause, resume, abort, retry, roll back, remove.
#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/model/units.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentName;
using deployment::DeploymentState;

namespace {

absl::Status Removing(const std::string& agent) {
  return WithReason(absl::FailedPreconditionError(StrCat("agent '", agent, "' is being removed")),
                    "REMOVING");
}

// Whether `stage`, a StageName, is one that the deployment was in before.
bool HasLeft(const deployment::DeploymentStatus& status, std::string_view stage) {
  if (status.state != DeploymentState::kValidating && status.state != DeploymentState::kDeploying) {
    return true;
  }
  std::vector<std::string> left = {"queued"};
  if (status.state == DeploymentState::kDeploying) left.push_back("validate");
  if (status.prepared) left.push_back("warm_up");
  for (uint32_t i = 0; i < status.stage && i < status.plan.stages.size(); ++i) {
    left.push_back(StageName(status.plan.stages[i]));
  }
  return std::find(left.begin(), left.end(), stage) != left.end();
}

}  // namespace

absl::Status ControllerImpl::TooManyCommands(const Run& run) {
  return WithReason(
      absl::ResourceExhaustedError(StrCat(DeploymentName(run.status.id), " has ",
                                          kMaxWaitingCommands, " commands waiting already")),
      "TOO_MANY_COMMANDS");
}

void ControllerImpl::Command(std::string target, std::function<deployment::Event(const Run&)> event,
                             Done<DeploymentView> done) {
  OnStrand([this, target = std::move(target), event = std::move(event),
            done = std::move(done)]() mutable {
    absl::StatusOr<Run*> run = FindTarget(target);
    if (!run.ok()) return done(run.status());
    if ((*run)->waiting.size() >= kMaxWaitingCommands) return done(TooManyCommands(**run));
    const DeploymentId id = (*run)->status.id;
    Step(id, event(**run), [this, id, done = std::move(done)](absl::Status status) mutable {
      if (!status.ok()) return done(Annotate(status, DeploymentName(id)));
      Run* run = FindRun(id);
      if (run == nullptr) return done(absl::NotFoundError("the deployment is gone"));
      done(ViewOf(*run));
    });
  });
}

void ControllerImpl::Promote(std::string target, std::string from_stage, bool full,
                             Done<DeploymentView> done) {
  OnStrand([this, target = std::move(target), from_stage = std::move(from_stage), full,
            done = std::move(done)]() mutable {
    absl::StatusOr<Run*> run = FindTarget(target);
    if (!run.ok()) return done(run.status());
    const deployment::DeploymentStatus& status = (*run)->status;
    if (!from_stage.empty() && from_stage != StageName(status)) {
      if (HasLeft(status, from_stage)) return done(ViewOf(**run));  // a repeat
      return done(WithReason(
          absl::FailedPreconditionError(StrCat(DeploymentName(status.id), " is in stage '",
                                               StageName(status), "', not in '", from_stage, "'")),
          "WRONG_STAGE"));
    }
    Command(
        std::move(target),
        [full](const Run& run) -> deployment::Event {
          return deployment::Promote{run.status.stage, full};
        },
        std::move(done));
  });
}

void ControllerImpl::Pause(std::string target, Done<DeploymentView> done) {
  Command(
      std::move(target),
      [this](const Run& run) -> deployment::Event { return deployment::Pause{ElapsedNs(run)}; },
      std::move(done));
}

void ControllerImpl::Resume(std::string target, Done<DeploymentView> done) {
  Command(
      std::move(target), [](const Run&) -> deployment::Event { return deployment::Resume{}; },
      std::move(done));
}

void ControllerImpl::Abort(std::string target, Done<DeploymentView> done) {
  Command(
      std::move(target), [](const Run&) -> deployment::Event { return deployment::Abort{}; },
      std::move(done));
}

void ControllerImpl::Retry(std::string target, std::string idempotency_key,
                           Done<DeployOutcome> done) {
  OnStrand([this, target = std::move(target), key = std::move(idempotency_key),
            done = std::move(done)]() mutable {
    absl::StatusOr<Run*> found = FindTarget(target);
    if (!found.ok()) return done(found.status());
    const deployment::DeploymentStatus& status = (*found)->status;
    if (AgentEntry* its = book_.Find(std::string_view(status.agent)); its != nullptr) {
      if (Run* repeat = FindRepeat(*its, key); repeat != nullptr) {
        return done(DeployOutcome{.view = ViewOf(*repeat)});
      }
    }
    if (status.state != DeploymentState::kFailed && status.state != DeploymentState::kRolledBack) {
      return done(
          WithReason(absl::FailedPreconditionError(StrCat(
                         DeploymentName(status.id), " is ", DeploymentStateName(status.state),
                         "; only what has failed or was rolled back can be tried again")),
                     "NOT_ENDED"));
    }
    AgentEntry* agent = book_.Find(std::string_view(status.agent));
    if (agent != nullptr && agent->closed) return done(Removing(status.agent));
    std::shared_ptr<const Revision> old = agent ? agent->Find(status.candidate.number) : nullptr;
    if (old == nullptr || !d_.artifacts->KeepModule(old->module)) {
      return done(
          WithReason(absl::NotFoundError("its module is not kept any more"), "NO_SUCH_MODULE"));
    }
    DeployRequest request;
    request.agent = status.agent;
    request.label = status.label;
    request.module = old->module;
    request.idempotency_key = std::move(key);
    request.allow_breaking = !status.allowed_by.empty();
    request.requested_by = status.allowed_by;
    Revision revision = *old;
    revision.created_ns = d_.clock->WallNanos();
    deployment::DeploymentPlan plan = status.plan;
    Create(std::move(request), std::move(revision), std::move(plan), std::move(done));
  });
}

// ---- rollback

void ControllerImpl::Rollback(RollbackRequest request, Done<RollbackOutcome> done) {
  OnStrand([this, request = std::move(request), done = std::move(done)]() mutable {
    OnRollback(std::move(request), std::move(done));
  });
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
  if (run->waiting.size() >= kMaxWaitingCommands) return done(TooManyCommands(*run));
  // A queued deployment is no obstacle: what serves is what is rolled back.
  if (run->status.queued && agent->active.valid()) run = FindRun(agent->active);
  // The revision before is still warm: one table, no compile and no spawn.
  const deployment::DeploymentStatus& s = run->status;
  const bool warm = s.state == DeploymentState::kValidating ||
                    s.state == DeploymentState::kDeploying ||
                    (s.state == DeploymentState::kRunning && !s.finalized && s.has_stable());
  if (warm && (!request.to.valid() || request.to == s.stable.number)) {
    return RollbackRun(run, request.drain_ns, std::move(done));
  }
  // Named itself and rolled back already: a repeat.
  const bool named = request.target == DeploymentName(s.id);
  if (named && s.state == DeploymentState::kRolledBack && !request.to.valid()) {
    return RollbackRun(run, request.drain_ns, std::move(done));
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
  Redeploy(agent, *to, std::move(done));
}

void ControllerImpl::RollbackRun(Run* run, int64_t drain_ns, Done<RollbackOutcome> done) {
  const DeploymentId id = run->status.id;
  Step(id, deployment::Rollback{drain_ns},
       [this, id, done = std::move(done)](absl::Status status) mutable {
         if (!status.ok()) return done(std::move(status));
         auto answer = [this, id, done = std::move(done)]() mutable {
           Run* run = FindRun(id);
           if (run == nullptr) return done(absl::NotFoundError("the deployment is gone"));
           RollbackOutcome outcome{.view = ViewOf(*run)};
           if (outcome.view.candidate) outcome.from = outcome.view.candidate->Name();
           if (outcome.view.stable) outcome.to = outcome.view.stable->Name();
           done(std::move(outcome));
         };
         Run* run = FindRun(id);
         const bool drains = run != nullptr && run->status.rolling_back;
         // By this server: what an earlier one withdrew has no processes any more.
         const bool cleaning = run != nullptr && run->status.withdrawn &&
                               run->rollback_decided_ns != 0 &&
                               run->status.rollback.cleaned_ns == 0;
         if (drains || cleaning) {
           run->when_rolled_back.push_back(std::move(answer));
         } else {
           answer();
         }
       });
}

bool ControllerImpl::Restorable(const AgentEntry& agent, RevisionNumber number) const {
  std::shared_ptr<const Revision> revision = agent.Find(number);
  if (revision == nullptr || agent.IsWithdrawn(number)) return false;
  // Of the newest kMaxArtifactsPerAgent that can be: a row of bad ones does not push out the good.
  const auto newer =
      std::count_if(agent.revisions.upper_bound(number), agent.revisions.end(),
                    [&agent](const auto& entry) { return !agent.IsWithdrawn(entry.first); });
  return static_cast<size_t>(newer) < kMaxArtifactsPerAgent &&
         d_.artifacts->HasModule(revision->module);
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
                " cannot be restored: it was withdrawn, is unknown, or is not kept any more")),
            "NOT_RESTORABLE"),
        StrCat("`caxton agent history ", agent.record.name, "` shows which can"));
  }
  for (auto it = agent.revisions.rbegin(); it != agent.revisions.rend(); ++it) {
    const auto& [number, revision] = *it;
    if (number >= serving || !Restorable(agent, number)) continue;
    // One that ran for good, and is not what runs now under another number.
    auto made_by = runs_.find(revision->deployment);
    const bool ran = made_by == runs_.end() || made_by->second->status.running_ns != 0;
    if (ran && (now == nullptr || !now->SameContent(*revision))) return number;
  }
  return WithFix(
      WithReason(absl::FailedPreconditionError(StrCat("agent '", agent.record.name,
                                                      "' has no earlier revision to return to")),
                 "NOTHING_TO_RESTORE"),
      StrCat("deploy a module that works, or see `caxton agent history ", agent.record.name, "`"));
}

// After the cleanup window: a new deployment of the kept artifact, without stages.
void ControllerImpl::Redeploy(AgentEntry* agent, RevisionNumber to, Done<RollbackOutcome> done) {
  std::shared_ptr<const Revision> from = agent->Find(agent->Serving().number);
  Revision revision = *agent->Find(to);
  revision.created_ns = d_.clock->WallNanos();
  DeployRequest request;
  request.agent = agent->record.name;
  request.label = revision.version;
  request.module = revision.module;
  // Its contracts may be narrower than those it is restored from; it must come back all the same.
  request.allow_breaking = true;
  request.requested_by = "rollback";
  absl::StatusOr<deployment::DeploymentPlan> plan = PlanFor(DeploymentSpec{}, agent);
  if (!plan.ok()) return done(plan.status());
  Create(std::move(request), std::move(revision), *std::move(plan),
         [this, from, done = std::move(done)](absl::StatusOr<DeployOutcome> made) mutable {
           if (!made.ok()) return done(made.status());
           const DeploymentId id = made->view.status.id;
           FindRun(id)->when_settled.push_back([this, id, from, done = std::move(done)]() mutable {
             Run* run = FindRun(id);
             if (run == nullptr || run->status.state != DeploymentState::kRunning) {
               const std::string why = run == nullptr ? "its agent was removed" : run->status.error;
               return done(WithReason(absl::FailedPreconditionError(
                                          StrCat("the kept revision could not be restored: ", why)),
                                      "RESTORE_FAILED"));
             }
             RollbackOutcome outcome{.view = ViewOf(*run)};
             if (from) outcome.from = from->Name();
             if (outcome.view.candidate) outcome.to = outcome.view.candidate->Name();
             done(std::move(outcome));
           });
         });
}

// ---- remove

void ControllerImpl::RemoveAgent(std::string name, router::RemoveMode mode,
                                 Done<RemoveOutcome> done) {
  OnStrand([this, name = std::move(name), mode, done = std::move(done)]() mutable {
    OnRemove(name, mode, std::move(done));
  });
}

void ControllerImpl::OnRemove(const std::string& name, router::RemoveMode mode,
                              Done<RemoveOutcome> done) {
  AgentEntry* agent = book_.Find(std::string_view(name));
  if (agent == nullptr) return done(NoSuchAgent(name));
  if (agent->closed) return done(Removing(name));
  const journal::CounterRow counters = d_.journal->Counters(agent->record.id);
  if (mode == router::RemoveMode::kRefuseIfWaiting && counters.waiting > 0) {
    return done(
        WithFix(WithReason(absl::FailedPreconditionError(StrCat(
                               "agent '", name, "' has ", counters.waiting, " messages waiting")),
                           "MESSAGES_WAITING"),
                "say what happens to them: --drain, --dead-letter or --purge"));
  }
  agent->closed = true;
  PublishAgent(agent);
  RecordRemoval(agent, mode,
                [this, id = agent->record.id, mode, counters, done = std::move(done)]() mutable {
                  RemoveOutcome outcome;
                  if (mode == router::RemoveMode::kDrain) {
                    outcome.drained = static_cast<int64_t>(counters.waiting);
                  }
                  BeginRemoval(id, mode, outcome, std::move(done));
                });
}

void ControllerImpl::BeginRemoval(AgentId id, router::RemoveMode mode, RemoveOutcome outcome,
                                  Done<RemoveOutcome> done) {
  if (mode == router::RemoveMode::kDrain) {
    AwaitDrained(id, mode, outcome, d_.clock->MonoNanos() + kMaxDrainNs, std::move(done));
  } else {
    Discard(id, mode, outcome, std::move(done));
  }
}

void ControllerImpl::RecordRemoval(AgentEntry* agent, std::optional<router::RemoveMode> mode,
                                   absl::AnyInvocable<void()> then) {
  agent->record.removing = mode.has_value() ? static_cast<uint8_t>(*mode) + 1 : 0;
  journal::CommitOp op;
  std::string bytes;
  journal::Encode(agent->record, &bytes);
  op.rows.Put(journal::Table::kAgents, journal::AgentKey(agent->record.id), std::move(bytes));
  op.durable = [this, then = std::move(then)]() mutable { OnStrand(std::move(then)); };
  d_.journal->committer().Submit(std::move(op));
}

void ControllerImpl::AwaitDrained(AgentId id, router::RemoveMode mode, RemoveOutcome outcome,
                                  int64_t deadline_ns, Done<RemoveOutcome> done) {
  AgentEntry* agent = book_.Find(id);
  if (agent == nullptr) return done(absl::NotFoundError("the agent is gone"));
  if (agent->load->waiting_messages.load() <= 0) return Discard(id, mode, outcome, std::move(done));
  if (d_.clock->MonoNanos() >= deadline_ns) {
    agent->closed = false;
    PublishAgent(agent);
    return RecordRemoval(agent, std::nullopt, [done = std::move(done)]() mutable {
      done(WithFix(WithReason(absl::DeadlineExceededError(
                                  "its messages were not handled within 10m; it stays"),
                              "DRAIN_TIMEOUT"),
                   "remove it with --dead-letter or --purge"));
    });
  }
  d_.executor->PostAfter(kDrainPollNs,
                         [this, id, mode, outcome, deadline_ns, done = std::move(done)]() mutable {
                           AwaitDrained(id, mode, outcome, deadline_ns, std::move(done));
                         });
}

void ControllerImpl::Discard(AgentId id, router::RemoveMode mode, RemoveOutcome outcome,
                             Done<RemoveOutcome> done) {
  const journal::CounterRow before = d_.journal->Counters(id);
  d_.router->DiscardWaiting(
      id, mode, [this, id, outcome, before, done = std::move(done)]() mutable {
        OnStrand([this, id, outcome, before, done = std::move(done)]() mutable {
          const journal::CounterRow after = d_.journal->Counters(id);
          outcome.dead_lettered = static_cast<int64_t>(after.dead - before.dead);
          outcome.dropped = static_cast<int64_t>(after.dropped - before.dropped);
          EraseAgent(id, outcome, std::move(done));
        });
      });
}

void ControllerImpl::EraseRows(AgentId id, journal::RowBatch* rows) {
  const std::string prefix = journal::AgentKey(id);
  const std::string end = journal::PrefixEnd(prefix);
  for (journal::Table table :
       {journal::Table::kInbox, journal::Table::kHeld, journal::Table::kRetained,
        journal::Table::kRevisions, journal::Table::kRoutes}) {
    rows->DeleteRange(table, prefix, end);
  }
}

// Its dead letters and counters stay: they are the record of what became of its messages.
void ControllerImpl::EraseAgent(AgentId id, RemoveOutcome outcome, Done<RemoveOutcome> done) {
  AgentEntry* agent = book_.Find(id);
  if (agent == nullptr) return done(absl::NotFoundError("the agent is gone"));
  journal::CommitOp op;
  journal::AgentRecord tombstone = agent->record;
  tombstone.removed = true;
  std::string bytes;
  journal::Encode(tombstone, &bytes);
  op.rows.Put(journal::Table::kAgents, journal::AgentKey(id), std::move(bytes));
  EraseRows(id, &op.rows);
  for (DeploymentId deployment : agent->history) {
    EraseDeployment(deployment, &op.rows);
    DropRun(deployment);
  }
  for (const auto& [number, revision] : agent->revisions) {
    d_.validator->Cancel(revision->ref);
    d_.supervisor->Stop(revision->ref, [] {});
  }
  d_.router->Forget(id);
  book_.Remove(id);
  op.durable = [this, outcome, done = std::move(done)]() mutable {
    OnStrand([outcome, done = std::move(done)]() mutable { done(outcome); });
  };
  d_.journal->committer().Submit(std::move(op));
}

}  // namespace caxton::controller
