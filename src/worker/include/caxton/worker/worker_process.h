// SPDX-License-Identifier: Apache-2.0
//
// caxton-worker as a process: one function for all its modes (src/worker/README.md).
#pragma once

#include <string>
#include <vector>

#include "caxton/ipc/worker_command.h"

namespace caxton::worker {

// Does what the command line says, jailed where the mode demands it; called once, before any thread
// exists. Writes to standard output and error, and to inherited descriptors.
ipc::WorkerExit RunWorkerProcess(const std::vector<std::string>& arguments);

}  // namespace caxton::worker
