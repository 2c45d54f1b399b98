// SPDX-License-Identifier: Apache-2.0
//
// caxton agent list | inspect | history | set | secret | remove | logs
#include <filesystem>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "absl/strings/str_join.h"
#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "caxton/model/names.h"
#include "caxton/v1/agents.grpc.pb.h"
#include "context.h"
#include "deploy_request.h"
#include "interrupt.h"
#include "progress.h"
#include "watch.h"

namespace caxton::cli {
namespace {

using AgentsStub = v1::Agents::Stub;

std::string HealthText(const v1::AgentHealth& health, const Style& style) {
  switch (health.status()) {
    case v1::AgentHealth::WELL:
      return style.Good("well");
    case v1::AgentHealth::DEGRADED:
      return style.Warn("degraded");
    case v1::AgentHealth::DOWN:
      return style.Bad("down");
    default:
      return "-";
  }
}

// " (candidate down)" where it is not well, else nothing.
std::string IllCandidate(const v1::Agent& agent, const Style& style) {
  const v1::AgentHealth& health = agent.candidate_health();
  const bool ill =
      health.status() == v1::AgentHealth::DEGRADED || health.status() == v1::AgentHealth::DOWN;
  return ill ? StrCat(" (candidate ", HealthText(health, style), ")") : "";
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : text; }

absl::StatusOr<ExitCode> ListAgents(Context* context) {
  ASSIGN_OR_RETURN(
      const v1::ListAgentsResponse response,
      CallAllPages(context->client(), &AgentsStub::ListAgents, v1::ListAgentsRequest()));
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(response);
    return ExitCode::kDone;
  }
  Table table({"AGENT", "REVISION", "VERSION", "STATE", "CANDIDATE", "HEALTH", "WAITING", "P99"});
  for (const v1::Agent& agent : response.agents()) {
    table.Row(
        {agent.name(), OrDash(agent.stable().name()), OrDash(agent.stable().version()),
         agent.state() == v1::DEPLOYMENT_STATE_UNSPECIFIED
             ? "-"
             : v1::DeploymentState_Name(agent.state()),
         agent.has_candidate()
             ? StrCat(agent.candidate().name(), " ", Percent(agent.candidate().weight_percent()))
             : "-",
         StrCat(HealthText(agent.health(), printer.style()), IllCandidate(agent, printer.style())),
         StrCat(agent.messages().waiting()),
         agent.has_p99_latency() ? ShortDuration(Nanos(agent.p99_latency())) : "-"});
  }
  if (table.empty()) {
    context->err() << "No agents yet. Deploy one with `caxton deploy FILE.wasm`.\n";
  } else {
    printer.Text(table.ToString());
  }
  return ExitCode::kDone;
}

std::string RevisionLines(const v1::Revision& revision) {
  std::string out = StrCat(revision.name(),
                           revision.version().empty() ? "" : StrCat(" (", revision.version(), ")"),
                           ", ", Percent(revision.weight_percent()), " of the traffic\n");
  const v1::ResourceLimits& limits = revision.limits();
  StrAppend(&out, "    module    ", revision.module_digest(), "\n    limits    memory ",
            OrDash(limits.memory()), ", cpu ", OrDash(limits.cpu()), ", deadline ",
            ShortDuration(Nanos(limits.deadline())), ", message ", OrDash(limits.max_message()),
            ", instances ", limits.instances(), "\n");
  if (!limits.cpu_max().empty()) StrAppend(&out, "    cpu_max   ", limits.cpu_max(), "\n");
  StrAppend(&out, "    delivery  ",
            revision.delivery().mode() == v1::VOLATILE ? "volatile" : "durable", ", at most ",
            revision.delivery().max_attempts(), " attempts\n");
  for (const auto& [name, value] : revision.settings()) {
    StrAppend(&out, "    setting   ", name, " = ", OneLine(value, 80), "\n");
  }
  return out;
}

std::string AgentText(const v1::Agent& agent, const Style& style) {
  std::string out =
      StrCat(style.Bold(agent.name()), "  ", HealthText(agent.health(), style),
             agent.health().detail().empty() ? "" : " - ", agent.health().detail(), "\n");
  if (agent.has_stable()) StrAppend(&out, "  stable    ", RevisionLines(agent.stable()));
  if (agent.has_candidate()) {
    StrAppend(&out, "  candidate ", RevisionLines(agent.candidate()));
    const v1::AgentHealth& health = agent.candidate_health();
    StrAppend(&out, "    health    ", HealthText(health, style),
              health.detail().empty() ? "" : StrCat(" - ", OneLine(health.detail(), 80)), "\n");
  }
  if (!agent.deployment_id().empty()) {
    StrAppend(&out, "  newest deployment ", agent.deployment_id(), " ",
              v1::DeploymentState_Name(agent.state()), "\n");
  }
  const v1::MessageCounts& counts = agent.messages();
  StrAppend(&out, "  messages  accepted ", counts.accepted(), ", completed ", counts.completed(),
            ", dead-lettered ", counts.dead_lettered(), ", dropped ", counts.dropped(),
            ", waiting ", counts.waiting(), "; refused ", counts.refused(), "\n");
  StrAppend(&out, "  workers   ", agent.health().workers_up(), " of ",
            agent.health().workers_wanted(), " up\n");
  if (!agent.secret_names().empty()) {
    StrAppend(&out, "  secrets   ", absl::StrJoin(agent.secret_names(), ", "), "\n");
  }
  if (!agent.changes().empty()) {
    StrAppend(&out,
              ChangesText("STABLE", "CANDIDATE", {agent.changes().begin(), agent.changes().end()}));
  }
  return out;
}

bool LooksLikeFile(const std::string& what) {
  return EndsWith(what, ".wasm") || StrContains(what, "/");
}

absl::StatusOr<ExitCode> Inspect(Context* context, const std::string& what) {
  if (LooksLikeFile(what)) return InspectFile(context, what);
  v1::GetAgentRequest request;
  request.set_name(what);
  auto response = Call(context->client(), &AgentsStub::GetAgent, request);
  if (!response.ok()) return SuggestAgent(context, what, response.status());
  if (context->printer().structured()) {
    context->printer().Document(*response);
  } else {
    context->printer().Text(AgentText(response->agent(), context->printer().style()));
  }
  return ExitCode::kDone;
}

absl::StatusOr<ExitCode> History(Context* context, const std::string& name) {
  v1::AgentHistoryRequest request;
  request.set_name(name);
  const auto merged = CallAllPages(context->client(), &AgentsStub::AgentHistory, request);
  if (!merged.ok()) return SuggestAgent(context, name, merged.status());
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(*merged);
    return ExitCode::kDone;
  }
  Table table({"REVISION", "VERSION", "CREATED", "DEPLOYMENT", "STATE", "TRAFFIC", "KEPT", ""});
  for (const auto& entry : merged->entries()) {
    const v1::Revision& revision = entry.revision();
    table.Row({revision.name(), OrDash(revision.version()), UtcTime(Nanos(revision.create_time())),
               OrDash(revision.deployment_id()),
               entry.has_deployment() ? StateName(entry.deployment()) : "-",
               Percent(revision.weight_percent()), revision.artifact_kept() ? "yes" : "no",
               revision.withdrawn() ? "withdrawn" : OneLine(entry.deployment().message(), 60)});
  }
  printer.Text(table.ToString());
  return ExitCode::kDone;
}

