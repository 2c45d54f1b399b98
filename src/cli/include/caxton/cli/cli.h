// SPDX-License-Identifier: Apache-2.0
//
// The command line of Caxton: everything `caxton` does but serving. It talks to the server's public
// API and to nothing else; what reads a module is done by `caxton-worker`, found beside the
// program.
//
// Thread rule: called once, from main().
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace caxton::cli {

struct Hooks {
  // `caxton server start ARGS...`; returns the exit status. Given by main(), because the server is
  // a layer above.
  std::function<int(const std::vector<std::string>& args)> start_server;
};

// Returns the exit status (see exit_code.h).
int Main(int argc, char** argv, Hooks hooks);

}  // namespace caxton::cli
