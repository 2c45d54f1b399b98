// SPDX-License-Identifier: Apache-2.0
//
// The agent's recent messages on their way to the process that validates a module: encoded
// envelopes, one after the other. Values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/model/envelope.h"

namespace caxton::ipc {

// The newest of `envelopes` (oldest first), as many as kMaxRecentMessages and kMaxRecentBytes let.
std::string EncodeRecentMessages(const std::vector<std::string>& envelopes);
// Refuses what is malformed or beyond those limits.
absl::StatusOr<std::vector<Envelope>> DecodeRecentMessages(std::string_view bytes);

}  // namespace caxton::ipc
