// SPDX-License-Identifier: Apache-2.0
//
// Errors of the wire as absl::Status: code, message, and from google.rpc.Status details (trailer
// grpc-status-details-bin) reason, fix and retry delay, kept as caxton/base/status.h attaches them.
// Pure.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace grpc {
class Status;
}
namespace caxton::v1 {
class ItemError;
}

namespace caxton::cli {

// UNAVAILABLE without details is a server that cannot be reached: reason SERVER_UNREACHABLE.
absl::Status FromGrpc(const grpc::Status& status, std::string_view server);
// The error of one message on an Exchange stream.
absl::Status FromItemError(const v1::ItemError& error);
// Whether the connection broke or the server was not there, rather than said no.
bool IsUnreachable(const absl::Status& status);

}  // namespace caxton::cli
