// SPDX-License-Identifier: Apache-2.0
//
// The composition root: every part of a Caxton server, made in order, started, and stopped in the
// opposite order.
//
// Lifecycle: Start takes the data directory, opens and recovers the journal, starts workers for
// what served before, and serves; Stop refuses new messages, lets running steps finish up to
// kStopLimitNs, and closes. A server that is killed instead loses nothing that it acknowledged.
// Thread rule: Start, Stop and the getters from one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/server/config.h"

namespace caxton::server {

class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerConfig& config);
  virtual ~Server() = default;
  virtual std::string grpc_address() const = 0;
  virtual std::string http_address() const = 0;
  virtual void Stop() = 0;
};

// `caxton server start ARGS...`: parses, serves until SIGTERM or SIGINT, returns the exit status.
int StartMain(const std::vector<std::string>& args);

}  // namespace caxton::server
