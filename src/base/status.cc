// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/status.h"

#include <cstring>

#include "absl/strings/cord.h"

namespace caxton {
namespace {

constexpr std::string_view kReasonUrl = "caxton/reason";
constexpr std::string_view kFixUrl = "caxton/fix";
constexpr std::string_view kFieldUrl = "caxton/field";
constexpr std::string_view kRetryUrl = "caxton/retry-after-ms";

absl::Status WithPayload(absl::Status status, std::string_view url, std::string_view value) {
  status.SetPayload(AbslView(url), absl::Cord(AbslView(value)));
  return status;
}

std::string PayloadOf(const absl::Status& status, std::string_view url) {
  auto payload = status.GetPayload(AbslView(url));
  return payload.has_value() ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status WithReason(absl::Status status, std::string_view reason) {
  return WithPayload(std::move(status), kReasonUrl, reason);
}

absl::Status WithFix(absl::Status status, std::string_view fix) {
  return WithPayload(std::move(status), kFixUrl, fix);
}

absl::Status WithField(absl::Status status, std::string_view field) {
  return WithPayload(std::move(status), kFieldUrl, field);
}

absl::Status WithRetryAfterMs(absl::Status status, int64_t milliseconds) {
  return WithPayload(std::move(status), kRetryUrl, StrCat(milliseconds));
}

std::string ReasonOf(const absl::Status& status) { return PayloadOf(status, kReasonUrl); }
std::string FixOf(const absl::Status& status) { return PayloadOf(status, kFixUrl); }
std::string FieldOf(const absl::Status& status) { return PayloadOf(status, kFieldUrl); }

int64_t RetryAfterMsOf(const absl::Status& status) {
  int64_t milliseconds = -1;
  if (!ParseInt(PayloadOf(status, kRetryUrl), &milliseconds)) return -1;
  return milliseconds;
}

absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), StrCat(context, ": ", status.message()));
  status.ForEachPayload([&annotated](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

absl::Status ErrnoStatus(int number, std::string_view what) {
  return absl::ErrnoToStatus(number, AbslView(what));
}

}  // namespace caxton
