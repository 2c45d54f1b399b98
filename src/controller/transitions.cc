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

absl::Status Gone() {
  return WithReason(absl::NotFoundError("the deployment is gone: its agent was removed"),
                    "NO_SUCH_DEPLOYMENT");
}
absl::Status Stopping() {
  return WithReason(absl::UnavailableError("the server is stopping"), "STOPPING");
}

}  // namespace

void ControllerImpl::Step(DeploymentId id, deployment::Event event, Then then) {
  Run* run = FindRun(id);
  if (run == nullptr || stopped_) {
    if (then) then(run == nullptr ? Gone() : Stopping());
    return;
  }
  if (run->busy) {
    run->waiting.emplace_back(std::move(event), std::move(then));
    return;
  }
  Begin(run, std::move(event), std::move(then));
}

void ControllerImpl::Begin(Run* run, deployment::Event event, Then then) {
  const DeploymentId id = run->status.id;
  absl::StatusOr<deployment::Transition> next =
      deployment::Apply(run->status, event, d_.clock->WallNanos());
  if (!next.ok() || !next->changed) {
    // Busy while effects run: an effect may raise the next event, which then waits its turn.
    run->busy = true;
    if (next.ok()) CarryOut(id, std::move(next->effects));
    if (then) then(next.status());
    Finish(id);
    return;
  }
  run->busy = true;
  ++run->generation;
  const std::string_view name = deployment::EventName(event);
  if (next->withdrawal) {
    CarryOutWithdrawal(run, *std::move(next), std::move(then));
    if (d_.on_transition) d_.on_transition(ViewOf(*run), name);
    return;
  }
  run->status = next->status;
  journal::CommitOp op = RecordOf(run, next->effects);
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
    auto [event, then] = std::move(run->waiting.front());
    run->waiting.pop_front();
    if (!stopped_) return Begin(run, std::move(event), std::move(then));
    if (then) then(Stopping());
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
  const bool judged = to.candidate.number.valid() && run.status.judged();
  route.deployment = judged ? run.status.id : DeploymentId();
  return route;
}

journal::CommitOp ControllerImpl::RecordOf(Run* run, const std::vector<Effect>& effects) {
  journal::CommitOp op;
  std::string bytes;
  deployment::EncodeStatus(run->status, &bytes);
  op.rows.Put(journal::Table::kDeployments, journal::DeploymentKey(run->status.id),
              std::move(bytes));
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
void ControllerImpl::CarryOutWithdrawal(Run* run, deployment::Transition transition, Then then) {
  const DeploymentId id = run->status.id;
  run->rollback_decided_ns = d_.clock->MonoNanos();
  run->status = transition.status;
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
  route.withdrawn.push_back(withdraw.revision.number);
  if (route.withdrawn.size() > journal::kMaxWithdrawnKept)
    route.withdrawn.erase(route.withdrawn.begin());
  agent->route = route;
  journal::CommitOp op = RecordOf(run, {});
  AgentBook::PutRoute(route, &op.rows);
  d_.router->Withdraw(withdraw.revision, book_.Snapshot(*agent), std::move(op),
                      [this, id, effects = std::move(transition.effects),
                       then = std::move(then)](router::WithdrawReport report) mutable {
                        OnStrand([this, id, report, effects = std::move(effects),
                                  then = std::move(then)]() mutable {
                          if (Run* run = FindRun(id); run != nullptr) {
                            deployment::RollbackPhases& phases = run->status.rollback;
                            phases.diverted_ns = std::max<int64_t>(report.last_dispatch_ns, 1);
                            phases.interrupted_ns = std::max<int64_t>(report.diverted_ns, 1);
                            phases.restored_ns = std::max<int64_t>(report.durable_ns, 1);
                            phases.redelivered_ns = std::max<int64_t>(report.diverted_ns, 1);
                            run->interrupted = report.interrupted;
                            run->redelivered = report.redelivered;
                          }
                          CarryOut(id, std::move(effects));
                          if (then) then(absl::OkStatus());
                          Finish(id);
                        });
                      });
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
      for (auto& answer : std::exchange(run->when_settled, {})) answer();
    }
    void operator()(const deployment::RunNextQueued&) { self->RunNextQueued(agent, id); }
  };
  std::visit(Visitor{this, run, id, agent}, effect);
}

// ---- validation and preparation

