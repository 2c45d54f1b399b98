// SPDX-License-Identifier: Apache-2.0
//
// caxton: the server and the command line.
#include "caxton/cli/cli.h"
#include "caxton/server/server.h"

int main(int argc, char** argv) {
  return caxton::cli::Main(argc, argv, {.start_server = caxton::server::StartMain});
}
