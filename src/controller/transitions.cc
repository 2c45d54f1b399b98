// SPDX-License-Identifier: Apache-2.0
//
// Events go through the state machine here; its records go to the journal and its effects are
// carried out. Ask at each line: what if the process dies here? The record is on the disk before an
// effect gives traffic; a withdrawal's record travels with its fence. Recovered (recovery.cc)
// repeats every effect from the record alone.
#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/journal/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentState;
using deployment::Effect;

namespace {

absl::Status Stopping() {
  return WithReason(absl::UnavailableError("the server is stopping"), "STOPPING");
}

}  // namespace

absl::Status ControllerImpl::Gone() {
  return WithReason(absl::NotFoundError("the deployment is gone: its agent was removed"),
                    "NO_SUCH_DEPLOYMENT");
}

void ControllerImpl::Step(DeploymentId id, deployment::Event event, Then then, CommandTerms terms) {
  Run* run = FindRun(id);
  if (run == nullptr || stopped_) {
    if (then) then(run == nullptr ? Gone() : Stopping());
    return;
  }
  Waiting next{std::move(event), std::move(terms), std::move(then)};
  if (run->busy) {
    run->waiting.push_back(std::move(next));
    return;
  }
  Begin(run, std::move(next));
}

void ControllerImpl::Begin(Run* run, Waiting asked) {
  const DeploymentId id = run->status.id;
  Then then = std::move(asked.then);
  absl::Status changed_since = CheckEtag(*run, asked.terms.etag);
  absl::StatusOr<deployment::Transition> next =
      changed_since.ok() ? deployment::Apply(run->status, asked.event, d_.clock->WallNanos())
                         : absl::StatusOr<deployment::Transition>(std::move(changed_since));
  if (!next.ok() || !next->changed) {
    // Busy while effects run: an effect may raise the next event, which then waits its turn.
    run->busy = true;
    if (next.ok()) CarryOut(id, std::move(next->effects));
    if (then) then(next.status());
    Finish(id);
    return;
  }
  run->busy = true;
  const std::string_view name = deployment::EventName(asked.event);
  if (next->withdrawal) {
    CarryOutWithdrawal(run, *std::move(next), std::move(asked.terms.claim), std::move(then));
    if (d_.on_transition) d_.on_transition(ViewOf(*run), name);
    return;
  }
  const bool drains = next->status.rolling_back && !run->status.rolling_back;
  run->status = next->status;
  if (drains) {
    run->rollback_decided_ns = d_.clock->MonoNanos();
    run->status.rollback = {};
  }
  journal::CommitOp op = RecordOf(run, next->effects, std::move(asked.terms.claim));
  op.durable = [this, id, effects = std::move(next->effects), then = std::move(then)]() mutable {
    OnStrand([this, id, effects = std::move(effects), then = std::move(then)]() mutable {
      CarryOut(id, std::move(effects));
      if (then) then(absl::OkStatus());
      Finish(id);
    });
  };
  if (d_.on_transition) d_.on_transition(ViewOf(*run), name);
  d_.journal->committer().Submit(std::move(op));
}

void ControllerImpl::Finish(DeploymentId id) {
  Run* run = FindRun(id);
  if (run == nullptr) return;
  if (run->waiting.empty()) {
    run->busy = false;
    return;
  }
  // As a task of its own, and busy until then: a long queue must not become a deep stack.
  OnStrand([this, id] {
    Run* run = FindRun(id);
    if (run == nullptr) return;
    run->busy = false;
    Waiting next = std::move(run->waiting.front());
    run->waiting.pop_front();
    if (!stopped_) return Begin(run, std::move(next));
    if (next.then) next.then(Stopping());
    Finish(id);
  });
}

journal::RouteRecord ControllerImpl::RouteFor(const AgentEntry& agent, const Run& run,
                                              const deployment::PublishRoute& to) {
  journal::RouteRecord route = agent.route;
  route.stable = to.stable.number;
  route.candidate = to.candidate.number;
  route.weight_ppm = to.weight_ppm;
  route.salt = run.status.salt;
  route.stick_to_message = run.status.plan.stick == Stick::kMessage;
  // While it only waits, nothing is judged.
  const bool judged = to.candidate.number.valid() && run.status.judged() &&
                      to.role != deployment::StageRole::kPreview;
  route.deployment = judged ? run.status.id : DeploymentId();
  route.shadow = to.candidate.number.valid() && to.role == deployment::StageRole::kShadow;
  route.mirror_ppm = route.shadow ? run.status.plan.sample_ppm : 0;
  route.secondary = route.shadow && run.status.plan.secondary;
  return route;
}

