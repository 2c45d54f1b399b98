// SPDX-License-Identifier: Apache-2.0
//
// Call: one unary call of any service; CallAllPages: a list call to its end. Includes gRPC: for
// source files only.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <utility>

#include "absl/status/statusor.h"
#include "caxton/base/status.h"
#include "caxton/cli/limits.h"
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

// Every page of a list call, merged into one answer.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> CallAllPages(const Client& client,
                                      grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                                      Request request) {
  request.set_page_size(kListPageSize);
  Response merged;
  do {
    ASSIGN_OR_RETURN(const Response page, Call(client, method, request));
    request.set_page_token(page.next_page_token());
    merged.MergeFrom(page);
    merged.set_next_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return merged;
}

}  // namespace caxton::cli
