// SPDX-License-Identifier: Apache-2.0
//
// CompileRequest: what a compiling child (worker_command.h) is told beside the module: how the
// revision is to be run, and what it has to get along with. A value.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "caxton/ipc/frames.h"
#include "caxton/model/surroundings.h"

namespace caxton::ipc {

struct CompileRequest {
  Configure configure;
  Surroundings surroundings;
};
// `surroundings`: EncodeSurroundings.
std::string EncodeCompileRequest(const Configure& configure, std::string_view surroundings);
absl::StatusOr<CompileRequest> DecodeCompileRequest(std::string_view bytes);

}  // namespace caxton::ipc
