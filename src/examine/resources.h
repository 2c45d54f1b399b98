// SPDX-License-Identifier: Apache-2.0
//
// The resource stage: what the agent used in the sandbox against what the request gives it, and a
// recommendation. Private to src/examine.
#pragma once

#include <cstdint>

#include "caxton/model/examine_report.h"
#include "findings.h"

namespace caxton::examine {

// `memory_limit`: the request's, in bytes.
void JudgeResources(const ModuleStats& stats, int64_t memory_limit, Findings* findings);

}  // namespace caxton::examine