journal::CommitOp ControllerImpl::RecordOf(Run* run, const std::vector<Effect>& effects,
                                           CommandClaim claim) {
  journal::CommitOp op;
  claim.record.deployment = run->status.id;
  PutClaim(claim, &op.rows);
  std::string bytes;
  deployment::EncodeStatus(run->status, &bytes);
  op.rows.Put(journal::Table::kDeployments, journal::DeploymentKey(run->status.id),
              std::move(bytes));
  PutDecided(*run, &op.rows);
  for (const Effect& effect : effects) {
    if (const auto* to = std::get_if<deployment::PublishRoute>(&effect)) {
      AgentEntry* agent = book_.Find(run->status.candidate.agent);
      AgentBook::PutRoute(RouteFor(*agent, *run, *to), &op.rows);
    }
  }
  return op;
}

void ControllerImpl::CarryOut(DeploymentId id, std::vector<Effect> effects) {
  for (const Effect& effect : effects) {
    Run* run = FindRun(id);
    if (run == nullptr) return;
    Do(run, effect);
  }
}

// Table swapped and committer fenced at once, the record ahead of all that is queued; what is left
// follows the record.
void ControllerImpl::CarryOutWithdrawal(Run* run, deployment::Transition transition,
                                        CommandClaim claim, Then then) {
  const DeploymentId id = run->status.id;
  const int64_t began_ns = d_.clock->MonoNanos();
  const bool drained = run->status.rolling_back && run->rollback_decided_ns != 0;
  run->status = transition.status;
  if (!drained) {  // one that restored an older revision has phases of its own, which are over
    run->rollback_decided_ns = began_ns;
    run->status.rollback = {};
  }
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  const auto is_withdraw = [](const Effect& e) {
    return std::holds_alternative<deployment::Withdraw>(e);
  };
  const auto at = std::find_if(transition.effects.begin(), transition.effects.end(), is_withdraw);
  CAXTON_ASSERT(at != transition.effects.end(), "a withdrawal withdraws");
  const auto withdraw = std::get<deployment::Withdraw>(*at);
  transition.effects.erase(at);

  journal::RouteRecord route = agent->route;
  route.stable = withdraw.restore.number;
  route.candidate = RevisionNumber();
  route.weight_ppm = 0;
  route.deployment = DeploymentId();
  route.shadow = route.secondary = false;
  route.mirror_ppm = 0;
  route.withdrawn.push_back(withdraw.revision.number);
  if (route.withdrawn.size() > journal::kMaxWithdrawnKept)
    route.withdrawn.erase(route.withdrawn.begin());
  agent->route = route;
  journal::CommitOp op = RecordOf(run, {}, std::move(claim));
  AgentBook::PutRoute(route, &op.rows);
  d_.router->Withdraw(withdraw.revision, book_.Snapshot(*agent), std::move(op),
                      [this, id, began_ns, effects = std::move(transition.effects),
                       then = std::move(then)](router::WithdrawReport report) mutable {
                        OnStrand([this, id, began_ns, report, effects = std::move(effects),
                                  then = std::move(then)]() mutable {
                          if (Run* run = FindRun(id); run != nullptr) {
                            NotePhases(run, began_ns - run->rollback_decided_ns, report);
                          }
                          CarryOut(id, std::move(effects));
                          if (then) then(absl::OkStatus());
                          Finish(id);
                        });
                      });
}

// The report counts from the withdrawal, which began `drained_ns` after the decision. What a shard
// interrupts it hands to the restored revision in the same breath.
void ControllerImpl::NotePhases(Run* run, int64_t drained_ns,
                                const router::WithdrawReport& report) {
  const auto since = [drained_ns](int64_t ns) { return std::max<int64_t>(drained_ns + ns, 1); };
  deployment::RollbackPhases& phases = run->status.rollback;
  if (phases.diverted_ns == 0) phases.diverted_ns = since(report.last_dispatch_ns);
  phases.interrupted_ns = since(report.diverted_ns);
  phases.restored_ns = since(report.durable_ns);
  phases.redelivered_ns = since(report.diverted_ns);
  run->interrupted = report.interrupted;
  run->redelivered = report.redelivered;
}

