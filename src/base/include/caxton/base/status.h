// SPDX-License-Identifier: Apache-2.0
//
// The one error language inside Caxton is absl::Status. Here: the macros that pass errors on, and
// the machine-readable details (reason, how to fix) that travel with a status up to the API, where
// they become google.rpc.ErrorInfo and the command line's "To fix:" line.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/base/strings.h"

namespace caxton {

// Attaches a stable UPPER_SNAKE reason (ErrorInfo.reason). Returns the same status with it.
absl::Status WithReason(absl::Status status, std::string_view reason);
// Attaches the next step a person can take; printed as "To fix: ...".
absl::Status WithFix(absl::Status status, std::string_view fix);
// Attaches how long to wait before a retry makes sense (google.rpc.RetryInfo). Milliseconds.
absl::Status WithRetryAfterMs(absl::Status status, int64_t milliseconds);

// Attaches the request's field that is wrong (google.rpc.BadRequest). The message begins with it,
// "`field`: ".
absl::Status WithField(absl::Status status, std::string_view field);

// Empty where none was attached.
std::string ReasonOf(const absl::Status& status);
std::string FixOf(const absl::Status& status);
std::string FieldOf(const absl::Status& status);
// -1 where none was attached.
int64_t RetryAfterMsOf(const absl::Status& status);

// `status` with "`context`: " before its message; code and details are kept.
absl::Status Annotate(const absl::Status& status, std::string_view context);

// absl::Status for errno `number` (mapped to the nearest code): "`what`: strerror".
absl::Status ErrnoStatus(int number, std::string_view what);

}  // namespace caxton

#define CAXTON_CONCAT_INNER(a, b) a##b
#define CAXTON_CONCAT(a, b) CAXTON_CONCAT_INNER(a, b)

// Returns from the function if `expression` is an error.
#define RETURN_IF_ERROR(expression)                                       \
  do {                                                                    \
    if (absl::Status caxton_status = (expression); !caxton_status.ok()) { \
      return caxton_status;                                               \
    }                                                                     \
  } while (false)

#define CAXTON_ASSIGN_OR_RETURN(tmp, lhs, expression) \
  auto tmp = (expression);                            \
  if (!tmp.ok()) return std::move(tmp).status();      \
  lhs = *std::move(tmp)

// `lhs` = the value of `expression`, or returns its error.
#define ASSIGN_OR_RETURN(lhs, expression) \
  CAXTON_ASSIGN_OR_RETURN(CAXTON_CONCAT(caxton_status_or_, __LINE__), lhs, expression)