void ControllerImpl::DoValidate(Run* run) {
  const DeploymentId id = run->status.id;
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  d_.validator->Validate(*agent->Find(run->status.candidate.number),
                         run->status.plan.validate_limit_ns,
                         [this, id](absl::StatusOr<validation::ValidationReport> report) {
                           OnStrand([this, id, report = std::move(report)]() mutable {
                             OnValidated(id, std::move(report));
                           });
                         });
}

void ControllerImpl::OnValidated(DeploymentId id,
                                 absl::StatusOr<validation::ValidationReport> report) {
  Run* run = FindRun(id);
  if (run == nullptr || run->status.state != DeploymentState::kValidating)
    return;  // aborted meanwhile
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  if (agent == nullptr) return;
  if (!report.ok()) {
    Step(id,
         deployment::ValidationFailed{
             StrCat("validation could not run: ", StdView(report.status().message()))},
         nullptr);
    return;
  }
  run->validation = *report;
  if (!report->ok()) {
    Step(id, deployment::ValidationFailed{report->Summary()}, nullptr);
    return;
  }
  const std::string& manifest_name = report->traits.manifest_name;
  if (!manifest_name.empty() && manifest_name != run->status.agent) {
    Step(id,
         deployment::ValidationFailed{StrCat("the module's manifest says that it is agent '",
                                             manifest_name, "', not '", run->status.agent,
                                             "'. To fix: deploy it with --name ", manifest_name,
                                             ", or change the manifest")},
         nullptr);
    return;
  }
  Revision revision = *agent->Find(run->status.candidate.number);
  revision.traits = report->traits;
  journal::CommitOp op;
  book_.UpdateRevision(agent, std::move(revision), &op.rows);
  d_.journal->committer().Submit(std::move(op));
  Step(id, deployment::ValidationPassed{}, nullptr);
}

void ControllerImpl::GetWorkers(const Revision& revision, int64_t limit_ns, bool may_compile,
                                WorkersReady ready) {
  d_.supervisor->Prepare(
      revision, limit_ns,
      [this, revision, limit_ns, may_compile,
       ready = std::move(ready)](supervisor::Supervisor::Prepared got) mutable {
        OnStrand([this, revision, limit_ns, may_compile, ready = std::move(ready),
                  got = std::move(got)]() mutable {
          if (got.ok() || !absl::IsNotFound(got.status()) || !may_compile)
            return ready(std::move(got));
          // The cache lost its native code (another engine or processor, or a swept file): make it
          // again.
          d_.validator->Validate(
              revision, limit_ns,
              [this, revision, limit_ns, ready = std::move(ready)](
                  absl::StatusOr<validation::ValidationReport> report) mutable {
                OnStrand([this, revision, limit_ns, ready = std::move(ready),
                          report = std::move(report)]() mutable {
                  if (!report.ok()) return ready(report.status());
                  if (!report->ok()) {
                    return ready(absl::FailedPreconditionError(AbslView(report->Summary())));
                  }
                  GetWorkers(revision, limit_ns, false, std::move(ready));
                });
              });
        });
      });
}

void ControllerImpl::DoPrepare(DeploymentId id) {
  Run* run = FindRun(id);
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  const RevisionRef ref = run->status.candidate;
  GetWorkers(*agent->Find(ref.number), run->status.plan.warm_up_limit_ns, true,
             [this, id, ref](absl::StatusOr<std::shared_ptr<supervisor::RevisionWorkers>> workers) {
               OnPrepared(id, ref, std::move(workers));
             });
}

void ControllerImpl::OnPrepared(
    DeploymentId id, RevisionRef ref,
    absl::StatusOr<std::shared_ptr<supervisor::RevisionWorkers>> workers) {
  Run* run = FindRun(id);
  if (run == nullptr || run->status.state != DeploymentState::kDeploying || run->status.prepared) {
    // Aborted or removed while it was starting: its StopRevision may have come before there was
    // something to stop.
    if (run == nullptr || run->status.final()) d_.supervisor->Stop(ref, [] {});
    return;
  }
  if (!workers.ok()) {
    Step(id, deployment::PrepareFailed{std::string(StdView(workers.status().message()))}, nullptr);
    return;
  }
  SetRunning(run->status.candidate, *std::move(workers));
  const int64_t hold_ns = run->status.plan.warm_up_hold_ns;
  if (hold_ns > 0) {
    d_.executor->PostAfter(hold_ns, [this, id] { GiveTraffic(id); });
  } else {
    GiveTraffic(id);
  }
}

