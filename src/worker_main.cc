// SPDX-License-Identifier: Apache-2.0
//
// caxton-worker: runs and examines agents. src/worker/README.md has its modes.
#include <string>
#include <vector>

#include "caxton/worker/worker_process.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  return static_cast<int>(caxton::worker::RunWorkerProcess(arguments));
}
