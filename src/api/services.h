// SPDX-License-Identifier: Apache-2.0
//
// The services of caxton.v1, one file each: deployment_service.cc, agents_service.cc,
// messaging_service.cc (with exchange_stream.cc and tail_stream.cc), server_service.cc,
// audit_service.cc.
#pragma once

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <string>

#include "caxton/api/api_server.h"
#include "caxton/base/executor.h"
#include "caxton/base/mutex.h"
#include "caxton/v1/agents.pb.h"
#include "caxton/v1/deployment.pb.h"
#include "caxton/v1/messaging.pb.h"

namespace caxton::api {

// What every service shares. Outlives all calls.
struct ServiceContext {
  ApiDeps deps;
  Executor* reader =
      nullptr;  // a strand of the API's own for reads of the journal: tails, dead letters, logs
  Executor* writer = nullptr;  // another, that writes the answers of busy streams
  std::string grpc_address;
  int64_t start_wall_ns = 0;
  std::atomic<bool> serving{false};
  std::atomic<bool> stopping{false};  // streams end

  // The caller's traceparent's trace id, or a new one; 32 hex digits.
  std::string TraceId(const grpc::CallbackServerContext& context) const;
  // "client:<hex>", one per call or stream.
  std::string NewSender() const;
};

std::unique_ptr<grpc::Service> MakeDeploymentService(ServiceContext* context);
std::unique_ptr<grpc::Service> MakeAgentsService(ServiceContext* context);
std::unique_ptr<grpc::Service> MakeMessagingService(ServiceContext* context);
std::unique_ptr<grpc::Service> MakeServerService(ServiceContext* context);
std::unique_ptr<grpc::Service> MakeAuditService(ServiceContext* context);

// Streams (they delete themselves when gRPC is done with them).
grpc::ServerBidiReactor<v1::ExchangeRequest, v1::ExchangeResponse>* NewExchangeStream(
    ServiceContext* context, grpc::CallbackServerContext* call);
grpc::ServerWriteReactor<v1::TailResponse>* NewTailStream(ServiceContext* context,
                                                          grpc::CallbackServerContext* call,
                                                          const v1::TailRequest& request);
grpc::ServerWriteReactor<v1::WatchDeploymentResponse>* NewWatchStream(
    ServiceContext* context, grpc::CallbackServerContext* call,
    const v1::WatchDeploymentRequest& request);
grpc::ServerWriteReactor<v1::TailLogsResponse>* NewLogStream(ServiceContext* context,
                                                             grpc::CallbackServerContext* call,
                                                             const v1::TailLogsRequest& request);

}  // namespace caxton::api