struct SetFlags {
  std::string name, version;
  OverrideFlags overrides;
  bool dry_run = false, detach = false;
};

absl::StatusOr<ExitCode> Set(Context* context, const SetFlags& flags) {
  ASSIGN_OR_RETURN(const RevisionOverrides overrides, ParseOverrides(flags.overrides));
  v1::SetAgentRequest request;
  request.set_name(flags.name);
  request.set_version(flags.version);
  request.set_validate_only(flags.dry_run);
  ToProto(overrides, request.mutable_overrides());
  for (const std::string& name : flags.overrides.unset) {
    request.mutable_overrides()->add_unset_settings(name);
  }
  if (flags.overrides.memory.empty() && flags.overrides.cpu.empty() &&
      flags.overrides.set.empty() && flags.overrides.unset.empty()) {
    return UsageError("Nothing to set", "give --memory, --cpu, --set NAME=VALUE or --unset NAME");
  }
  request.set_idempotency_key(context->client().NewIdempotencyKey());
  auto response = Call(context->client(), &AgentsStub::SetAgent, request);
  if (!response.ok()) return SuggestAgent(context, flags.name, response.status());
  const Printer printer = context->printer();
  if (flags.dry_run || response->already_running() || flags.detach) {
    if (printer.structured()) {
      printer.Document(*response);
    } else if (response->already_running()) {
      printer.Text("already running: nothing differs\n");
    } else if (flags.dry_run) {
      printer.Text(StrCat(
          ChangesText("RUNNING", "NEW", {response->changes().begin(), response->changes().end()}),
          "Nothing was changed.\n"));
    } else {
      printer.Text(StrCat(response->deployment_id(), "\n"));
    }
    return ExitCode::kDone;
  }
  return WatchUntilSettled(
      context, WatchOptions{.deployment = response->deployment_id(), .was_connected = true});
}

