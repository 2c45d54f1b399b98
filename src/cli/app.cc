// SPDX-License-Identifier: Apache-2.0
//
// The command line as a whole: global options, parsing, errors, exit status.
#include <errno.h>

#include <algorithm>
#include <memory>
#include <ostream>

#include <CLI/CLI.hpp>

#include "args.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/version.h"
#include "caxton/cli/limits.h"
#include "context.h"
#include "environment.h"

namespace caxton::cli {
namespace {

// As given, before they are checked.
struct GlobalFlags {
  std::string server, output = "table", timeout, color = "auto";
  std::string token, ca, cert, key;
};

void AddGlobals(CLI::App* app, GlobalFlags* flags) {
  app->add_option("--server", flags->server,
                  StrCat("Server's address (CAXTON_SERVER; default ", kDefaultServer, ")"));
  app->add_option("--output", flags->output, "table, json or yaml")
      ->check(CLI::IsMember({"table", "json", "yaml"}));
  app->add_option("--timeout", flags->timeout, "Of a call, and of reconnecting (default 30s)");
  app->add_option("--color", flags->color, "auto, always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app->add_option("--token", flags->token, "Access token")->group("Later releases");
  app->add_option("--ca", flags->ca, "Certificate authority")->group("Later releases");
  app->add_option("--cert", flags->cert, "Client certificate")->group("Later releases");
  // Behind `message send` and the like, --key is the message's.
  app->add_option("--key", flags->key, "Client key")->group("Later releases");
}

absl::Status ApplyGlobals(const CLI::App& app, const GlobalFlags& flags, Context* context) {
  const std::pair<const char*, std::string> later[] = {
      {"--token", flags.token}, {"--ca", flags.ca}, {"--cert", flags.cert}, {"--key", flags.key}};
  for (const auto& [name, value] : later) {
    if (!value.empty()) return NotInThisRelease(name);
  }
  RETURN_IF_ERROR(CheckValues(app));
  GlobalOptions& globals = context->globals;
  globals.server = flags.server;
  if (globals.server.empty()) globals.server = context->environment.getenv("CAXTON_SERVER");
  if (globals.server.empty()) globals.server = kDefaultServer;
  if (!context->offline || !flags.server.empty()) {
    RETURN_IF_ERROR(CheckServerAddress(globals.server));
  }
  globals.output = flags.output == "json"   ? OutputFormat::kJson
                   : flags.output == "yaml" ? OutputFormat::kYaml
                                            : OutputFormat::kTable;
  globals.color = flags.color == "always"  ? ColorWhen::kAlways
                  : flags.color == "never" ? ColorWhen::kNever
                                           : ColorWhen::kAuto;
  globals.timeout_ns = kDefaultTimeoutNs;
  if (!flags.timeout.empty()) {
    ASSIGN_OR_RETURN(globals.timeout_ns, ParseDurationArg("--timeout", flags.timeout));
    if (globals.timeout_ns == 0) return UsageError("--timeout must be more than 0");
  }
  return absl::OkStatus();
}

void AddCompletion(CLI::App* app, Context* context) {
  auto shell = std::make_shared<std::string>("bash");
  CLI::App* completion = app->add_subcommand("completion", "Completion script of a shell");
  completion->add_option("shell", *shell, "bash, zsh or fish");
  completion->callback([=] {
    context->offline = true;
    context->action = [=]() -> absl::StatusOr<ExitCode> {
      ASSIGN_OR_RETURN(const std::string script, CompletionScript(*app, *shell));
      context->printer().Text(script);
      return ExitCode::kDone;
    };
  });
}

// `caxton --version` is for people and scripts of the machine, `caxton version` for --output too.
void AddVersion(CLI::App* app, Context* context) {
  app->set_version_flag("--version", StrCat("caxton ", Version()));
  app->add_subcommand("version", "The version of this program")->callback([context] {
    context->offline = true;
    context->action = [context]() -> absl::StatusOr<ExitCode> {
      const Printer printer = context->printer();
      if (printer.structured()) {
        printer.JsonDocument(StrCat("{\"version\":\"", Version(), "\"}"));
      } else {
        printer.Text(StrCat("caxton ", Version(), "\n"));
      }
      return ExitCode::kDone;
    };
  });
}

void PrintError(const Context& context, const absl::Status& status) {
  const Style style = StyleFor(context.environment, context.globals, context.environment.err_tty);
  std::string message(status.message());
  if (message.empty()) message = absl::StatusCodeToString(status.code());
  context.err() << style.Bad("Error:") << " " << message << "\n";
  const std::string reason = ReasonOf(status);
  if (!reason.empty() && reason != kReasonUsage && reason != kReasonUnreachable) {
    context.err() << "Reason: " << reason << "\n";
  }
  const std::string fix = FixOf(status);
  if (!fix.empty()) context.err() << "To fix: " << fix << "\n";
}

// The end of every command: what could not be written is no success. A reader that closed its pipe
// wanted no more: that is quiet. A command that failed keeps its own status.
int FinishOutput(const Context& context, int exit_status) {
  std::ostream& out = *context.environment.out;
  out.flush();
  if (!out.fail()) return exit_status;
  const int error = context.environment.out_error ? context.environment.out_error() : 0;
  if (error == EPIPE) return exit_status;
  const std::string_view what = "The result could not be written to stdout";
  PrintError(context,
             WithFix(error == 0 ? absl::UnknownError(AbslView(what)) : ErrnoStatus(error, what),
                     "make room, or let stdout go elsewhere; what the command did on the "
                     "server stands"));
  return exit_status == 0 ? static_cast<int>(ExitCode::kFailed) : exit_status;
}

// CLI11's "Could not convert: --count = many".
std::string InOurWords(const CLI::ParseError& error) {
  const std::string what = error.what();
  const std::string_view prefix = "Could not convert: ";
  const size_t equals = what.find(" = ");
  if (!StartsWith(what, prefix) || equals == std::string::npos) return what;
  return StrCat(what.substr(prefix.size(), equals - prefix.size()), " takes a number, not '",
                what.substr(equals + 3), "'");
}

// Returns the exit status if parsing already decided it, -1 to go on.
int Parse(CLI::App* app, const std::vector<std::string>& args, const Environment& environment) {
  std::vector<std::string> reversed = SplitEmptyValues(*app, args);
  std::reverse(reversed.begin(), reversed.end());  // as CLI11 wants them
  try {
    app->parse(reversed);
    return -1;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help, --version
      app->exit(error, *environment.out, *environment.err);
      return 0;
    }
    if (args.empty()) {
      *environment.err << app->help();
      return static_cast<int>(ExitCode::kUsage);
    }
    std::string why = ExplainUnknownWord(*app, args);
    if (why.empty()) {
      const CLI::App* deepest = app;
      while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
      why = StrCat(InOurWords(error), "\nTo fix: see `", deepest->get_display_name(), " --help`");
    }
    *environment.err << "Error: " << why << "\n";
    return static_cast<int>(ExitCode::kUsage);
  }
}

}  // namespace

int Run(const std::vector<std::string>& args, const Environment& environment) {
  Context context(environment);
  GlobalFlags flags;
  CLI::App app("Caxton runs WebAssembly agents and replaces their code while messages flow.",
               "caxton");
  app.require_subcommand(1);
  app.fallthrough();  // global options may stand anywhere
  AddGlobals(&app, &flags);
  AddServerCommands(&app, &context);
  AddAgentCommands(&app, &context);
  AddDeploymentCommands(&app, &context);
  AddMessageCommands(&app, &context);
  AddLoadCommand(&app, &context);
  AddDeadLetterCommands(&app, &context);
  AddAuditCommands(&app, &context);
  AddDeployCommand(&app, &context);
  AddRollbackCommand(&app, &context);
  AddCompletion(&app, &context);
  AddVersion(&app, &context);
  app.footer(
      "Exit status: 0 done, 1 failed, 2 usage, 3 rejected by validation, 4 rolled back or "
      "aborted,\n5 server unreachable, 6 refused, 7 inconclusive.");

  const int parsed = Parse(&app, args, environment);
  if (parsed >= 0) return FinishOutput(context, parsed);
  absl::StatusOr<ExitCode> result = ExitCode::kDone;
  if (absl::Status globals = ApplyGlobals(app, flags, &context); !globals.ok()) {
    result = globals;
  } else {
    result = context.action();
  }
  if (result.ok()) return FinishOutput(context, static_cast<int>(*result));
  PrintError(context, result.status());
  return FinishOutput(context, static_cast<int>(ExitCodeFor(result.status())));
}

}  // namespace caxton::cli
