// SPDX-License-Identifier: Apache-2.0
//
// Construction, and the way from a request to a deployment on record.
#include "caxton/controller/controller.h"

#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/deployment/limits.h"
#include "caxton/model/names.h"
#include "caxton/model/units.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentName;

std::unique_ptr<Controller> Controller::Make(ControllerDeps deps) {
  return std::make_unique<ControllerImpl>(std::move(deps));
}

ControllerImpl::ControllerImpl(ControllerDeps deps)
    : d_(std::move(deps)), places_(d_.max_deployments) {}
ControllerImpl::~ControllerImpl() = default;

void ControllerImpl::OnStrand(absl::AnyInvocable<void()> work) {
  d_.executor->Post(std::move(work));
}

void ControllerImpl::Stop() {
  OnStrand([this] { stopped_ = true; });
}

std::string StageName(const deployment::StagePlan& stage) {
  switch (stage.role) {
    case deployment::StageRole::kCanary:
      return StrCat("canary ", FormatShare(stage.weight_ppm));
    case deployment::StageRole::kPreview:
      return "preview";
    case deployment::StageRole::kShadow:
      return "shadow";
  }
  return "";
}

std::string StageName(const deployment::DeploymentStatus& status) {
  using deployment::DeploymentState;
  switch (status.state) {
    case DeploymentState::kValidating:
      return status.queued ? "queued" : "validate";
    case DeploymentState::kDeploying:
      if (!status.prepared) return "warm_up";
      if (status.rolling_back) return "drain";
      if (status.stage < status.plan.stages.size()) {
        return StageName(status.plan.stages[status.stage]);
      }
      return "full";
    case DeploymentState::kRunning:
      return status.finalized ? "full" : "cleanup";
    case DeploymentState::kDraining:
      return "drain";
    case DeploymentState::kFailed:
    case DeploymentState::kRolledBack:
      return "";
  }
  return "";
}

absl::Status ControllerImpl::NoSuchAgent(const std::string& name) {
  const std::vector<std::string> names = book_.Names();
  const std::string nearest = NearestName(name, names);
  return WithFix(WithReason(absl::NotFoundError(StrCat(
                                "there is no agent '", name, "'",
                                nearest.empty() ? "" : StrCat("; did you mean '", nearest, "'?"))),
                            "NO_SUCH_AGENT"),
                 "`caxton agent list` shows what runs");
}

ControllerImpl::Run* ControllerImpl::FindRun(DeploymentId id) {
  auto it = runs_.find(id);
  return it == runs_.end() ? nullptr : it->second.get();
}

// An agent's name means its newest deployment.
absl::StatusOr<ControllerImpl::Run*> ControllerImpl::FindTarget(const std::string& target) {
  const absl::StatusOr<DeploymentId> id = deployment::ParseDeploymentName(target);
  if (Run* run = id.ok() ? FindRun(*id) : nullptr; run != nullptr) return run;
  AgentEntry* agent = id.ok() ? nullptr : book_.Find(std::string_view(target));
  // dep-0 and dep-007 are no names of deployments, and meant as such.
  const bool meant = StartsWith(target, "dep-") && target.size() > 4 &&
                     target.find_first_not_of("0123456789", 4) == std::string::npos;
  if (id.ok() || (agent == nullptr && meant)) {
    return WithFix(WithReason(absl::NotFoundError(StrCat("there is no deployment '", target, "'")),
                              "NO_SUCH_DEPLOYMENT"),
                   "`caxton deployment list` shows those on record");
  }
  if (agent == nullptr) return NoSuchAgent(target);
  DeploymentId newest = agent->active;
  if (!newest.valid() && !agent->history.empty()) newest = agent->history.back();
  Run* run = FindRun(newest);
  if (run == nullptr) {
    return WithReason(
        absl::NotFoundError(StrCat("agent '", target, "' has no deployment on record")),
        "NO_SUCH_DEPLOYMENT");
  }
  return run;
}

void ControllerImpl::Deploy(DeployRequest request, Done<DeployOutcome> done) {
  OnStrand([this, request = std::move(request), done = std::move(done)]() mutable {
    OnDeploy(std::move(request), std::move(done));
  });
}