struct RemoveFlags {
  std::string name;
  bool drain = false, dead_letter = false, purge = false;
};

absl::StatusOr<ExitCode> Remove(Context* context, const RemoveFlags& flags) {
  v1::RemoveAgentRequest request;
  request.set_name(flags.name);
  request.set_waiting(flags.drain         ? v1::RemoveAgentRequest::DRAIN
                      : flags.dead_letter ? v1::RemoveAgentRequest::DEAD_LETTER
                      : flags.purge       ? v1::RemoveAgentRequest::PURGE
                                          : v1::RemoveAgentRequest::WAITING_UNSPECIFIED);
  request.set_idempotency_key(context->client().NewIdempotencyKey());
  auto response = Call(context->client(), &AgentsStub::RemoveAgent, request);
  if (!response.ok()) return SuggestAgent(context, flags.name, response.status());
  if (context->printer().structured()) {
    context->printer().Document(*response);
  } else {
    context->printer().Text(StrCat(
        flags.name, " is removed (messages drained ", response->drained(), ", dead-lettered ",
        response->dead_lettered(), ", dropped ", response->dropped(), ")\n"));
  }
  return ExitCode::kDone;
}

struct LogFlags {
  std::string name;
  bool follow = false;
  int backlog = 0;
};

std::string LevelText(v1::TailLogsResponse::Level level, const Style& style) {
  switch (level) {
    case v1::TailLogsResponse::ERROR:
      return style.Bad("ERROR");
    case v1::TailLogsResponse::WARN:
      return style.Warn("WARN ");
    case v1::TailLogsResponse::DEBUG:
      return style.Dim("DEBUG");
    default:
      return "INFO ";
  }
}

absl::StatusOr<ExitCode> Logs(Context* context, const LogFlags& flags) {
  if (flags.backlog < 0) return UsageError("--tail is a number of lines, not less than 0");
  v1::TailLogsRequest request;
  request.set_name(flags.name);
  request.set_follow(flags.follow);
  request.set_backlog(flags.backlog);
  grpc::ClientContext call;
  if (!flags.follow) context->client().SetDeadline(&call);
  InterruptScope interrupt([&call] { call.TryCancel(); });
  AgentsStub stub(context->client().channel());
  auto reader = stub.TailLogs(&call, request);
  const Printer printer = context->printer();
  v1::TailLogsResponse line;
  while (reader->Read(&line)) {
    if (!printer.written()) {
      call.TryCancel();
      continue;
    }
    if (printer.structured()) {
      printer.Event(line);
      continue;
    }
    if (line.dropped() > 0) context->err() << "(" << line.dropped() << " lines were dropped)\n";
    printer.Text(StrCat(UtcTime(Nanos(line.time())), " ", LevelText(line.level(), printer.style()),
                        " ", line.revision(), " ", OneLine(line.text()), "\n"));
  }
  const grpc::Status status = reader->Finish();
  if (interrupt.interrupted() || !printer.written() || status.ok()) return ExitCode::kDone;
  return SuggestAgent(context, flags.name, FromGrpc(status, context->client().server()));
}

