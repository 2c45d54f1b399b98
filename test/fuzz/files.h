// SPDX-License-Identifier: Apache-2.0
//
// Files of the project that targets start from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace caxton::fuzz {

// The content of every file of `folder` (relative to the project) whose name ends in `suffix`,
// folders below included, in the order of their names. At least one.
std::vector<std::string> ProjectFiles(std::string_view folder, std::string_view suffix);

}  // namespace caxton::fuzz
