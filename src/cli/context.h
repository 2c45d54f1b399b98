// SPDX-License-Identifier: Apache-2.0
//
// Context: one run of the program. Parsing fills `globals` and `action`; then the action runs.
// Thread rule: main thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client.h"
#include "environment.h"
#include "exit_code.h"
#include "render.h"

namespace CLI {
class App;
}

namespace caxton::cli {

struct Context {
  explicit Context(const Environment& env) : environment(env) {}

  const Environment& environment;
  GlobalOptions globals;
  bool offline = false;  // the chosen command needs no server: CAXTON_SERVER is not looked at
  // Set by the chosen command; what it returns becomes the exit status, an error is printed.
  std::function<absl::StatusOr<ExitCode>()> action;

  std::ostream& err() const { return *environment.err; }
  Printer printer() const { return Printer(environment, globals); }
  Client& client() {
    if (!client_.has_value()) client_.emplace(environment, globals);
    return *client_;
  }

 private:
  std::optional<Client> client_;
};

// Each adds its group of commands under `app`, which outlives the parsing.
void AddAgentCommands(CLI::App* app, Context* context);
void AddDeployCommand(CLI::App* app, Context* context);
void AddRollbackCommand(CLI::App* app, Context* context);
void AddModuleCommands(CLI::App* agent, Context* context);  // validate, package
void AddDeploymentCommands(CLI::App* app, Context* context);
void AddMessageCommands(CLI::App* app, Context* context);
void AddDeadLetterCommands(CLI::App* app, Context* context);
void AddServerCommands(CLI::App* app, Context* context);
void AddAuditCommands(CLI::App* app, Context* context);
void AddLoadCommand(CLI::App* app, Context* context);

// `agent inspect FILE`: what caxton-worker says about a module file.
absl::StatusOr<ExitCode> InspectFile(Context* context, const std::string& path);
struct ValidateSubject;
absl::StatusOr<ExitCode> ValidateAgainst(Context* context, const ValidateSubject& subject,
                                         const std::string& agent);

// Adds the nearest agent's name to a NOT_FOUND without a fix.
absl::Status SuggestAgent(Context* context, const std::string& name, absl::Status status);

}  // namespace caxton::cli