// A route names at most two revisions: an older deployment's cleanup window ends before the newer
// one gets traffic. If it is being rolled back instead, that comes to its end first; what serves
// then is what this one takes over from.
void ControllerImpl::GiveTraffic(DeploymentId id) {
  Run* run = FindRun(id);
  if (run == nullptr || stopped_ || run->status.state != DeploymentState::kDeploying ||
      run->status.prepared) {
    return;
  }
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  for (DeploymentId other : agent->history) {
    Run* older = FindRun(other);
    if (older == nullptr || other == id || older->status.finalized ||
        older->status.state != DeploymentState::kRunning) {
      continue;
    }
    Step(other, deployment::CleanupElapsed{ReportOf(*older)},
         [this, id](const absl::Status& ended) {
           d_.executor->PostAfter(ended.ok() ? 0 : kBusyPollNs, [this, id] { GiveTraffic(id); });
         });
    return;
  }
  run->status.stable = agent->Serving();
  Step(id, deployment::Prepared{}, nullptr);
}

// Whether a deployment still needs workers of this revision, in the route or warm beside it.
bool ControllerImpl::Wanted(const AgentEntry& agent, RevisionNumber number) {
  if (agent.route.stable == number || agent.route.candidate == number) return true;
  for (DeploymentId id : agent.history) {
    const Run* run = FindRun(id);
    if (run == nullptr) continue;
    const deployment::DeploymentStatus& s = run->status;
    const bool holds = s.state == DeploymentState::kDeploying ||
                       (s.state == DeploymentState::kRunning && !s.finalized);
    if (holds && (s.candidate.number == number || s.stable.number == number)) return true;
  }
  return false;
}

void ControllerImpl::StartWorkers(RevisionRef ref) {
  AgentEntry* agent = book_.Find(ref.agent);
  if (agent == nullptr || !ref.number.valid() || agent->running.contains(ref.number)) return;
  std::shared_ptr<const Revision> revision = agent->Find(ref.number);
  if (revision == nullptr) return;
  GetWorkers(*revision, kPrepareGraceNs * 12, true,
             [this, ref](absl::StatusOr<std::shared_ptr<supervisor::RevisionWorkers>> workers) {
               if (stopped_) return;
               AgentEntry* agent = book_.Find(ref.agent);
               if (agent == nullptr || !Wanted(*agent, ref.number)) {
                 d_.supervisor->Stop(ref, [] {});
               } else if (workers.ok()) {
                 SetRunning(ref, *std::move(workers));
               } else {
                 // What served before the restart must serve again: its messages wait for it.
                 d_.executor->PostAfter(kTickNs, [this, ref] { StartWorkers(ref); });
               }
             });
}

void ControllerImpl::SetRunning(RevisionRef ref,
                                std::shared_ptr<supervisor::RevisionWorkers> workers) {
  AgentEntry* agent = book_.Find(ref.agent);
  if (agent == nullptr) return;
  router::RevisionRoute& running = agent->running[ref.number];
  if (running.load == nullptr) running.load = std::make_shared<router::RevisionLoad>();
  running.revision = agent->Find(ref.number);
  running.workers = std::move(workers);
  if (agent->route.stable == ref.number || agent->route.candidate == ref.number)
    PublishAgent(agent);
}

// ---- draining and stopping

void ControllerImpl::DoDrain(DeploymentId id, RevisionRef ref, int64_t deadline_ns) {
  Run* run = FindRun(id);
  AgentEntry* agent = book_.Find(ref.agent);
  if (run == nullptr || agent == nullptr) return;
  auto it = agent->running.find(ref.number);
  const bool idle = it == agent->running.end() || it->second.load->running.load() == 0;
  if (idle || d_.clock->MonoNanos() >= deadline_ns) {
    Step(id, deployment::Drained{}, nullptr);
    return;
  }
  d_.executor->PostAfter(kDrainPollNs,
                         [this, id, ref, deadline_ns] { DoDrain(id, ref, deadline_ns); });
}

void ControllerImpl::DoStopRevision(DeploymentId id, RevisionRef ref) {
  if (AgentEntry* agent = book_.Find(ref.agent); agent != nullptr) {
    CAXTON_ASSERT(agent->route.stable != ref.number && agent->route.candidate != ref.number,
                  "a revision is stopped only when no route names it");
    agent->running.erase(ref.number);
  }
  d_.validator->Cancel(ref);
  d_.supervisor->Stop(ref, [this, id] {
    OnStrand([this, id] {
      Run* run = FindRun(id);
      if (run == nullptr) return;
      if (run->status.withdrawn) {
        run->status.rollback.cleaned_ns = d_.clock->MonoNanos() - run->rollback_decided_ns;
        d_.journal->committer().Submit(RecordOf(run, {}));  // the phases' times, for later readers
      }
      for (auto& done : std::exchange(run->when_rolled_back, {})) done();
      Notify(*run, false);
    });
  });
}

