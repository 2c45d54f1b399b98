// SPDX-License-Identifier: Apache-2.0
//
// caxton deployment list | show | watch | promote | pause | resume | abort | retry | explain,
// caxton rollback
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "args.h"
#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/model/units.h"
#include "caxton/v1/deployment.grpc.pb.h"
#include "comparison_text.h"
#include "context.h"
#include "progress.h"
#include "watch.h"

namespace caxton::cli {
namespace {

using DeploymentStub = v1::AgentDeployment::Stub;

absl::StatusOr<ExitCode> ListDeployments(Context* context, const std::string& agent, bool active) {
  v1::ListDeploymentsRequest request;
  request.set_agent(agent);
  request.set_active_only(active);
  ASSIGN_OR_RETURN(const v1::ListDeploymentsResponse merged,
                   CallAllPages(context->client(), &DeploymentStub::ListDeployments, request));
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(merged);
    return ExitCode::kDone;
  }
  Table table({"DEPLOYMENT", "REVISION", "VERSION", "STRATEGY", "STATE", "STAGE", "CREATED", ""});
  for (const v1::Deployment& deployment : merged.deployments()) {
    table.Row({deployment.deployment_id(), deployment.revision(),
               deployment.version().empty() ? "-" : deployment.version(),
               v1::Strategy_Name(deployment.strategy()), StateName(deployment),
               deployment.stage_name().empty() ? "-" : deployment.stage_name(),
               UtcTime(Nanos(deployment.create_time())), OneLine(deployment.message(), 60)});
  }
  if (table.empty()) {
    context->err() << "No deployments.\n";
  } else {
    printer.Text(table.ToString());
  }
  return ExitCode::kDone;
}

absl::StatusOr<ExitCode> ShowDeployment(Context* context, const std::string& id) {
  v1::GetDeploymentRequest request;
  request.set_deployment_id(id);
  auto response = Call(context->client(), &DeploymentStub::GetDeployment, request);
  if (!response.ok()) return SuggestAgent(context, id, response.status());
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(*response);
  } else {
    printer.Text(DeploymentText(response->deployment(), printer.style()));
  }
  return ExitCode::kDone;
}

// The one that was made again: of the live traffic, else of the replay of history.
const v1::Verdict& Recorded(const v1::ExplainDeploymentResponse& response) {
  const v1::Deployment& deployment = response.deployment();
  const bool of_history = deployment.verdict().kind() == v1::Verdict::KIND_UNSPECIFIED &&
                          response.verdict().kind() != v1::Verdict::KIND_UNSPECIFIED &&
                          deployment.has_history();
  return of_history ? deployment.history().verdict() : deployment.verdict();
}

std::string ComparedWithRecord(const v1::ExplainDeploymentResponse& response) {
  const v1::Deployment& deployment = response.deployment();
  const v1::Verdict& recorded = Recorded(response);
  const bool ended = deployment.state() == v1::FAILED || deployment.state() == v1::ROLLED_BACK ||
                     deployment.state() == v1::DRAINING;
  if (recorded.kind() == v1::Verdict::KIND_UNSPECIFIED) {
    return StrCat("Computed from ", response.evidence_count(), " observations in the journal; ",
                  ended ? "no verdict is on record: it ended before one."
                  : response.matches_recorded()
                      ? "nothing is decided yet, and nothing is on record."
                      : "it is not on record yet.");
  }
  const std::string from = StrCat("Computed from ", response.evidence_count(),
                                  " observations in the journal, those that were there when the "
                                  "verdict on record was made; ");
  if (response.matches_recorded()) return StrCat(from, "it matches that verdict.");
  return StrCat(
      from, "it DIFFERS from that verdict, which was ", v1::Verdict::Kind_Name(recorded.kind()),
      " - ", OneLine(recorded.reason()),
      "\nEvidence was changed or lost, or another version of the server made the verdict.");
}

