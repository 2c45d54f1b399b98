// SPDX-License-Identifier: Apache-2.0
//
// Reads a deployment file (docs: "Deployment file"). Pure: text in, value out. Thread-safe.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/model/deployment_spec.h"

namespace caxton::deployment {

// Unknown fields, wrong units and types, duplicate fields and values out of range are
// INVALID_ARGUMENT, all at once, a line each: "FILENAME:LINE:COLUMN: what is wrong". Whether the
// plan is possible is ResolvePlan's question, after flags have been laid over the file. Files
// beyond limits.h (bytes, depth, values) are refused.
absl::StatusOr<DeploymentFile> ParseDeploymentFile(std::string_view text,
                                                   std::string_view filename);

// The same for a file that may be a list of such documents: agents that are switched together. A
// file that is not a list is a list of one.
absl::StatusOr<std::vector<DeploymentFile>> ParseDeploymentFiles(std::string_view text,
                                                                 std::string_view filename);

}  // namespace caxton::deployment
