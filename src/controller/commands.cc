// SPDX-License-Identifier: Apache-2.0
//
// What people ask for: promote, pause, resume, abort, retry. What if the process dies here? The
// claim of the caller's idempotency key travels with the effect's record, so that a repeat finds
// both or neither; rollback.cc and removal.cc do the same.
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

// What the request for `revision` had changed of `base`, which served then. Null: it is not kept
// any more, or there was none; then all of it.
RevisionOverrides OverridesOf(const Revision& revision, const Revision* base) {
  RevisionOverrides overrides;
  const auto changed = [&](const auto& now, const auto& before, auto* override) {
    if (base == nullptr || now != before) *override = now;
  };
  const Revision none;
  const Revision& old = base ? *base : none;
  changed(revision.limits.memory_bytes, old.limits.memory_bytes, &overrides.memory_bytes);
  changed(revision.limits.cpu_millis, old.limits.cpu_millis, &overrides.cpu_millis);
  changed(revision.limits.cpu_max_millis, old.limits.cpu_max_millis, &overrides.cpu_max_millis);
  changed(revision.limits.deadline_ns, old.limits.deadline_ns, &overrides.deadline_ns);
  changed(revision.limits.max_message_bytes, old.limits.max_message_bytes,
          &overrides.max_message_bytes);
  changed(revision.limits.instances, old.limits.instances, &overrides.instances);
  changed(revision.delivery.max_attempts, old.delivery.max_attempts, &overrides.max_attempts);
  changed(revision.delivery.mode, old.delivery.mode, &overrides.delivery);
  changed(revision.delivery.on_poison, old.delivery.on_poison, &overrides.on_poison);
  for (const auto& [name, value] : revision.settings) {
    const auto before = old.settings.find(name);
    if (base == nullptr || before == old.settings.end() || before->second != value) {
      overrides.settings[name] = value;
    }
  }
  return overrides;
}

}  // namespace

absl::Status ControllerImpl::Removing(const std::string& agent) {
  return WithReason(absl::FailedPreconditionError(StrCat("agent '", agent, "' is being removed")),
                    "REMOVING");
}

absl::Status ControllerImpl::TooManyCommands(const Run& run) {
  return WithReason(
      absl::ResourceExhaustedError(StrCat(DeploymentName(run.status.id), " has ",
                                          kMaxWaitingCommands, " commands waiting already")),
      "TOO_MANY_COMMANDS");
}

void ControllerImpl::Command(std::string target, CommandTerms terms,
                             std::function<deployment::Event(const Run&)> event,
                             Done<DeploymentView> done) {
  OnStrand([this, target = std::move(target), terms = std::move(terms), event = std::move(event),
            done = std::move(done)]() mutable {
    if (terms.claim.earlier) {
      const std::string name = DeploymentName(terms.claim.record.deployment);
      return ShowSettled(name, kMaxReadPolls, std::move(done));
    }
    absl::StatusOr<Run*> run = FindTarget(target);
    if (!run.ok()) return done(run.status());
    if ((*run)->waiting.size() >= kMaxWaitingCommands) return done(TooManyCommands(**run));
    const DeploymentId id = (*run)->status.id;
    auto then = [this, id, done = std::move(done)](absl::Status status) mutable {
      if (ReasonOf(status) == "ETAG_MISMATCH") return done(std::move(status));
      if (!status.ok()) return done(Annotate(status, DeploymentName(id)));
      Run* run = FindRun(id);
      if (run == nullptr) return done(Gone());
      done(ViewOf(*run));
    };
    Step(id, event(**run), std::move(then), std::move(terms));
  });
}

// `--full` is how somebody insists.
absl::Status ControllerImpl::CheckPromotable(const PromoteRequest& request) {
  absl::StatusOr<Run*> run = FindTarget(request.target);
  if (!run.ok()) return run.status();
  const deployment::DeploymentStatus& status = (*run)->status;
  if (request.full || status.state != DeploymentState::kDeploying || !status.prepared) {
    return absl::OkStatus();
  }
  // A worker that is just being replaced is no reason.
  const std::string why = (*run)->unwell_since_ns.has_value() ? WhyUnwell(**run) : "";
  if (why.empty()) return absl::OkStatus();
  return WithFix(
      WithReason(absl::FailedPreconditionError(StrCat(
                     DeploymentName(status.id), " is not promoted while it is not well: ", why)),
                 "NOT_WELL"),
      "wait until it is well, roll it back, or give it all traffic all the same with --full");
}