// Where nothing is cut off: while what is rolled back drains, new messages go elsewhere already;
// and what restores an older revision serves once its record is durable and its route published.
void ControllerImpl::NoteDiverted(Run* run) {
  deployment::RollbackPhases& phases = run->status.rollback;
  if (run->rollback_decided_ns == 0 || phases.diverted_ns != 0) return;
  const int64_t elapsed_ns = std::max<int64_t>(d_.clock->MonoNanos() - run->rollback_decided_ns, 1);
  phases.diverted_ns = elapsed_ns;
  if (run->status.restores) phases.restored_ns = elapsed_ns;
}

void ControllerImpl::PublishAgent(AgentEntry* agent) {
  // Before its first revision an agent is not known to senders.
  if (!agent->route.stable.valid() && !agent->route.candidate.valid()) return;
  d_.router->Publish(book_.Snapshot(*agent));
}

void ControllerImpl::Do(Run* run, const Effect& effect) {
  const DeploymentId id = run->status.id;
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  if (agent == nullptr) return;  // removed meanwhile
  struct Visitor {
    ControllerImpl* self;
    Run* run;
    DeploymentId id;
    AgentEntry* agent;
    void operator()(const deployment::Validate&) { self->DoValidate(run); }
    void operator()(const deployment::Prepare&) { self->DoPrepare(id); }
    void operator()(const deployment::StartRevision& e) { self->StartWorkers(e.revision); }
    void operator()(const deployment::PublishRoute& e) {
      agent->route = RouteFor(*agent, *run, e);
      self->PublishAgent(agent);
      self->NoteDiverted(run);
      self->KeepTicking();  // its candidate is watched
    }
    void operator()(const deployment::Withdraw&) {
      CAXTON_ASSERT(false, "carried out before its record");
    }
    void operator()(const deployment::ArmStageTimer& e) {
      self->ArmClock(run, e.remaining_ns, false);
    }
    void operator()(const deployment::ArmCleanupTimer& e) {
      self->ArmClock(run, e.remaining_ns, true);
    }
    void operator()(const deployment::StopTimers&) { self->StopClock(run); }
    void operator()(const deployment::StartJudge&) { self->StartJudge(run); }
    void operator()(const deployment::StopJudge&) {
      if (run->judge) run->last_numbers = run->judge->Numbers();
      run->judge.reset();
      self->StopComparison(run);
    }
    void operator()(const deployment::DrainRevision& e) {
      const int64_t limit = e.limit_ns > 0 ? e.limit_ns : kDefaultDrainNs;
      self->DoDrain(id, e.revision, self->d_.clock->MonoNanos() + limit);
    }
    void operator()(const deployment::StopRevision& e) { self->DoStopRevision(id, e.revision); }
    void operator()(const deployment::FinalizePrevious& e) {
      for (DeploymentId other : agent->history) {
        Run* previous = self->FindRun(other);
        if (previous != nullptr && previous->status.candidate == e.revision &&
            previous->status.state == DeploymentState::kRunning) {
          self->Step(other, deployment::Superseded{}, nullptr);
        }
      }
    }
    void operator()(const deployment::NotifyWatchers&) {
      self->Notify(*run, true);
      const bool under_way = run->status.state == DeploymentState::kValidating ||
                             run->status.state == DeploymentState::kDeploying;
      if (under_way) return;
      if (run->status.state != DeploymentState::kRunning) self->GroupFailed(*run);
      for (auto& answer : std::exchange(run->when_settled, {})) answer();
    }
    void operator()(const deployment::RunNextQueued&) { self->RunNextQueued(agent, id); }
  };
  std::visit(Visitor{this, run, id, agent}, effect);
}

// ---- queue and bounds

// `ended` gives way; a deployment that is rolled back in its cleanup window is not the active one.
void ControllerImpl::RunNextQueued(AgentEntry* agent, DeploymentId ended) {
  if (const Run* run = FindRun(ended); run != nullptr) LeavePlace(run->status);
  if (agent->active == ended) agent->active = DeploymentId();
  if (!agent->active.valid() && !agent->queued.empty() && !agent->closed) {
    std::vector<DeploymentId> waiting = std::exchange(agent->queued, {});
    const DeploymentId next = waiting.back();
    waiting.pop_back();
    for (DeploymentId overtaken : waiting) Step(overtaken, Overtaken(next), nullptr);
    if (Run* run = FindRun(next); run != nullptr && !run->status.final()) {
      agent->active = next;
      if (places_.Take(PlaceOf(run->status))) Dequeue(next);
    }
  }
  FillPlaces();
}

