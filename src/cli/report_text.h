// SPDX-License-Identifier: Apache-2.0
//
// The server's report on a module as people read it; nothing of it is cut. Pure functions.
#pragma once

#include <string>

#include "render.h"

namespace caxton::v1 {
class ValidationReport;
}  // namespace caxton::v1

namespace caxton::cli {

// Each stage on a line, what it found and what it has to tell below it.
std::string ReportText(const v1::ValidationReport& report, const Style& style);
// Its warnings only, plain lines with their fixes, for beside a deployment that goes on; empty
// where there are none.
std::string WarningsText(const v1::ValidationReport& report);

}  // namespace caxton::cli
