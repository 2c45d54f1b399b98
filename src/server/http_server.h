// SPDX-License-Identifier: Apache-2.0
//
// HttpServer: /metrics, /healthz and /readyz on the loopback HTTP port. Host and Origin are
// checked, so that a page in a browser cannot reach it through a name of its own.
//
// Lifecycle: Start binds and serves on its own threads; Stop (or destruction) ends them.
// Thread rule: Start and Stop from one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caxton/telemetry/metrics.h"

namespace caxton::server {

class HttpServer {
 public:
  // `ready` is asked on the server's threads.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& listen,
                                                           telemetry::Metrics* metrics,
                                                           std::function<bool()> ready);
  virtual ~HttpServer() = default;
  virtual std::string address() const = 0;
  virtual void Stop() = 0;
};

}  // namespace caxton::server
