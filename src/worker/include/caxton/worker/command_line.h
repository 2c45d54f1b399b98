// SPDX-License-Identifier: Apache-2.0
//
// Reads caxton-worker's command line (the table in src/worker/README.md; the server's side of it is
// caxton/ipc/worker_command.h). Values; no I/O.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/ipc/worker_command.h"

namespace caxton::worker {

// Static checks only.
struct InspectCommand {
  std::string path;
  bool jail = true;
};

// All four stages, in a child.
struct ValidateCommand {
  std::string path;
  // A file with an encoded Revision (caxton/model/revision.h): its agent, limits and settings;
  // empty: a nameless one with the defaults.
  std::string revision_path;
  bool jail = true;
};

struct PackageCommand {
  std::string module_path, manifest_path, out_path;
};

struct VersionCommand {};
struct HelpCommand {};

using Command = std::variant<ipc::RunCommand, ipc::CompileCommand, InspectCommand, ValidateCommand,
                             PackageCommand, VersionCommand, HelpCommand>;

// `arguments` without the program's name. Errors name the argument.
absl::StatusOr<Command> ParseCommandLine(const std::vector<std::string>& arguments);

// What --help prints.
std::string UsageText();

}  // namespace caxton::worker
