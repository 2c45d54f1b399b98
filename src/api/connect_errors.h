// SPDX-License-Identifier: Apache-2.0
//
// gRPC's errors in the form of the Connect protocol. Pure functions.
#pragma once

#include <grpcpp/support/status.h>

#include <string_view>

#include "caxton/api/connect.h"

namespace caxton::api {

struct ConnectCode {
  std::string_view name;  // "failed_precondition"
  int http_status;
};
// Of an error; what gRPC does not define counts as UNKNOWN.
ConnectCode ConnectCodeOf(grpc::StatusCode code);

// The details (a serialized google.rpc.Status) become Connect's: type, value, and a readable form
// where the type is known here.
ConnectAnswer ConnectErrorOf(const grpc::Status& error);

}  // namespace caxton::api
