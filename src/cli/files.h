// SPDX-License-Identifier: Apache-2.0
//
// Reading whole files that a person named, within a limit. Blocks.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <string>

#include "absl/status/statusor.h"

namespace caxton::cli {

// OUT_OF_RANGE if it is larger; only regular files and pipes are read.
absl::StatusOr<std::string> ReadFileUpTo(const std::string& path, size_t limit);
// All of `in` up to `limit`.
absl::StatusOr<std::string> ReadStreamUpTo(std::istream& in, size_t limit);

}  // namespace caxton::cli
