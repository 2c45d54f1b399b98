// SPDX-License-Identifier: Apache-2.0
//
// caxton server start | status | doctor
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "call.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/v1/server.grpc.pb.h"
#include "context.h"

namespace caxton::cli {
namespace {

using ServerStub = v1::Server::Stub;

std::string CountsText(const v1::GetServerStatusResponse& status, const Style& style) {
  const v1::MessageCounts& counts = status.messages();
  return StrCat("  messages    accepted ", counts.accepted(), " = completed ", counts.completed(),
                " + dead-lettered ", counts.dead_lettered(), " + dropped ", counts.dropped(),
                " + waiting ", counts.waiting(), "  ",
                status.messages_add_up() ? style.Good("(adds up)") : style.Bad("(DOES NOT ADD UP)"),
                "\n              refused ", counts.refused(), " before an acknowledgement, ",
                counts.retries(), " retries, ", status.dead_letters_kept(), " dead letters kept\n");
}

std::string StatusText(const v1::GetServerStatusResponse& status, const Style& style) {
  std::string out =
      StrCat("caxton ", status.version(), " ",
             status.serving() ? style.Good("serving") : style.Warn("not serving"), " for ",
             ShortDuration(Nanos(status.uptime())), "\n  grpc ", status.grpc_address(), "  http ",
             status.http_address(), "\n  data        ", status.data_dir(), " (start ",
             status.start_count(), ")\n  agents      ", status.agents(), ", active deployments ",
             status.active_deployments(), "\n", CountsText(status, style));
  const auto& journal = status.journal();
  out += "  journal     ";
  if (journal.has_commit_p50()) {
    StrAppend(&out, "commit p50 ", ShortDuration(Nanos(journal.commit_p50())), " p99 ",
              ShortDuration(Nanos(journal.commit_p99())), ", ");
  }
  StrAppend(&out, "queue ", journal.queue_bytes(), " of ", journal.queue_limit_bytes(), " bytes",
            journal.stalled() ? style.Warn(", stalled: ingress is refused") : "", "\n");
  StrAppend(&out, "  cgroups     ", status.cgroup_mode().empty() ? "-" : status.cgroup_mode(),
            "\n");
  if (status.dev()) StrAppend(&out, "  dev mode, time scale ", status.time_scale(), "\n");
  if (!status.workers().empty()) {
    Table table({"  WORKER", "PID", "STATE", "RESTARTS", "MEMORY"});
    for (const auto& worker : status.workers()) {
      table.Row({StrCat("  ", worker.revision(), "#", worker.index()), StrCat(worker.pid()),
                 worker.state(), StrCat(worker.restarts()),
                 StrCat(worker.memory_bytes() >> 10, "Ki")});
    }
    StrAppend(&out, table.ToString());
  }
  for (const std::string& warning : status.warnings()) {
    StrAppend(&out, "  ", style.Warn("warning"), "     ", warning, "\n");
  }
  return out;
}

absl::StatusOr<ExitCode> ShowStatus(Context* context) {
  ASSIGN_OR_RETURN(
      const v1::GetServerStatusResponse response,
      Call(context->client(), &ServerStub::GetServerStatus, v1::GetServerStatusRequest()));
  const Printer printer = context->printer();
  if (printer.structured()) {
    printer.Document(response);
  } else {
    printer.Text(StatusText(response, printer.style()));
  }
  return ExitCode::kDone;
}

absl::StatusOr<ExitCode> Doctor(Context* context) {
  ASSIGN_OR_RETURN(const v1::RunDoctorResponse response,
                   Call(context->client(), &ServerStub::RunDoctor, v1::RunDoctorRequest()));
  using Check = v1::RunDoctorResponse::Check;
  bool problem = false;
  std::string text;
  const Printer printer = context->printer();
  for (const Check& check : response.checks()) {
    problem = problem || check.status() == Check::PROBLEM;
    const std::string mark = check.status() == Check::OK        ? printer.style().Good("ok     ")
                             : check.status() == Check::WARNING ? printer.style().Warn("warning")
                                                                : printer.style().Bad("problem");
    StrAppend(&text, mark, "  ", check.name(), ": ", check.detail(), "\n");
    if (!check.fix().empty()) StrAppend(&text, "         To fix: ", check.fix(), "\n");
  }
  if (printer.structured()) {
    printer.Document(response);
  } else {
    printer.Text(text);
  }
  return problem ? ExitCode::kFailed : ExitCode::kDone;
}

}  // namespace

void AddServerCommands(CLI::App* app, Context* context) {
  CLI::App* group = app->add_subcommand("server", "Run a server, or ask one how it is");
  group->require_subcommand(1);
  // Its options are the server's own: everything behind `start` goes there.
  CLI::App* start = group->add_subcommand("start", "Serve (see `caxton server start --help`)");
  start->fallthrough(false);
  start->set_help_flag();
  start->prefix_command();
  start->callback([context, start] {
    context->offline = true;
    context->action = [context, start]() -> absl::StatusOr<ExitCode> {
      return static_cast<ExitCode>(context->environment.hooks.start_server(start->remaining()));
    };
  });
  group->add_subcommand("status", "Counts, journal, workers")->callback([context] {
    context->action = [context] { return ShowStatus(context); };
  });
  group->add_subcommand("doctor", "What the server needs from its machine, and what is missing")
      ->callback([context] { context->action = [context] { return Doctor(context); }; });
}

}  // namespace caxton::cli
