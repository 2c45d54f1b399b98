// SPDX-License-Identifier: Apache-2.0
#include "status.h"

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace caxton::api {

namespace {

// Every error has one: where nothing more special was said, the code's.
std::string ReasonOrCode(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  return reason.empty() ? absl::StatusCodeToString(status.code()) : reason;
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::Status wire;
  wire.set_code(static_cast<int>(status.code()));
  const std::string message(StdView(status.message()));
  wire.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_domain("caxton");
  info.set_reason(ReasonOrCode(status));
  if (const std::string fix = FixOf(status); !fix.empty()) (*info.mutable_metadata())["fix"] = fix;
  wire.add_details()->PackFrom(info);
  if (const std::string field = FieldOf(status); !field.empty()) {
    google::rpc::BadRequest bad;
    auto* violation = bad.add_field_violations();
    violation->set_field(field);
    violation->set_description(message);
    wire.add_details()->PackFrom(bad);
  }
  if (const int64_t retry_ms = RetryAfterMsOf(status); retry_ms >= 0) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(retry_ms / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(retry_ms % 1000 * 1'000'000));
    wire.add_details()->PackFrom(retry);
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message,
                      wire.SerializeAsString());
}

void ToItemError(const absl::Status& status, v1::ItemError* error) {
  error->set_code(static_cast<int>(status.code()));
  error->set_message(std::string(StdView(status.message())));
  error->set_reason(ReasonOrCode(status));
  error->set_fix(FixOf(status));
  if (const int64_t retry_ms = RetryAfterMsOf(status); retry_ms >= 0) {
    error->mutable_retry_after()->set_seconds(retry_ms / 1000);
    error->mutable_retry_after()->set_nanos(static_cast<int32_t>(retry_ms % 1000 * 1'000'000));
  }
}

absl::Status NotCarriedOut(std::string_view what) {
  return WithFix(
      WithReason(absl::UnimplementedError(StrCat(what, " is not carried out by this release")),
                 "NOT_CARRIED_OUT"),
      "leave it out, or use a later release");
}

}  // namespace caxton::api
