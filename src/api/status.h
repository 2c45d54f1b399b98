// SPDX-License-Identifier: Apache-2.0
//
// absl::Status to the wire: grpc::Status with google.rpc details (ErrorInfo with the reason and the
// fix, BadRequest, RetryInfo).
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "caxton/v1/messaging.pb.h"

namespace caxton::api {

grpc::Status ToGrpc(const absl::Status& status);
void ToItemError(const absl::Status& status, v1::ItemError* error);
// UNIMPLEMENTED, reason NOT_CARRIED_OUT: `what` in full words.
absl::Status NotCarriedOut(std::string_view what);

}  // namespace caxton::api
