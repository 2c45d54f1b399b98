// SPDX-License-Identifier: Apache-2.0
//
// Call: one unary call of any service. Includes gRPC: for source files only.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "absl/status/statusor.h"
#include "client.h"
#include "rpc_status.h"

namespace caxton::cli {

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const Client& client,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                           Response*),
                              const Request& request) {
  Stub stub(client.channel());
  grpc::ClientContext context;
  client.SetDeadline(&context);
  Response response;
  grpc::Status status = (stub.*method)(&context, request, &response);
  if (!status.ok()) return FromGrpc(status, client.server());
  return response;
}

}  // namespace caxton::cli