absl::StatusOr<ExitCode> Explain(Context* context, const std::string& id) {
  v1::ExplainDeploymentRequest request;
  request.set_deployment_id(id);
  auto response = Call(context->client(), &DeploymentStub::ExplainDeployment, request);
  if (!response.ok()) return SuggestAgent(context, id, response.status());
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(*response);
  } else {
    printer.Text(StrCat(
        ProgressLine(response->deployment()), "\n", AllowedText(response->deployment()),
        VerdictText(response->verdict()),
        response->deployment().has_history() ? HistoryText(response->deployment().history()) : "",
        ComparedWithRecord(*response), "\n"));
  }
  return ExitCode::kDone;
}

// The answer of a steering call: what the deployment is now.
template <typename Response>
absl::StatusOr<ExitCode> PrintSteered(Context* context, const std::string& id,
                                      const absl::StatusOr<Response>& response) {
  if (!response.ok()) return SuggestAgent(context, id, response.status());
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(*response);
  } else {
    printer.Text(StrCat(ProgressLine(response->deployment()), "\n"));
  }
  return ExitCode::kDone;
}

absl::StatusOr<ExitCode> Promote(Context* context, const std::string& id, bool full) {
  // The stage that is left is named, so that a repeat does nothing.
  v1::GetDeploymentRequest get;
  get.set_deployment_id(id);
  auto current = Call(context->client(), &DeploymentStub::GetDeployment, get);
  if (!current.ok()) return SuggestAgent(context, id, current.status());
  v1::PromoteRequest request;
  request.set_deployment_id(current->deployment().deployment_id());
  request.set_full(full);
  request.set_from_stage(current->deployment().stage_name());
  request.set_idempotency_key(context->client().NewIdempotencyKey());
  return PrintSteered(context, id,
                      Call(context->client(), &DeploymentStub::PromoteCanary, request));
}

template <typename Request, typename Response>
absl::StatusOr<ExitCode> Steer(Context* context, const std::string& id,
                               grpc::Status (DeploymentStub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                               const std::string& reason = "") {
  Request request;
  request.set_deployment_id(id);
  if constexpr (requires { request.set_reason(reason); }) request.set_reason(reason);
  request.set_idempotency_key(context->client().NewIdempotencyKey());
  return PrintSteered(context, id, Call(context->client(), method, request));
}

absl::StatusOr<ExitCode> Retry(Context* context, const std::string& id, bool detach) {
  v1::RetryRequest request;
  request.set_deployment_id(id);
  request.set_idempotency_key(context->client().NewIdempotencyKey());
  auto response = Call(context->client(), &DeploymentStub::RetryDeployment, request);
  if (!response.ok() || detach) return PrintSteered(context, id, response);
  return WatchUntilSettled(
      context, WatchOptions{.deployment = response->deployment_id(), .was_connected = true});
}

struct RollbackFlags {
  std::string agent, to, drain, reason;
};

absl::StatusOr<ExitCode> Rollback(Context* context, const RollbackFlags& flags) {
  v1::RollbackRequest request;
  request.set_agent(flags.agent);
  request.set_reason(flags.reason);
  if (!flags.to.empty()) {
    const bool by_id = flags.agent.starts_with("dep-");  // whose it is, the server knows
    ASSIGN_OR_RETURN(const uint32_t to,
                     ParseRevisionArg("--to", flags.to, by_id ? "" : flags.agent));
    request.set_to_revision(to);
  }
  if (!flags.drain.empty()) {
    auto drain = ParseDurationNs(flags.drain);
    if (!drain.ok()) return UsageError(StrCat("--drain: ", drain.status().message()));
    SetDuration(*drain, request.mutable_drain());
  }
  request.set_idempotency_key(context->client().NewIdempotencyKey());
  auto response = Call(context->client(), &DeploymentStub::RollbackDeployment, request);
  if (!response.ok()) return SuggestAgent(context, flags.agent, response.status());
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(*response);
    return ExitCode::kDone;
  }
  // It may have been named by a deployment.
  const std::string agent = response->to_revision().substr(0, response->to_revision().rfind('@'));
  std::string text =
      StrCat(agent, " is back on ", response->to_revision(), " (was ", response->from_revision(),
             "), ", response->redelivered(), " messages redelivered\n");
  Table table({"  PHASE", "TOOK", ""});
  for (const v1::Phase& phase : response->phases()) {
    table.Row({StrCat("  ", phase.name()), ShortDuration(Nanos(phase.elapsed())), phase.detail()});
  }
  if (!table.empty()) StrAppend(&text, table.ToString());
  printer.Text(text);
  return ExitCode::kDone;
}

}  // namespace