void ControllerImpl::Promote(PromoteRequest request, Done<DeploymentView> done) {
  OnStrand([this, request = std::move(request), done = std::move(done)]() mutable {
    const std::string& from = request.from_stage;
    if (!request.terms.claim.earlier && !from.empty()) {
      absl::StatusOr<Run*> run = FindTarget(request.target);
      if (!run.ok()) return done(run.status());
      const deployment::DeploymentStatus& status = (*run)->status;
      if (absl::Status changed = CheckEtag(**run, request.terms.etag); !changed.ok()) {
        return done(std::move(changed));
      }
      if (from != StageName(status)) {
        if (HasLeft(status, from)) return done(ViewOf(**run));  // a repeat
        return done(WithReason(
            absl::FailedPreconditionError(StrCat(DeploymentName(status.id), " is in stage '",
                                                 StageName(status), "', not in '", from, "'")),
            "WRONG_STAGE"));
      }
    }
    if (!request.terms.claim.earlier) {
      if (absl::Status unwell = CheckPromotable(request); !unwell.ok()) return done(unwell);
    }
    Command(
        std::move(request.target), std::move(request.terms),
        [full = request.full](const Run& run) -> deployment::Event {
          return deployment::Promote{run.status.stage, full};
        },
        std::move(done));
  });
}

void ControllerImpl::Pause(std::string target, CommandTerms terms, Done<DeploymentView> done) {
  Command(
      std::move(target), std::move(terms),
      [this](const Run& run) -> deployment::Event { return deployment::Pause{ElapsedNs(run)}; },
      std::move(done));
}

void ControllerImpl::Resume(std::string target, CommandTerms terms, Done<DeploymentView> done) {
  Command(
      std::move(target), std::move(terms),
      [](const Run&) -> deployment::Event { return deployment::Resume{}; }, std::move(done));
}

void ControllerImpl::Abort(std::string target, CommandTerms terms, Done<DeploymentView> done) {
  std::string reason = terms.reason;
  Command(
      std::move(target), std::move(terms),
      [reason = std::move(reason)](const Run&) -> deployment::Event {
        return deployment::Abort{deployment::EndCause::kAbort, reason};
      },
      std::move(done));
}

void ControllerImpl::Retry(std::string target, CommandClaim claim, Done<DeployOutcome> done) {
  OnStrand([this, target = std::move(target), claim = std::move(claim),
            done = std::move(done)]() mutable {
    if (claim.earlier) return TellMade(claim, std::move(done));
    OnRetry(target, std::move(claim), std::move(done));
  });
}

void ControllerImpl::OnRetry(const std::string& target, CommandClaim claim,
                             Done<DeployOutcome> done) {
  absl::StatusOr<Run*> found = FindTarget(target);
  if (!found.ok()) return done(found.status());
  const deployment::DeploymentStatus& status = (*found)->status;
  if (status.state != DeploymentState::kFailed && status.state != DeploymentState::kRolledBack) {
    return done(WithReason(absl::FailedPreconditionError(StrCat(
                               DeploymentName(status.id), " is ", DeploymentStateName(status.state),
                               "; only what has failed or was rolled back can be tried again")),
                           "NOT_ENDED"));
  }
  if (!status.group.empty()) {
    return done(WithFix(
        WithReason(absl::FailedPreconditionError(StrCat(
                       DeploymentName(status.id), " was to be switched together with others")),
                   "GROUP_MEMBER"),
        "deploy the list again: `caxton deploy -f FILE`; who runs it already is left out"));
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
  request.spec = status.spec;
  request.overrides = OverridesOf(*old, agent->Find(status.stable.number).get());
  request.force = true;
  request.allow_breaking = !status.allowed_by.empty();
  request.requested_by = status.allowed_by;
  request.terms.claim = std::move(claim);
  // As if it was asked for now: what has been set since carries over, and there may be a stable
  // revision to share the traffic with.
  OnDeploy(std::move(request), std::move(done));
}

}  // namespace caxton::controller