absl::Status ControllerImpl::CheckRequest(const DeployRequest& request) {
  if (stopped_) return WithReason(absl::UnavailableError("the server is stopping"), "STOPPING");
  RETURN_IF_ERROR(ValidateAgentName(request.agent));
  RETURN_IF_ERROR(ValidateVersionLabel(request.label));
  const AgentEntry* agent = book_.Find(std::string_view(request.agent));
  if (agent != nullptr && agent->closed) {
    return WithReason(
        absl::FailedPreconditionError(StrCat("agent '", request.agent, "' is being removed")),
        "REMOVING");
  }
  if (agent == nullptr && book_.size() >= kMaxAgents) {
    return WithReason(
        absl::ResourceExhaustedError(StrCat("this server has ", kMaxAgents, " agents already")),
        "TOO_MANY_AGENTS");
  }
  if (!request.module.empty() && !d_.artifacts->KeepModule(request.module)) {
    return WithFix(
        WithReason(absl::NotFoundError(StrCat("no module with digest ", request.module.ToHex())),
                   "NO_SUCH_MODULE"),
        "upload it first, or send the module itself");
  }
  return absl::OkStatus();
}

absl::StatusOr<Revision> ControllerImpl::NewRevision(const DeployRequest& request,
                                                     const AgentEntry* agent) {
  Revision revision;
  // Settings, limits and delivery carry over from what runs, unless the request sets them.
  std::shared_ptr<const Revision> base = agent ? agent->Find(agent->Serving().number) : nullptr;
  if (base) revision = *base;
  if (!request.module.empty()) {
    if (revision.module != request.module) revision.traits = {};
    revision.module = request.module;
  } else if (agent == nullptr) {
    return NoSuchAgent(request.agent);
  } else if (!base) {
    return WithReason(
        absl::FailedPreconditionError(
            StrCat("agent '", request.agent, "' runs nothing yet, so there is nothing to change")),
        "NO_STABLE_REVISION");
  }
  revision.agent = request.agent;
  revision.version = request.label;
  revision.created_ns = d_.clock->WallNanos();
  revision.ref = {};
  revision.deployment = {};
  ApplyOverrides(request.overrides, &revision);
  RETURN_IF_ERROR(ValidateLimits(revision.limits));
  return revision;
}

// A label names one revision for good, unless that one never got traffic for good.
absl::Status ControllerImpl::CheckLabel(const AgentEntry& agent, const Revision& revision) {
  if (revision.version.empty()) return absl::OkStatus();
  for (const auto& [number, other] : agent.revisions) {
    if (other->version != revision.version || other->SameContent(revision)) continue;
    Run* made_by = FindRun(other->deployment);
    if (made_by != nullptr && made_by->status.running_ns == 0 && made_by->status.final()) continue;
    return WithFix(WithReason(absl::AlreadyExistsError(
                                  StrCat("version '", revision.version, "' of '", agent.record.name,
                                         "' is ", other->Name(), ", which has other content")),
                              "VERSION_EXISTS"),
                   "choose another --version");
  }
  return absl::OkStatus();
}

bool ControllerImpl::RunsAlready(const AgentEntry& agent, const Revision& revision) {
  const std::shared_ptr<const Revision> serving = agent.Find(agent.Serving().number);
  return serving != nullptr && serving->SameContent(revision);
}

absl::StatusOr<deployment::DeploymentPlan> ControllerImpl::PlanFor(const DeploymentSpec& spec,
                                                                   const AgentEntry* agent) {
  deployment::PlanContext context;
  context.has_stable = agent != nullptr && agent->route.stable.valid();
  // What is being deployed now will be there when this one's turn comes (if not, its stages are
  // skipped then).
  if (agent != nullptr && agent->active.valid()) context.has_stable = true;
  context.time_scale = d_.time_scale;
  return deployment::ResolvePlan(spec, context);
}