// A group waits for nobody but itself: with a place for each of its members, one larger than the
// server's places, or two that have half of them each, would wait for ever.
DeploymentId ControllerImpl::PlaceOf(const deployment::DeploymentStatus& status) {
  return status.group.empty() ? status.id : status.group.front();
}

// Unless another of its group is still under way.
void ControllerImpl::LeavePlace(const deployment::DeploymentStatus& ended) {
  for (DeploymentId id : ended.group) {
    const Run* member = id == ended.id ? nullptr : FindRun(id);
    if (member == nullptr) continue;
    const DeploymentState state = member->status.state;
    if (state == DeploymentState::kValidating || state == DeploymentState::kDeploying) return;
  }
  places_.Leave(PlaceOf(ended));
}

void ControllerImpl::FillPlaces() {
  while (const auto next = places_.TakeNext()) {
    const Run* run = FindRun(*next);
    if (run == nullptr) {
      places_.Leave(*next);
      continue;
    }
    const std::vector<DeploymentId> group = run->status.group;
    if (group.empty()) Dequeue(*next);
    for (DeploymentId id : group) Dequeue(id);
  }
}

// Its turn at its agent and on the server has come.
void ControllerImpl::Dequeue(DeploymentId id) {
  Run* run = FindRun(id);
  AgentEntry* agent = run ? book_.Find(run->status.candidate.agent) : nullptr;
  if (agent == nullptr || agent->active != id || !run->status.queued) return;
  Step(id, deployment::Dequeued{agent->Serving(), run->status.plan}, nullptr);
}

void ControllerImpl::ForgetOld(AgentEntry* agent) {
  journal::CommitOp op;
  for (auto it = agent->history.begin();
       it != agent->history.end() && agent->history.size() > kMaxDeploymentsPerAgent;) {
    const DeploymentId id = *it;
    Run* run = FindRun(id);
    // One that serves stays, however old it is.
    if (run != nullptr && (!run->status.final() || run->busy)) {
      ++it;
      continue;
    }
    it = agent->history.erase(it);
    if (run != nullptr) ForgetRevision(agent, run->status.candidate.number, &op.rows);
    EraseDeployment(id, &op.rows);
    DropRun(id, NotKept(id));
  }
  if (!op.rows.empty()) d_.journal->committer().Submit(std::move(op));
}

void ControllerImpl::EraseDeployment(DeploymentId id, journal::RowBatch* rows) {
  rows->Delete(journal::Table::kDeployments, journal::DeploymentKey(id));
  EraseEvidence(id, rows);
}

void ControllerImpl::EraseEvidence(DeploymentId id, journal::RowBatch* rows) {
  const std::string key = journal::DeploymentKey(id);
  rows->Delete(journal::Table::kComparisons, key);
  rows->Delete(journal::Table::kComparisons, journal::HistoryKey(id));
  rows->DeleteRange(journal::Table::kEvidence, key, journal::PrefixEnd(key));
}

void ControllerImpl::ForgetRevision(AgentEntry* agent, RevisionNumber number,
                                    journal::RowBatch* rows) {
  if (Wanted(*agent, number) || Restorable(*agent, number)) return;
  agent->revisions.erase(number);
  rows->Delete(journal::Table::kRevisions,
               journal::RevisionKey(RevisionRef{agent->record.id, number}));
}

absl::Status ControllerImpl::NotKept(DeploymentId id) {
  return WithFix(WithReason(absl::NotFoundError(StrCat(deployment::DeploymentName(id),
                                                       " has ended and is not kept any more")),
                            "NO_SUCH_DEPLOYMENT"),
                 "`caxton deployment list` shows those on record");
}

// Whoever waits for something of it, or watches it, is told why it is gone.
void ControllerImpl::DropRun(DeploymentId id, const absl::Status& why) {
  auto node = runs_.extract(id);
  if (node.empty()) return;
  Run* run = node.mapped().get();
  LeavePlace(run->status);
  StopClock(run);
  StopReplay(run);
  if (!run->status.final()) {
    run->status.cause = deployment::EndCause::kRemoved;
    GroupFailed(*run);  // the others of its group would wait for it for ever
  }
  for (Waiting& waiting : run->waiting) {
    if (waiting.then) waiting.then(why);
  }
  for (auto& answer : run->when_rolled_back) answer();
  for (auto& answer : run->when_settled) answer();
  EndWatches(id, why);
}

}  // namespace caxton::controller
