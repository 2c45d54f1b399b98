// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/mirrored.h"

#include <utility>

namespace caxton {

MirrorSide SideOf(StepResult result, int64_t latency_ns) {
  return {.outcome = result.outcome,
          .agent_code = result.agent_code,
          .reply = std::move(result.reply),
          .sends = std::move(result.sends),
          .latency_ns = latency_ns,
          .run_ns = result.run_ns,
          .fuel = result.fuel,
          .memory_bytes = result.memory_bytes,
          .detail = std::move(result.detail)};
}

}  // namespace caxton
