// SPDX-License-Identifier: Apache-2.0
//
// Exit statuses of `caxton`: a public contract. Pure functions.
#pragma once

#include "absl/status/status.h"

namespace caxton::cli {

enum class ExitCode : int {
  kDone = 0,
  kFailed = 1,  // a FAILURE reply too
  kUsage = 2,
  kRejected = 3,    // by validation
  kRolledBack = 4,  // or aborted
  kUnreachable = 5,
  kRefused = 6,  // not allowed, quota, conflict, not in this release
  kInconclusive = 7,
};

// Reasons (ErrorInfo.reason) that decide an exit status.
inline constexpr char kReasonUnreachable[] = "SERVER_UNREACHABLE";  // set by the client itself
inline constexpr char kReasonUsage[] = "USAGE";                     // likewise
inline constexpr char kReasonDeadLettered[] = "DEAD_LETTERED";
inline constexpr char kReasonAfterRefusal[] = "AFTER_REFUSAL";

ExitCode ExitCodeFor(const absl::Status& status);

// A usage error: exit 2.
absl::Status UsageError(std::string_view message, std::string_view fix = "");
// An option or command that this release does not carry out: exit 6.
absl::Status NotInThisRelease(std::string_view what);

}  // namespace caxton::cli