void AddRollbackCommand(CLI::App* app, Context* context) {
  auto flags = std::make_shared<RollbackFlags>();
  CLI::App* rollback = app->add_subcommand("rollback", "Return to an earlier revision at once");
  rollback->add_option("agent", flags->agent, "Agent or deployment")->required();
  rollback->add_option("--to", flags->to, "Revision (default: the last that was not withdrawn)");
  rollback->add_option("--drain", flags->drain, "Let running steps finish for that long, e.g. 5s");
  rollback->add_option("--reason", flags->reason, "Why, for the record");
  rollback->callback([=] { context->action = [=] { return Rollback(context, *flags); }; });
}

void AddDeploymentCommands(CLI::App* app, Context* context) {
  CLI::App* group = app->add_subcommand("deployment", "Watch and steer deployments");
  group->require_subcommand(1);
  auto id = std::make_shared<std::string>();
  auto add = [&](const char* name, const char* help) {
    CLI::App* command = group->add_subcommand(name, help);
    command->add_option("id", *id, "Deployment, or an agent for its newest")->required();
    return command;
  };
  auto on = [context](CLI::App* command, std::function<absl::StatusOr<ExitCode>()> action) {
    command->callback([context, action = std::move(action)] { context->action = action; });
  };

  auto active = std::make_shared<bool>(false);
  CLI::App* list = group->add_subcommand("list", "Deployments, newest first");
  list->add_option("agent", *id, "Only this agent's");
  list->add_flag("--active", *active, "Only those in progress");
  on(list, [=] { return ListDeployments(context, *id, *active); });
  on(add("show", "One deployment with its phases and verdict"),
     [=] { return ShowDeployment(context, *id); });

  auto finalized = std::make_shared<std::string>();
  CLI::App* watch = add("watch", "Follow a deployment until it is settled");
  watch->add_option("--wait", *finalized, "Until: running (default) or finalized")
      ->check(CLI::IsMember({"running", "finalized"}));
  on(watch, [=] {
    return WatchUntilSettled(
        context,
        WatchOptions{.deployment = *id, .finalized = *finalized == "finalized", .on_stdout = true});
  });

  auto full = std::make_shared<bool>(false);
  CLI::App* promote = add("promote", "On to the next stage");
  promote->add_flag("--full", *full, "To 100 %, without further stages or judgement");
  on(promote, [=] { return Promote(context, *id, *full); });
  on(add("pause", "Stop the stage's clock"),
     [=] { return Steer(context, *id, &DeploymentStub::PauseDeployment); });
  on(add("resume", "Let the stage's clock run again"),
     [=] { return Steer(context, *id, &DeploymentStub::ResumeDeployment); });
  auto reason = std::make_shared<std::string>();
  CLI::App* abort = add("abort", "Give up a deployment; the stable revision serves on");
  abort->add_option("--reason", *reason, "Why, for the record");
  on(abort, [=] { return Steer(context, *id, &DeploymentStub::AbortDeployment, *reason); });
  auto detach = std::make_shared<bool>(false);
  CLI::App* retry = add("retry", "The same deployment again");
  retry->add_flag("--detach", *detach, "Do not wait");
  on(retry, [=] { return Retry(context, *id, *detach); });
  on(add("explain", "The verdict, computed again from the journal"),
     [=] { return Explain(context, *id); });
}

}  // namespace caxton::cli
