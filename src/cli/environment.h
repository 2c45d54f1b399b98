// SPDX-License-Identifier: Apache-2.0
//
// Environment: all that the command line touches of its surroundings, handed in once by Main() and
// by tests. Lifecycle: outlives everything that holds it. Thread rule: read-only after start; the
// streams are used by the main thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/base/random.h"
#include "caxton/cli/cli.h"

namespace grpc {
class Channel;
}

namespace caxton::cli {

struct ToolResult {
  int exit_status = 0;  // 128 + signal where a signal ended it
  std::string output;   // its stdout
  std::string errors;   // its stderr
};

struct Environment {
  std::ostream* out = nullptr;  // results, and nothing else
  std::ostream* err = nullptr;  // progress, notes, errors
  std::istream* in = nullptr;
  // errno of the first write to `out` that failed, 0 if none has; may be empty: not known.
  std::function<int()> out_error;
  bool out_tty = false;
  bool err_tty = false;
  bool in_tty = false;
  int columns = 100;  // of the terminal

  const Clock* clock = nullptr;
  RandomSource* random = nullptr;
  std::function<void(int64_t nanoseconds)> sleep;
  std::function<std::string(const char* name)> getenv;  // empty where unset
  std::function<std::shared_ptr<grpc::Channel>(const std::string& address)> connect;
  // Runs caxton-worker with these arguments.
  std::function<absl::StatusOr<ToolResult>(const std::vector<std::string>& args)> run_worker;
  Hooks hooks;
};

enum class OutputFormat { kTable, kJson, kYaml };
enum class ColorWhen { kAuto, kAlways, kNever };

struct GlobalOptions {
  std::string server;
  OutputFormat output = OutputFormat::kTable;
  ColorWhen color = ColorWhen::kAuto;
  int64_t timeout_ns = 0;
};

// Runs one command line (without the program's name); returns the exit status.
int Run(const std::vector<std::string>& args, const Environment& environment);

}  // namespace caxton::cli
