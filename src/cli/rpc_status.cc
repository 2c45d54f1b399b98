// SPDX-License-Identifier: Apache-2.0
#include "rpc_status.h"

#include <grpcpp/support/status.h>

#include <string>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/v1/messaging.pb.h"
#include "exit_code.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "render.h"

namespace caxton::cli {
namespace {

int64_t Milliseconds(const google::protobuf::Duration& duration) {
  return duration.seconds() * 1000 + duration.nanos() / 1'000'000;
}

// Adds what `details` say to `status`; violations of fields go into the message.
absl::Status WithDetails(absl::Status status, const google::rpc::Status& details) {
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  google::rpc::BadRequest bad;
  std::string violations;
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations()) {
        // The server's own messages say it already.
        if (violation.description() == status.message()) continue;
        StrAppend(&violations, "\n  ", violation.field(), ": ", violation.description());
      }
    }
  }
  if (!violations.empty()) {
    status = absl::Status(status.code(), StrCat(status.message(), violations));
  }
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&info)) {
      status = WithReason(std::move(status), info.reason());
      auto fix = info.metadata().find("fix");
      if (fix != info.metadata().end()) status = WithFix(std::move(status), fix->second);
    } else if (any.UnpackTo(&retry)) {
      status = WithRetryAfterMs(std::move(status), Milliseconds(retry.retry_delay()));
    }
  }
  return status;
}

// gRPC's words, but for the resolver's: "C-ares status is not ARES_SUCCESS qtype=A name=...".
std::string InPlainWords(const grpc::Status& status) {
  const std::string& message = status.error_message();
  if (!StrContains(message, "ARES_SUCCESS") && !StrContains(message, "DNS resolution failed")) {
    return message;
  }
  const size_t cause = message.rfind(": ");  // c-ares' own
  return StrCat("its name is not known here",
                cause == std::string::npos
                    ? std::string()
                    : StrCat(" (", OneLine(message.substr(cause + 2), 100), ")"));
}

}  // namespace

absl::Status FromGrpc(const grpc::Status& status, std::string_view server) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  google::rpc::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details())) {
    return WithDetails(std::move(result), details);
  }
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return WithFix(WithReason(absl::UnavailableError(StrCat("No answer from the server at ", server,
                                                            ": ", InPlainWords(status))),
                              kReasonUnreachable),
                   "start one with `caxton server start`, or name another with --server ADDR or "
                   "CAXTON_SERVER");
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return WithFix(
        absl::DeadlineExceededError(StrCat("The server at ", server, " did not answer in time")),
        "wait longer with --timeout, e.g. --timeout 2m");
  }
  return result;
}

absl::Status FromItemError(const v1::ItemError& error) {
  absl::Status status(static_cast<absl::StatusCode>(error.code()), error.message());
  if (status.ok()) status = absl::UnknownError("the server sent an error without a code");
  if (!error.reason().empty()) status = WithReason(std::move(status), error.reason());
  if (!error.fix().empty()) status = WithFix(std::move(status), error.fix());
  if (error.has_retry_after()) {
    status = WithRetryAfterMs(std::move(status), Milliseconds(error.retry_after()));
  }
  return status;
}

bool IsUnreachable(const absl::Status& status) {
  return absl::IsUnavailable(status) || ReasonOf(status) == kReasonUnreachable;
}

}  // namespace caxton::cli