// ---- judge and clock

void ControllerImpl::StartJudge(Run* run) {
  run->judge = analysis::MakeThresholdJudge(run->status.plan.conditions);
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
  if (!verdict.has_value()) return;
  run->judge_spoke = true;
  Step(run->status.id, deployment::JudgeVerdict{*std::move(verdict)}, nullptr);
}

deployment::StageReport ControllerImpl::ReportOf(const Run& run) const {
  const deployment::DeploymentStatus& s = run.status;
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
  if (!ticking_) {
    ticking_ = true;
    d_.executor->PostAfter(kTickNs, [this] { Tick(); });
  }
}

void ControllerImpl::OnTimeUp(DeploymentId id, bool cleanup) {
  Run* run = FindRun(id);
  if (run == nullptr || stopped_) return;
  if (!run->busy) TickJudge(run);
  if (run->busy) {
    // What is on its way to the disk may end this stage, and then stops the timer.
    run->timer =
        d_.executor->PostAfter(kBusyPollNs, [this, id, cleanup] { OnTimeUp(id, cleanup); });
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

// A candidate that is not well fails its stage, whatever its steps say.
void ControllerImpl::CheckWell(Run* run) {
  if (run->status.state != DeploymentState::kDeploying || !run->status.prepared) return;
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  auto it = agent->running.find(run->status.candidate.number);
  std::string why;
  if (it == agent->running.end()) {
    why = "its workers cannot be started";
  } else if (const supervisor::WorkersStatus now = it->second.workers->status(); !now.healthy) {
    why = StrCat("its health check fails: ", now.note);
  } else if (now.running == 0) {
    why = "none of its workers stays up";
  }
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
    const bool watched_pause =
        run->status.state == DeploymentState::kDeploying && run->judge != nullptr;
    if (!run->clock_runs && !watched_pause) continue;
    ticking_ = true;
    if (run->busy) continue;
    TickJudge(run.get());
    if (!run->busy) CheckWell(run.get());
    if (run->busy) continue;
    if (run->clock_runs) RecordProgress(run.get());
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

// ---- queue and bounds

// `ended` gives way; a deployment that is rolled back in its cleanup window is not the active one.
void ControllerImpl::RunNextQueued(AgentEntry* agent, DeploymentId ended) {
  if (agent->active == ended) agent->active = DeploymentId();
  if (agent->active.valid() || agent->queued.empty() || agent->closed) return;
  std::vector<DeploymentId> waiting = std::exchange(agent->queued, {});
  const DeploymentId next = waiting.back();
  waiting.pop_back();
  for (DeploymentId overtaken : waiting) Step(overtaken, deployment::Abort{}, nullptr);
  Run* run = FindRun(next);
  if (run == nullptr || run->status.final()) return;
  agent->active = next;
  Step(next, deployment::Dequeued{agent->Serving(), run->status.plan}, nullptr);
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
    op.rows.Delete(journal::Table::kDeployments, journal::DeploymentKey(id));
    op.rows.DeleteRange(journal::Table::kEvidence, journal::DeploymentKey(id),
                        journal::PrefixEnd(journal::DeploymentKey(id)));
    DropRun(id);
  }
  if (!op.rows.empty()) d_.journal->committer().Submit(std::move(op));
}

void ControllerImpl::ForgetRevision(AgentEntry* agent, RevisionNumber number,
                                    journal::RowBatch* rows) {
  if (Wanted(*agent, number) || Restorable(*agent, number)) return;
  agent->revisions.erase(number);
  rows->Delete(journal::Table::kRevisions,
               journal::RevisionKey(RevisionRef{agent->record.id, number}));
}

// Whoever waits for something of it is told that it is gone.
void ControllerImpl::DropRun(DeploymentId id) {
  auto node = runs_.extract(id);
  if (node.empty()) return;
  Run* run = node.mapped().get();
  StopClock(run);
  for (auto& [event, then] : run->waiting) {
    if (then) then(Gone());
  }
  for (auto& answer : run->when_rolled_back) answer();
  for (auto& answer : run->when_settled) answer();
}

}  // namespace caxton::controller
