// SPDX-License-Identifier: Apache-2.0
//
// The resource stage: what the agent used in the sandbox against what the request gives it and
// against what the live revision used, side by side, and recommended limits. Private to
// src/examine.
#pragma once

#include <cstdint>
#include <optional>

#include "caxton/model/surroundings.h"
#include "findings.h"

namespace caxton::examine {

struct RequestedLimits {
  int64_t memory_bytes = 0;
  int64_t deadline_ns = 0;  // of a step; 0: not known
  int64_t max_message_bytes = 0;
};

// Only warnings and a note: samples are no proof.
void JudgeResources(const MeasuredFigures& figures, const RequestedLimits& limits,
                    const std::optional<KnownRevision>& live, Findings* findings);

}  // namespace caxton::examine
