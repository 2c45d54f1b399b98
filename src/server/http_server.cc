// SPDX-License-Identifier: Apache-2.0
#include "http_server.h"

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "caxton/api/api_server.h"
#include "caxton/api/limits.h"
#include "caxton/api/listen_address.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/server/limits.h"
#include "http_threads.h"

namespace caxton::server {
namespace {

// "127.0.0.1:8080", "localhost:8080", "[::1]:8080".
bool LoopbackHost(const std::string& host) {
  return api::CheckLoopback(host.find(':') == std::string::npos || host.back() == ']' ? host + ":80"
                                                                                      : host)
      .ok();
}

// Whether a page of another site may have sent this. A browser names the page's site in Origin (and
// in Sec-Fetch-Site) with every POST; who is no browser leaves both out.
bool OwnSite(const httplib::Request& request) {
  const std::string host = request.get_header_value("Host");
  const std::string origin = request.get_header_value("Origin");
  if (!LoopbackHost(host) || (!origin.empty() && origin != "http://" + host)) return false;
  const std::string site = request.get_header_value("Sec-Fetch-Site");
  return request.method != "POST" || site.empty() || site == "same-origin" || site == "none";
}

api::ConnectHead HeadOf(const httplib::Request& request) {
  return {.path = request.path,
          .content_type = request.get_header_value("Content-Type"),
          .content_encoding = request.get_header_value("Content-Encoding"),
          .protocol_version = request.get_header_value("Connect-Protocol-Version"),
          .timeout_ms = request.get_header_value("Connect-Timeout-Ms"),
          .authorization = request.get_header_value("Authorization"),
          .traceparent = request.get_header_value("traceparent"),
          .tracestate = request.get_header_value("tracestate"),
          .preview = request.get_header_value("Caxton-Preview")};
}

absl::Status TooMany(std::string_view what) {
  return WithRetryAfterMs(
      WithReason(absl::ResourceExhaustedError(StrCat("the HTTP port has as many ", what,
                                                     " as it may; gRPC has no such limit")),
                 "TOO_MANY_CALLS"),
      kHttpRetryAfterMs);
}

// A share of a counter, given back at the end.
class Share {
 public:
  explicit Share(std::atomic<size_t>* counter) : counter_(counter) {}
  ~Share() { counter_->fetch_sub(taken_); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  // Whether the counter, with this, is at most `most`.
  bool Take(size_t amount, size_t most) {
    taken_ += amount;
    return counter_->fetch_add(amount) + amount <= most;
  }

 private:
  std::atomic<size_t>* const counter_;
  size_t taken_ = 0;
};

class HttpServerImpl final : public HttpServer {
 public:
  explicit HttpServerImpl(HttpDeps deps) : deps_(std::move(deps)) {
    server_.new_task_queue = [] {
      return new HttpThreads(kHttpThreads, kMaxHttpQueuedConnections);
    };
    server_.set_payload_max_length(api::kMaxConnectBodyBytes);
    server_.set_read_timeout(kHttpIoTimeoutSeconds);
    server_.set_write_timeout(kHttpIoTimeoutSeconds);
    // One request per connection. The library reads on behind a request whose body was refused
    // unread, so on a kept connection a refused body's bytes would be taken for the next request -
    // and that one's Host and Origin are what the sender of the body wrote there.
    server_.set_keep_alive_max_count(1);
    server_.set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          return CheckRequest(request, &response);
        });
    server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(deps_.metrics->RenderText(), "text/plain; version=0.0.4");
    });
    server_.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("ok\n", "text/plain");
    });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      const bool ready = deps_.ready();
      response.status = ready ? 200 : 503;
      response.set_content(ready ? "ready\n" : "not serving\n", "text/plain");
    });
    server_.Post(".*", [this](const httplib::Request& request, httplib::Response& response,
                              const httplib::ContentReader& reader) {
      const api::ConnectAnswer answer = Call(HeadOf(request), reader);
      response.status = answer.http_status;
      response.set_content(answer.body, answer.content_type);
      for (const auto& [name, value] : answer.headers) response.set_header(name, value);
    });
  }
  ~HttpServerImpl() override { Stop(); }

  absl::Status Bind(const std::string& listen) {
    RETURN_IF_ERROR(api::CheckLoopback(listen));
    RETURN_IF_ERROR(api::CheckPortFree(listen, "--http"));
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
      return WithReason(absl::InternalError(StrCat("cannot listen on ", listen, " (HTTP)")),
                        "CANNOT_LISTEN");
    }
    address_ = StrCat(host, ":", port);
    thread_ = std::thread([this] {
      server_.listen_after_bind();
      ended_ = true;
    });
    return absl::OkStatus();
  }

  std::string address() const override { return address_; }
  void Stop() override {
    if (!thread_.joinable()) return;
    // The library ignores a stop that comes before its thread listens, and would then listen for
    // ever.
    while (!server_.is_running() && !ended_) std::this_thread::yield();
    server_.stop();
    thread_.join();
  }

 private:
  httplib::Server::HandlerResponse CheckRequest(const httplib::Request& request,
                                                httplib::Response* response) {
    if (!OwnSite(request)) {
      response->status = 403;
      response->set_content("this port answers to loopback names only, and to no other site\n",
                            "text/plain");
      return httplib::Server::HandlerResponse::Handled;
    }
    api::ConnectFront* connect = deps_.connect();
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const bool procedure = connect != nullptr && connect->IsProcedure(request.path);
    if (request.method == "POST" || (reads && !procedure))
      return httplib::Server::HandlerResponse::Unhandled;
    response->status = 405;
    response->set_header("Allow", procedure ? "POST" : "GET, HEAD, POST");
    response->set_content(procedure ? "call a procedure by POST\n" : "unknown method\n",
                          "text/plain");
    return httplib::Server::HandlerResponse::Handled;
  }

  api::ConnectAnswer Call(const api::ConnectHead& head, const httplib::ContentReader& reader) {
    Share calls(&calls_), bytes(&body_bytes_);
    // Its body is not read: whoever sends slowly must not hold the threads that are left.
    if (!calls.Take(1, kMaxHttpCalls)) return api::ConnectError(TooMany("calls"));
    api::ConnectFront* connect = deps_.connect();
    std::optional<api::ConnectAnswer> refused;
    if (connect == nullptr) {
      refused = api::ConnectError(absl::UnavailableError("the server does not serve yet"));
    } else {
      refused = connect->Refuse(head);
    }
    std::string body;
    bool room = true;
    const bool read = Read(reader, [&](const char* data, size_t size) {
      if (refused) return true;  // read away, so that the sender comes to read the answer
      room = bytes.Take(size, kMaxHttpBodiesBytes);
      if (room) body.append(data, size);
      return room;
    });
    if (refused) return *std::move(refused);
    if (!room) return api::ConnectError(TooMany("bytes of calls"));
    if (!read) {
      return api::ConnectError(WithReason(
          absl::ResourceExhaustedError(StrCat("the body is longer than ", api::kMaxConnectBodyBytes,
                                              " bytes, or did not come in time")),
          "BODY_NOT_READ"));
    }
    return connect->Call(head, body);
  }

  // The library checks the limit only where the length is announced.
  static bool Read(const httplib::ContentReader& reader, const httplib::ContentReceiver& receive) {
    size_t size = 0;
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::nanoseconds(kMaxHttpBodyReadNs);
    return reader([&](const char* data, size_t n) {
      size += n;
      return size <= api::kMaxConnectBodyBytes && std::chrono::steady_clock::now() < end &&
             receive(data, n);
    });
  }

  const HttpDeps deps_;
  std::atomic<size_t> calls_{0}, body_bytes_{0};
  httplib::Server server_;
  std::string address_;
  std::thread thread_;
  std::atomic<bool> ended_{false};  // by thread_
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& listen,
                                                              HttpDeps deps) {
  auto server = std::make_unique<HttpServerImpl>(std::move(deps));
  RETURN_IF_ERROR(server->Bind(listen));
  return server;
}

}  // namespace caxton::server