std::vector<FieldChange> ControllerImpl::Changes(const Revision* before, const Revision& after) {
  std::vector<FieldChange> changes;
  const Revision none;
  const Revision& old = before ? *before : none;
  auto add = [&](std::string field, std::string a, std::string b) {
    if (a != b || !before)
      changes.push_back({std::move(field), before ? std::move(a) : "", std::move(b)});
  };
  add("module", old.module.ToHex(), after.module.ToHex());
  add("version", old.version, after.version);
  add("memory", FormatSize(old.limits.memory_bytes), FormatSize(after.limits.memory_bytes));
  add("cpu", FormatCpu(old.limits.cpu_millis), FormatCpu(after.limits.cpu_millis));
  add("deadline", FormatDuration(old.limits.deadline_ns), FormatDuration(after.limits.deadline_ns));
  add("max_message", FormatSize(old.limits.max_message_bytes),
      FormatSize(after.limits.max_message_bytes));
  add("instances", StrCat(old.limits.instances), StrCat(after.limits.instances));
  add("max_attempts", StrCat(old.delivery.max_attempts), StrCat(after.delivery.max_attempts));
  for (const auto& [name, value] : after.settings) {
    auto it = old.settings.find(name);
    add(StrCat("settings.", name), it == old.settings.end() ? "" : it->second, value);
  }
  for (const auto& [name, value] : old.settings) {
    if (!after.settings.contains(name)) add(StrCat("settings.", name), value, "");
  }
  return changes;
}

void ControllerImpl::OnDeploy(DeployRequest request, Done<DeployOutcome> done) {
  if (request.terms.claim.earlier) return TellMade(request.terms.claim, std::move(done));
  if (absl::Status wrong = CheckRequest(request); !wrong.ok()) return done(std::move(wrong));
  AgentEntry* agent = book_.Find(std::string_view(request.agent));
  if (!request.terms.etag.empty()) {
    absl::Status wrong =
        agent != nullptr ? CheckEtag(*agent, request.terms.etag) : NoSuchAgent(request.agent);
    if (!wrong.ok()) return done(std::move(wrong));
  }
  absl::StatusOr<Revision> revision = NewRevision(request, agent);
  if (!revision.ok()) return done(revision.status());
  absl::StatusOr<deployment::DeploymentPlan> plan = PlanFor(request.spec, agent);
  if (!plan.ok()) return done(plan.status());
  // What serves: in a cleanup window that is the candidate.
  std::shared_ptr<const Revision> serving;
  if (agent != nullptr) {
    serving = agent->Find(agent->Serving().number);
    if (absl::Status wrong = CheckLabel(*agent, *revision); !wrong.ok())
      return done(std::move(wrong));
  }
  std::vector<FieldChange> changes = Changes(serving.get(), *revision);
  if (request.validate_only) {
    return DryRun({.revision = *std::move(revision),
                   .limit_ns = plan->validate_limit_ns,
                   .allow_breaking = request.allow_breaking},
                  std::move(changes), std::move(done));
  }
  if (agent != nullptr && !request.force && RunsAlready(*agent, *revision)) {
    DeployOutcome outcome{.already_running = true};
    if (Run* run = FindRun(serving->deployment); run != nullptr) outcome.view = ViewOf(*run);
    return done(std::move(outcome));
  }
  if (agent != nullptr && agent->active.valid() && plan->queue == QueuePolicy::kRefuse) {
    return done(WithFix(WithReason(absl::FailedPreconditionError(
                                       StrCat("agent '", request.agent, "' is being deployed by ",
                                              DeploymentName(agent->active))),
                                   "DEPLOYMENT_IN_PROGRESS"),
                        "wait for it, abort it, or deploy with --queue wait or --queue replace"));
  }
  Create({std::move(request), *std::move(revision), *std::move(plan)}, std::move(done));
}

void ControllerImpl::DryRun(Examined what, std::vector<FieldChange> changes,
                            Done<DeployOutcome> done) {
  Examine(std::move(what), [changes = std::move(changes), done = std::move(done)](
                               absl::StatusOr<validation::ValidationReport> report) mutable {
    if (!report.ok()) return done(report.status());
    DeployOutcome outcome;
    outcome.validation = *std::move(report);
    outcome.changes = std::move(changes);
    done(std::move(outcome));
  });
}

