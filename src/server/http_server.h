// SPDX-License-Identifier: Apache-2.0
//
// HttpServer: /metrics, /healthz, /readyz and, by POST, the API's calls (caxton/api/connect.h) on
// the loopback HTTP port. Host and Origin are checked, so that a page in a browser cannot reach it
// through a name of its own or from another site; there are no CORS headers, and calls need a
// content type that a page cannot send to another site without asking first.
//
// Lifecycle: Start binds and serves on its own threads; Stop (or destruction) ends them, calls that
// still wait first of all: stop the API before. Thread rule: Start and Stop from one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caxton/api/connect.h"
#include "caxton/telemetry/metrics.h"

namespace caxton::server {

// Asked on the server's threads.
struct HttpDeps {
  telemetry::Metrics* metrics = nullptr;
  std::function<bool()> ready;
  // Null while the API does not serve yet.
  std::function<api::ConnectFront*()> connect;
};

class HttpServer {
 public:
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& listen,
                                                           HttpDeps deps);
  virtual ~HttpServer() = default;
  virtual std::string address() const = 0;
  virtual void Stop() = 0;
};

}  // namespace caxton::server
