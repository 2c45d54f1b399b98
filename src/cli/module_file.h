// SPDX-License-Identifier: Apache-2.0
//
// A module on its way from a file to the server: in the request, or uploaded first where it is
// large. Blocks.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client.h"

namespace caxton::cli {

struct ModuleToSend {
  std::string bytes;   // empty where it was uploaded
  std::string digest;  // empty where it was not
};
absl::StatusOr<ModuleToSend> PrepareModule(const Client& client, const std::string& path);

}  // namespace caxton::cli
