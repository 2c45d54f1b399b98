// SPDX-License-Identifier: Apache-2.0
//
// Following a deployment until it is settled: a redrawn view in a terminal, plain lines in a pipe,
// one document a line with --output json. Rides over a restart of the server for as long as
// --timeout. Thread rule: main thread; blocks.
#pragma once

#include <string>
#include <vector>

#include "context.h"

namespace caxton::cli {

struct WatchOptions {
  std::string deployment;      // id or agent's name
  bool finalized = false;      // wait for the end of cleanup too
  bool on_stdout = false;      // the lines are the result (deployment watch), not progress (deploy)
  bool was_connected = false;  // the server answered before: do not give up at once
};

inline constexpr int kExitInterrupted = 130;  // Ctrl-C, as shells have it

absl::StatusOr<ExitCode> WatchUntilSettled(Context* context, const WatchOptions& options);
// One after the other; the first outcome that is not "done". One Ctrl-C ends the whole wait.
absl::StatusOr<ExitCode> WatchAllUntilSettled(Context* context,
                                              const std::vector<WatchOptions>& all);

}  // namespace caxton::cli