void AddSet(CLI::App* agent, Context* context) {
  auto flags = std::make_shared<SetFlags>();
  CLI::App* set = agent->add_subcommand("set", "Change limits or settings (makes a revision)");
  set->add_option("agent", flags->name, "Agent")->required();
  set->add_option("--memory", flags->overrides.memory, "Memory of an instance, e.g. 64Mi");
  set->add_option("--cpu", flags->overrides.cpu, "Weight against other agents, e.g. 500m");
  set->add_option("--set", flags->overrides.set, "NAME=VALUE; repeat for more")
      ->allow_extra_args(false);
  set->add_option("--unset", flags->overrides.unset, "NAME to take away; repeat for more")
      ->allow_extra_args(false);
  set->add_option("--version", flags->version, "Label of the new revision");
  set->add_flag("--dry-run", flags->dry_run, "Show the difference; change nothing");
  set->add_flag("--detach", flags->detach, "Do not wait");
  set->callback([=] { context->action = [=] { return Set(context, *flags); }; });

  CLI::App* secret = agent->add_subcommand("secret", "Secrets of an agent");
  secret->require_subcommand(1);
  CLI::App* secret_set = secret->add_subcommand("set", "Set a secret");
  auto words = std::make_shared<std::vector<std::string>>();
  secret_set->add_option("words", *words, "AGENT NAME")->expected(2);
  secret_set->callback([context, words] {  // keeps `words` alive while options are read
    context->action = []() -> absl::StatusOr<ExitCode> {
      return NotInThisRelease("agent secret set");
    };
  });
}

}  // namespace

absl::Status SuggestAgent(Context* context, const std::string& name, absl::Status status) {
  if (!absl::IsNotFound(status) || !FixOf(status).empty()) return status;
  const auto all =
      CallAllPages(context->client(), &AgentsStub::ListAgents, v1::ListAgentsRequest());
  if (!all.ok()) return status;
  std::vector<std::string> names;
  for (const v1::Agent& agent : all->agents()) names.push_back(agent.name());
  const std::string nearest = NearestName(name, names);
  return WithFix(std::move(status), nearest.empty() ? "see `caxton agent list`"
                                                    : StrCat("did you mean '", nearest, "'?"));
}

void AddAgentCommands(CLI::App* app, Context* context) {
  CLI::App* agent = app->add_subcommand("agent", "Deploy and manage agents");
  agent->require_subcommand(1);
  AddDeployCommand(agent, context);

  agent->add_subcommand("list", "All agents")->callback([context] {
    context->action = [context] { return ListAgents(context); };
  });
  auto name = std::make_shared<std::string>();
  CLI::App* inspect = agent->add_subcommand("inspect", "An agent, or a .wasm file");
  inspect->add_option("agent", *name, "Agent's name or FILE.wasm")->required();
  inspect->callback([=] { context->action = [=] { return Inspect(context, *name); }; });
  CLI::App* history = agent->add_subcommand("history", "Revisions of an agent, newest first");
  history->add_option("agent", *name, "Agent")->required();
  history->callback([=] { context->action = [=] { return History(context, *name); }; });

  AddRollbackCommand(agent, context);
  AddSet(agent, context);

  auto removal = std::make_shared<RemoveFlags>();
  CLI::App* remove = agent->add_subcommand("remove", "Remove an agent");
  remove->add_option("agent", removal->name, "Agent")->required();
  auto* drain = remove->add_flag("--drain", removal->drain, "Finish waiting messages first");
  auto* letter =
      remove->add_flag("--dead-letter", removal->dead_letter, "Keep them as dead letters");
  auto* purge = remove->add_flag("--purge", removal->purge, "Drop them, on record");
  drain->excludes(letter)->excludes(purge);
  letter->excludes(purge);
  remove->callback([=] { context->action = [=] { return Remove(context, *removal); }; });

  auto log_flags = std::make_shared<LogFlags>();
  CLI::App* logs = agent->add_subcommand("logs", "What an agent logs");
  logs->add_option("agent", log_flags->name, "Agent")->required();
  logs->add_flag("-f,--follow", log_flags->follow, "Go on with new lines");
  logs->add_option("--tail", log_flags->backlog, "At most that many lines first");
  logs->callback([=] { context->action = [=] { return Logs(context, *log_flags); }; });

  AddModuleCommands(agent, context);
}

}  // namespace caxton::cli