ControllerImpl::Made ControllerImpl::Make(Making what, journal::CommitOp* op) {
  const DeployRequest& request = what.request;
  AgentEntry* agent = book_.Find(std::string_view(request.agent));
  if (agent == nullptr) agent = book_.Create(request.agent, d_.clock->WallNanos(), &op->rows);
  auto run = std::make_unique<Run>();
  deployment::DeploymentStatus& status = run->status;
  status.id = DeploymentId(next_deployment_++);
  what.revision.deployment = status.id;
  std::shared_ptr<const Revision> candidate =
      book_.AddRevision(agent, std::move(what.revision), &op->rows);
  status.agent = request.agent;
  status.label = request.label;
  status.module = candidate->module;
  status.candidate = candidate->ref;
  status.stable = agent->Serving();
  status.plan = std::move(what.plan);
  status.spec = request.spec;
  d_.random->Fill(status.salt);
  if (request.allow_breaking) status.allowed_by = request.requested_by;
  status.restores = what.restores;
  if (what.restores) run->rollback_decided_ns = d_.clock->MonoNanos();
  status.group = std::move(what.group);

  const bool behind = agent->active.valid();
  if (what.restores) places_.Occupy(status.id);
  const bool queued = behind || !places_.Take(PlaceOf(status));
  Made made{.id = status.id};
  absl::StatusOr<deployment::Transition> created =
      deployment::Apply(status, deployment::Created{queued}, d_.clock->WallNanos());
  CAXTON_ASSERT(created.ok(), "a fresh deployment can be created");
  status = created->status;
  made.effects = std::move(created->effects);
  agent->history.push_back(made.id);
  if (behind) {
    made.overtaken = std::exchange(agent->queued, {made.id});  // the newest waiting one wins
    if (status.plan.queue == QueuePolicy::kReplace) made.replaced = agent->active;
  } else {
    agent->active = made.id;
  }
  run->busy = true;
  std::string bytes;
  deployment::EncodeStatus(status, &bytes);
  op->rows.Put(journal::Table::kDeployments, journal::DeploymentKey(made.id), std::move(bytes));
  journal::PutLastDeployment(made.id, &op->rows);
  runs_[made.id] = std::move(run);
  ForgetOld(agent);
  return made;
}

deployment::Abort ControllerImpl::Overtaken(DeploymentId newer) {
  return {deployment::EndCause::kSuperseded,
          StrCat(DeploymentName(newer), ", which is newer, waits in its place")};
}

void ControllerImpl::OnCreated(Made made) {
  for (DeploymentId other : made.overtaken) Step(other, Overtaken(made.id), nullptr);
  if (made.replaced.valid()) Step(made.replaced, deployment::Abort{}, nullptr);
  CarryOut(made.id, std::move(made.effects));
  Finish(made.id);
}

void ControllerImpl::Create(Making what, Done<DeployOutcome> done) {
  journal::CommitOp op;
  CommandClaim claim = std::move(what.request.terms.claim);
  Made made = Make(std::move(what), &op);
  claim.record.deployment = made.id;
  claim.record.made = true;
  PutClaim(claim, &op.rows);
  op.durable = [this, made = std::move(made), done = std::move(done)]() mutable {
    OnStrand([this, made = std::move(made), done = std::move(done)]() mutable {
      if (Run* run = FindRun(made.id); run != nullptr) done(DeployOutcome{.view = ViewOf(*run)});
      OnCreated(std::move(made));
    });
  };
  d_.journal->committer().Submit(std::move(op));
}

void ControllerImpl::TellMade(const CommandClaim& claim, Done<DeployOutcome> done) {
  const Run* run = FindRun(claim.record.deployment);
  if (run == nullptr) return done(Gone());
  done(DeployOutcome{.view = ViewOf(*run)});
}

void ControllerImpl::Validate(DeployRequest request, Done<validation::ValidationReport> done) {
  OnStrand([this, request = std::move(request), done = std::move(done)]() mutable {
    if (absl::Status wrong = CheckRequest(request); !wrong.ok()) return done(std::move(wrong));
    absl::StatusOr<Revision> revision =
        NewRevision(request, book_.Find(std::string_view(request.agent)));
    if (!revision.ok()) return done(revision.status());
    Examine({.revision = *std::move(revision),
             .limit_ns = deployment::kDefaultValidateLimitNs,
             .allow_breaking = request.allow_breaking},
            std::move(done));
  });
}

}  // namespace caxton::controller
