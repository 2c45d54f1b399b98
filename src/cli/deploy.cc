// SPDX-License-Identifier: Apache-2.0
//
// caxton agent deploy
#include <fstream>
#include <memory>
#include <ostream>
#include <sstream>

#include <CLI/CLI.hpp>

#include "args.h"
#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/model/text.h"
#include "caxton/v1/deployment.grpc.pb.h"
#include "context.h"
#include "deploy_request.h"
#include "files.h"
#include "module_file.h"
#include "progress.h"
#include "report_text.h"
#include "watch.h"

namespace caxton::cli {
namespace {

ExitCode PrintDryRun(const Context& context, const v1::DeployResponse& response) {
  const bool passed = !response.has_validation() || response.validation().passed();
  if (context.printer().structured()) {
    context.printer().Document(response);
  } else {
    std::string text;
    if (response.has_validation()) {
      StrAppend(&text, ReportText(response.validation(), context.printer().style()));
    }
    StrAppend(
        &text, "Against what runs now:\n",
        ChangesText("RUNNING", "NEW", {response.changes().begin(), response.changes().end()}));
    if (response.already_running()) StrAppend(&text, "The same content is running already.\n");
    StrAppend(&text, "Nothing was changed.\n");
    context.printer().Text(text);
  }
  return passed ? ExitCode::kDone : ExitCode::kRejected;
}

// The module, inline or uploaded, and who asks.
absl::Status Complete(Context& context, const std::string& path, v1::DeployRequest* request) {
  ASSIGN_OR_RETURN(ModuleToSend module, PrepareModule(context.client(), path));
  if (module.digest.empty()) {
    request->set_wasm_module(std::move(module.bytes));
  } else {
    request->set_module_digest(std::move(module.digest));
  }
  // The surroundings' name, not an argument: what is not text is shown as such, not refused.
  std::string user = OneLine(context.environment.getenv("USER")).substr(0, kMaxUserNameBytes);
  while (!IsUtf8(user)) user.pop_back();  // cut inside a character
  request->set_requested_by(user);
  return absl::OkStatus();
}

std::string AlreadyRunning(std::string_view what) {
  return StrCat("already running: ", what,
                " has the same content (use --force to deploy it again)\n");
}

std::string KeyOf(Context& context, const DeployFlags& flags) {
  return flags.idempotency_key.empty() ? context.client().NewIdempotencyKey()
                                       : flags.idempotency_key;
}

// Several agents in one switch. Its exit status is the first that is not "done".
absl::StatusOr<ExitCode> DeployGroup(Context* context, const DeployFlags& flags,
                                     std::vector<DeploymentFile> files) {
  RETURN_IF_ERROR(CheckGroupFlags(flags));
  v1::DeployAgentsRequest request;
  for (DeploymentFile& file : files) {
    v1::DeployRequest* one = request.add_deploy();
    ASSIGN_OR_RETURN(const DeployPlan plan, PlanDeploy(flags, std::move(file), one));
    RETURN_IF_ERROR(Complete(*context, plan.module_path, one));
  }
  request.set_idempotency_key(KeyOf(*context, flags));
  ASSIGN_OR_RETURN(const v1::DeployAgentsResponse response,
                   (Call(context->client(), &v1::AgentDeployment::Stub::DeployAgents, request)));
  for (const std::string& agent : response.already_running()) {
    if (!context->printer().structured()) {
      context->printer().Text(AlreadyRunning(agent));
    } else if (!response.deployments().empty()) {  // else the document is the answer
      context->err() << AlreadyRunning(agent);
    }
  }
  if (flags.detach || response.deployments().empty()) {
    if (context->printer().structured()) {
      context->printer().Document(response);
    } else {
      for (const auto& deployment : response.deployments()) {
        context->printer().Text(StrCat(deployment.deployment_id(), "\n"));
      }
    }
    return ExitCode::kDone;
  }
  std::vector<WatchOptions> all;
  for (const auto& deployment : response.deployments()) {
    all.push_back({.deployment = deployment.deployment_id(),
                   .finalized = flags.wait == "finalized",
                   .was_connected = true});
  }
  return WatchAllUntilSettled(context, all);
}

absl::StatusOr<ExitCode> Deploy(Context* context, const DeployFlags& flags) {
  if (!flags.wait.empty() && flags.wait != "running" && flags.wait != "finalized") {
    return UsageError(StrCat("--wait is running or finalized, not '", flags.wait, "'"));
  }
  std::vector<DeploymentFile> files(1);
  if (!flags.deployment_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text,
                     ReadFileUpTo(flags.deployment_file, kMaxDeploymentFileBytes));
    ASSIGN_OR_RETURN(files, ReadDeploymentFiles(flags, text));
  }
  if (files.size() > 1) return DeployGroup(context, flags, std::move(files));
  v1::DeployRequest request;
  ASSIGN_OR_RETURN(const DeployPlan plan, PlanDeploy(flags, std::move(files[0]), &request));
  RETURN_IF_ERROR(Complete(*context, plan.module_path, &request));
  request.set_idempotency_key(KeyOf(*context, flags));
  ASSIGN_OR_RETURN(const v1::DeployResponse response,
                   (Call(context->client(), &v1::AgentDeployment::Stub::DeployAgent, request)));

