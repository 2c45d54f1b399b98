// SPDX-License-Identifier: Apache-2.0
//
// From validation to workers that are ready for traffic, and back: draining and stopping them.
#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentState;

namespace {

// A full queue at the validator says when to come again. -1: it is not that.
int64_t AskAgainInNs(const absl::Status& status) {
  const int64_t after_ms = RetryAfterMsOf(status);
  return absl::IsResourceExhausted(status) && after_ms >= 0
             ? std::max<int64_t>(after_ms, 1) * kNanosPerMilli
             : -1;
}

}  // namespace

void ControllerImpl::DoValidate(Run* run) {
  const DeploymentId id = run->status.id;
  if (!run->validate_until_ns.has_value()) {
    run->validate_until_ns = d_.clock->MonoNanos() + run->status.plan.validate_limit_ns;
  }
  Examined what{.revision = *CandidateOf(*run),
                .limit_ns = run->status.plan.validate_limit_ns,
                .allow_breaking = !run->status.allowed_by.empty()};
  what.sends = what.revision.traits.sends;
  if (run->validation.has_value()) {
    what.limit_ns = SecondLimit(what.limit_ns, run->validation->took_ns);
  }
  for (DeploymentId member : run->status.group) {
    if (member != id) what.together.push_back(member);
  }
  run->met = ExaminedMembers(*run);
  Examine(std::move(what), [this, id](absl::StatusOr<validation::ValidationReport> report) {
    OnValidated(id, std::move(report));
  });
}

void ControllerImpl::OnValidated(DeploymentId id,
                                 absl::StatusOr<validation::ValidationReport> report) {
  Run* run = FindRun(id);
  if (run == nullptr || run->status.state != DeploymentState::kValidating)
    return;  // aborted meanwhile
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  if (agent == nullptr) return;
  const int64_t again_ns = AskAgainInNs(report.status());
  if (again_ns >= 0 && d_.clock->MonoNanos() + again_ns < *run->validate_until_ns) {
    d_.executor->PostAfter(again_ns, [this, id] {
      Run* run = FindRun(id);
      if (run == nullptr || stopped_ || run->status.state != DeploymentState::kValidating) return;
      if (book_.Find(run->status.candidate.agent) != nullptr) DoValidate(run);
    });
    return;
  }
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
  if (HasUnmetMember(*run)) return DoValidate(run);
  run->status.let_through = LetThrough(*report);  // on record with the next transition
  if (run->status.plan.history > 0) return StartReplay(run);
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
          // The cache lost its native code (another engine or processor, or a swept file).
          CompileAgain({revision, limit_ns, d_.clock->MonoNanos() + limit_ns}, std::move(ready));
        });
      });
}

void ControllerImpl::CompileAgain(Compiled what, WorkersReady ready) {
  d_.validator->Validate(
      what.revision, {.limit_ns = what.limit_ns},
      [this, what,
       ready = std::move(ready)](absl::StatusOr<validation::ValidationReport> report) mutable {
        OnStrand([this, what = std::move(what), ready = std::move(ready),
                  report = std::move(report)]() mutable {
          const int64_t again_ns = AskAgainInNs(report.status());
          if (again_ns >= 0 && d_.clock->MonoNanos() + again_ns < what.until_ns && !stopped_) {
            d_.executor->PostAfter(
                again_ns, [this, what = std::move(what), ready = std::move(ready)]() mutable {
                  CompileAgain(std::move(what), std::move(ready));
                });
            return;
          }
          if (!report.ok()) return ready(report.status());
          if (!report->ok()) {
            return ready(absl::FailedPreconditionError(AbslView(report->Summary())));
          }
          GetWorkers(what.revision, what.limit_ns, false, std::move(ready));
        });
      });
}

void ControllerImpl::DoPrepare(DeploymentId id) {
  Run* run = FindRun(id);
  AgentEntry* agent = book_.Find(run->status.candidate.agent);
  const RevisionRef ref = run->status.candidate;
  run->warm_until_ns = d_.clock->MonoNanos() + run->status.plan.warm_up_limit_ns;
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
  AwaitWell(id);
}

// An agent needs time to become well, and has what is left of warm_up for it.
void ControllerImpl::AwaitWell(DeploymentId id) {
  Run* run = FindRun(id);
  if (run == nullptr || stopped_ || run->status.state != DeploymentState::kDeploying ||
      run->status.prepared) {
    return;
  }
  const AgentEntry* agent = book_.Find(run->status.candidate.agent);
  const auto running = agent->running.find(run->status.candidate.number);
  const bool pending =
      running != agent->running.end() && running->second.workers->status().health_pending;
  const std::string why = pending ? "it did not answer its first health check" : WhyUnwell(*run);
  if (why.empty()) return GiveTraffic(id);
  if (d_.clock->MonoNanos() >= run->warm_until_ns) {
    Step(id, deployment::PrepareFailed{StrCat("it was not well at the end of warm_up: ", why)},
         nullptr);
    return;
  }
  d_.executor->PostAfter(kWellPollNs, [this, id] { AwaitWell(id); });
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
  if (!run->status.group.empty()) return GroupReady(id);
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
  if (Run* run = FindRun(id); run != nullptr) StopReplay(run);
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
        run->status.rollback.cleaned_ns =
            std::max<int64_t>(d_.clock->MonoNanos() - run->rollback_decided_ns, 1);
        d_.journal->committer().Submit(RecordOf(run, {}));  // the phases' times, for later readers
      }
      for (auto& done : std::exchange(run->when_rolled_back, {})) done();
      Notify(*run, false);
    });
  });
}

}  // namespace caxton::controller
