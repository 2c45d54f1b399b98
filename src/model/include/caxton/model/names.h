// SPDX-License-Identifier: Apache-2.0
//
// Names of agents, and the suggestions given for a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace caxton {

// [a-z0-9-], 1-63 characters, no dash at either end. The message says which rule and what name
// would do.
absl::Status ValidateAgentName(std::string_view name);

// The agent name a module file suggests: "dir/Greeter_v2.wasm" -> "greeter-v2"; empty if none can
// be made.
std::string AgentNameFromFile(std::string_view path);

// The nearest of `candidates` by edit distance (at most a third of its length), else empty.
std::string NearestName(std::string_view name, std::span<const std::string> candidates);

// Printable ASCII, at most kMaxVersionLabelBytes.
absl::Status ValidateVersionLabel(std::string_view label);

}  // namespace caxton
