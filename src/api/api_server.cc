// SPDX-License-Identifier: Apache-2.0
#include "caxton/api/api_server.h"

#include <arpa/inet.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "caxton/api/limits.h"
#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/thread_executor.h"
#include "connect_front.h"
#include "grpc/health/v1/health.pb.h"
#include "services.h"
#include "trace_context.h"

namespace caxton::api {

std::string ServiceContext::TraceId(const grpc::CallbackServerContext& context) const {
  const auto found = context.client_metadata().find("traceparent");
  if (found != context.client_metadata().end()) {
    const std::string_view id = TraceIdIn({found->second.data(), found->second.size()});
    if (!id.empty()) return std::string(id);
  }
  return RandomHex(deps.random, 16);
}

std::string ServiceContext::NewSender() const {
  return StrCat("client:", RandomHex(deps.random, 8));
}

namespace {

absl::Status Split(const std::string& listen, std::string* host, int* port) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), port) ||
      *port < 0 || *port > 65535) {
    return WithFix(absl::InvalidArgumentError(StrCat("'", listen, "' is no address")),
                   "write HOST:PORT, for example 127.0.0.1:50051 (port 0 picks a free one)");
  }
  *host = listen.substr(0, colon);
  if (host->size() > 2 && host->front() == '[' && host->back() == ']')
    *host = host->substr(1, host->size() - 2);
  return absl::OkStatus();
}

// gRPC says only that it could not bind; the reason is found by trying.
absl::Status WhyNotBound(const std::string& listen) {
  std::string host;
  int port = 0;
  RETURN_IF_ERROR(Split(listen, &host, &port));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &address.sin_addr);
  const int bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  const int error = bound == 0 ? 0 : errno;
  close(fd);
  if (error == EADDRINUSE) {
    return WithFix(
        WithReason(absl::AlreadyExistsError(StrCat("the address ", listen, " is in use")),
                   "PORT_IN_USE"),
        "stop what listens there, or choose another with --listen (port 0 picks a free one)");
  }
  return WithReason(error != 0 ? ErrnoStatus(error, StrCat("cannot listen on ", listen))
                               : absl::InternalError(StrCat("cannot listen on ", listen)),
                    "CANNOT_LISTEN");
}

class ApiServerImpl final : public ApiServer {
 public:
  explicit ApiServerImpl(ApiDeps deps)
      : reader_("api-reader", *deps.clock),
        writer_("api-writer", *deps.clock),
        answers_(deps.clock) {
    context_.start_wall_ns = deps.clock->WallNanos();
    context_.deps = std::move(deps);
    context_.reader = &reader_;
    context_.writer = &writer_;
    context_.answers = &answers_;
    services_.push_back(MakeDeploymentService(&context_));
    services_.push_back(MakeAgentsService(&context_));
    services_.push_back(MakeMessagingService(&context_));
    services_.push_back(MakeServerService(&context_));
    services_.push_back(MakeAuditService(&context_));
  }
  ~ApiServerImpl() override { Stop(); }

  absl::Status Bind(const std::string& listen) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // gRPC's health service knows no descriptors; naming one links them all for reflection.
    CAXTON_ASSERT(grpc::health::v1::HealthCheckRequest::descriptor() != nullptr,
                  "health.proto is linked");
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
    // Without this a second server on the same port would share its connections, silently.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
    builder.SetMaxSendMessageSize(kMaxRequestBytes);
    for (auto& service : services_) builder.RegisterService(service.get());
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) return WhyNotBound(listen);
    context_.grpc_address = StrCat(listen.substr(0, listen.rfind(':')), ":", port);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxRequestBytes);
    arguments.SetMaxSendMessageSize(kMaxRequestBytes);
    connect_ = MakeConnectFront(server_->InProcessChannel(arguments), context_.deps.random);
    SetServing(true);
    return absl::OkStatus();
  }

  std::string address() const override { return context_.grpc_address; }
  ConnectFront* connect() override { return connect_.get(); }

  void SetServing(bool serving) override {
    context_.serving = serving;
    if (server_ && server_->GetHealthCheckService())
      server_->GetHealthCheckService()->SetServingStatus(serving);
  }

  void Stop() override {
    if (server_ == nullptr) return;
    SetServing(false);
    context_.stopping = true;
    if (connect_) connect_->Stop(kStopGraceNs);
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::nanoseconds(kStopGraceNs));
    server_->Wait();
    server_.reset();
    reader_.Stop();
    writer_.Stop();
  }

 private:
  ThreadExecutor reader_, writer_;
  AnswerBook answers_;
  ServiceContext context_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ConnectFront> connect_;
};

}  // namespace

absl::Status CheckLoopback(const std::string& listen) {
  std::string host;
  int port = 0;
  RETURN_IF_ERROR(Split(listen, &host, &port));
  in_addr v4{};
  in6_addr v6{};
  const bool loopback =
      host == "localhost" ||
      (inet_pton(AF_INET, host.c_str(), &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127) ||
      (inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
  if (loopback) return absl::OkStatus();
  return WithFix(WithReason(absl::InvalidArgumentError(StrCat(
                                "'", host,
                                "' is not a loopback address: without TLS and tokens, which this "
                                "release does not have, the server listens on loopback only")),
                            "NOT_LOOPBACK"),
                 "listen on 127.0.0.1");
}

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(const std::string& listen,
                                                            ApiDeps deps) {
  RETURN_IF_ERROR(CheckLoopback(listen));
  auto server = std::make_unique<ApiServerImpl>(std::move(deps));
  RETURN_IF_ERROR(server->Bind(listen));
  return server;
}

}  // namespace caxton::api