  if (flags.dry_run) return PrintDryRun(*context, response);
  const Printer printer = context->printer();
  if (response.already_running()) {
    if (printer.structured()) {
      printer.Document(response);
    } else {
      const std::string& revision = response.deployment().revision();
      printer.Text(AlreadyRunning(revision.empty() ? plan.agent : revision));
    }
    return ExitCode::kDone;
  }
  if (flags.detach) {
    if (printer.structured()) {
      printer.Document(response);
    } else {
      printer.Text(StrCat(response.deployment_id(), "\n"));
      context->err() << "Watch it with `caxton deployment watch " << response.deployment_id()
                     << "`.\n";
    }
    return ExitCode::kDone;
  }
  return WatchUntilSettled(context, WatchOptions{.deployment = response.deployment_id(),
                                                 .finalized = flags.wait == "finalized",
                                                 .was_connected = true});
}

}  // namespace

void AddDeployCommand(CLI::App* app, Context* context) {
  auto flags = std::make_shared<DeployFlags>();
  CLI::App* deploy = app->add_subcommand("deploy", "Give an agent new code and watch the rollout");
  deploy->add_option("module", flags->module, "The agent's .wasm file");
  deploy->add_option("-f,--file", flags->deployment_file, "Deployment file (YAML)");
  deploy->add_option("--name", flags->name, "Agent's name (default: the file's, or the module's)");
  deploy->add_option("--version", flags->version, "Label of the revision, e.g. 2.0.0");
  deploy->add_option("--strategy", flags->strategy, "direct, blue-green, canary or shadow");
  deploy->add_option("--stages", flags->stages, "Canary stages, e.g. 5:5m,25:10m,50:10m");
  deploy->add_option("--rollback-on", flags->rollback_on,
                     "Limits, e.g. \"error_rate>1%,p99_latency>100ms\"");
  deploy->add_option("--history", flags->history,
                     "First replay so many of the agent's last messages on it and on stable");
  deploy->add_option("--fail-on", flags->fail_on,
                     "Limits of a shadow or of --history, e.g. \"differs>1%\"");
  deploy->add_option("--memory", flags->overrides.memory, "Memory of an instance, e.g. 64Mi");
  deploy->add_option("--cpu", flags->overrides.cpu, "Weight against other agents, e.g. 500m");
  deploy->add_option("--set", flags->overrides.set, "A setting, NAME=VALUE; repeat for more")
      ->allow_extra_args(false);
  deploy->add_option("--queue", flags->queue,
                     "While another deployment is in progress: wait, replace or refuse");
  deploy->add_option("--wait", flags->wait, "Return at: running (default) or finalized");
  deploy->add_flag("--detach", flags->detach, "Print the deployment's id and return");
  deploy->add_flag("--dry-run", flags->dry_run, "Validate and show the difference; change nothing");
  deploy->add_flag("--force", flags->force, "Deploy although the same content is running");
  deploy->add_flag("--preview", flags->preview, "Give it no traffic but what names it");
  deploy->add_flag("--allow-breaking", flags->allow_breaking,
                   "Let broken and undecided contracts through; on record with who did");
  deploy->add_option("--idempotency-key", flags->idempotency_key,
                     "One deployment however often this is run");
  deploy->callback([context, flags] {
    // A folder is said to be one, not to have no name.
    while (flags->module.size() > 1 && flags->module.ends_with('/')) flags->module.pop_back();
    context->action = [context, flags] { return Deploy(context, *flags); };
  });
}

}  // namespace caxton::cli
