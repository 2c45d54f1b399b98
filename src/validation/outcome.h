// SPDX-License-Identifier: Apache-2.0
//
// From the report of an examining child (JudgeEnd of caxton/ipc/compile_end.h) to that of the
// validation. A pure function.
#pragma once

#include <cstdint>

#include "caxton/model/examine_report.h"
#include "caxton/validation/validator.h"

namespace caxton::validation {

// The four stages of a finished examination.
ValidationReport MakeReport(const Digest& module, const ExamineReport& examined,
                            int64_t duration_ns);

}  // namespace caxton::validation
