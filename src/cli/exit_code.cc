// SPDX-License-Identifier: Apache-2.0
#include "exit_code.h"

#include <string>
#include <string_view>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::cli {

ExitCode ExitCodeFor(const absl::Status& status) {
  if (status.ok()) return ExitCode::kDone;
  const std::string reason = ReasonOf(status);
  if (reason == kReasonUsage) return ExitCode::kUsage;
  if (reason == kReasonDeadLettered) return ExitCode::kFailed;
  if (StartsWith(reason, "VALIDATION") ||
      (StartsWith(reason, "MODULE_") && !absl::IsNotFound(status))) {
    return ExitCode::kRejected;
  }
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return ExitCode::kUsage;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kUnreachable;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnimplemented:
      return ExitCode::kRefused;
    default:
      return ExitCode::kFailed;
  }
}

absl::Status UsageError(std::string_view message, std::string_view fix) {
  absl::Status status = WithReason(absl::InvalidArgumentError(AbslView(message)), kReasonUsage);
  return fix.empty() ? status : WithFix(std::move(status), fix);
}

absl::Status NotInThisRelease(std::string_view what) {
  return WithFix(
      WithReason(absl::UnimplementedError(StrCat(what,
                                                 " is not carried out in this release: refused, "
                                                 "and nothing was done")),
                 "NOT_IN_THIS_RELEASE"),
      StrCat("leave out ", what, ", or use a later release"));
}

}  // namespace caxton::cli
