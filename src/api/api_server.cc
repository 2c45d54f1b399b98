// SPDX-License-Identifier: Apache-2.0
#include "caxton/api/api_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <vector>

#include "caxton/api/limits.h"
#include "caxton/api/listen_address.h"
#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/thread_executor.h"
#include "caxton/v1/agents.grpc.pb.h"
#include "caxton/v1/audit.grpc.pb.h"
#include "caxton/v1/deployment.grpc.pb.h"
#include "caxton/v1/messaging.grpc.pb.h"
#include "caxton/v1/server.grpc.pb.h"
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

class ApiServerImpl final : public ApiServer {
 public:
  explicit ApiServerImpl(ApiDeps deps)
      : reader_("api-reader", *deps.clock), writer_("api-writer", *deps.clock) {
    context_.start_wall_ns = deps.clock->WallNanos();
    context_.deps = std::move(deps);
    context_.reader = &reader_;
    context_.writer = &writer_;
    services_.push_back(MakeDeploymentService(&context_));
    services_.push_back(MakeAgentsService(&context_));
    services_.push_back(MakeMessagingService(&context_));
    services_.push_back(MakeServerService(&context_));
    services_.push_back(MakeAuditService(&context_));
  }
  ~ApiServerImpl() override { Stop(); }

  absl::Status Bind(const std::string& listen) {
    // gRPC would say only that it could not bind, and that in its own words on stderr.
    RETURN_IF_ERROR(CheckPortFree(listen, "--listen"));
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
    if (server_ == nullptr || port == 0) {
      return WithReason(absl::InternalError(StrCat("cannot listen on ", listen)), "CANNOT_LISTEN");
    }
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
    if (server_ == nullptr) return;
    grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
    if (health == nullptr) return;
    health->SetServingStatus(serving);  // the server as a whole, which has no name
    for (const char* service : {v1::AgentDeployment::service_full_name(),
                                v1::Agents::service_full_name(), v1::Messaging::service_full_name(),
                                v1::Server::service_full_name(), v1::Audit::service_full_name()}) {
      health->SetServingStatus(service, serving);
    }
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
  ServiceContext context_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ConnectFront> connect_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Start(const std::string& listen,
                                                            ApiDeps deps) {
  RETURN_IF_ERROR(CheckLoopback(listen));
  auto server = std::make_unique<ApiServerImpl>(std::move(deps));
  RETURN_IF_ERROR(server->Bind(listen));
  return server;
}

}  // namespace caxton::api
