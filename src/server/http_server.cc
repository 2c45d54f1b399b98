// SPDX-License-Identifier: Apache-2.0
#include "http_server.h"

#include <httplib.h>

#include <thread>

#include "caxton/api/api_server.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/server/limits.h"

namespace caxton::server {
namespace {

// "127.0.0.1:8080", "localhost:8080", "[::1]:8080".
bool LoopbackHost(const std::string& host) {
  return api::CheckLoopback(host.find(':') == std::string::npos || host.back() == ']' ? host + ":80"
                                                                                      : host)
      .ok();
}

class HttpServerImpl final : public HttpServer {
 public:
  HttpServerImpl(telemetry::Metrics* metrics, std::function<bool()> ready)
      : metrics_(metrics), ready_(std::move(ready)) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kHttpThreads); };
    server_.set_payload_max_length(kMaxHttpRequestBytes);
    server_.set_pre_routing_handler(
        [](const httplib::Request& request, httplib::Response& response) {
          const std::string origin = request.get_header_value("Origin");
          const bool own_origin =
              origin.empty() || (StartsWith(origin, "http://") && LoopbackHost(origin.substr(7)));
          if (LoopbackHost(request.get_header_value("Host")) && own_origin) {
            return httplib::Server::HandlerResponse::Unhandled;
          }
          response.status = 403;
          response.set_content("this port answers to loopback names only\n", "text/plain");
          return httplib::Server::HandlerResponse::Handled;
        });
    server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(metrics_->RenderText(), "text/plain; version=0.0.4");
    });
    server_.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("ok\n", "text/plain");
    });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      const bool ready = ready_();
      response.status = ready ? 200 : 503;
      response.set_content(ready ? "ready\n" : "not serving\n", "text/plain");
    });
  }
  ~HttpServerImpl() override { Stop(); }

  absl::Status Bind(const std::string& listen) {
    RETURN_IF_ERROR(api::CheckLoopback(listen));
    const size_t colon = listen.rfind(':');
    std::string host = listen.substr(0, colon);
    int port = 0;
    (void)absl::SimpleAtoi(listen.substr(colon + 1), &port);
    // Its default also sets SO_REUSEPORT, which would let two servers share one port.
    server_.set_socket_options([](int socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    const bool bound =
        port == 0 ? (port = server_.bind_to_any_port(host)) > 0 : server_.bind_to_port(host, port);
    if (!bound) {
      return WithFix(WithReason(absl::AlreadyExistsError(
                                    StrCat("cannot listen on ", listen, " (HTTP): in use?")),
                                "PORT_IN_USE"),
                     "choose another with --http (port 0 picks a free one)");
    }
    address_ = StrCat(host, ":", port);
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    return absl::OkStatus();
  }

  std::string address() const override { return address_; }
  void Stop() override {
    if (!thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

 private:
  telemetry::Metrics* metrics_;
  std::function<bool()> ready_;
  httplib::Server server_;
  std::string address_;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& listen,
                                                              telemetry::Metrics* metrics,
                                                              std::function<bool()> ready) {
  auto server = std::make_unique<HttpServerImpl>(metrics, std::move(ready));
  RETURN_IF_ERROR(server->Bind(listen));
  return server;
}

}  // namespace caxton::server
