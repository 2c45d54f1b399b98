// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/strings.h"
#include "caxton/validation/validator.h"

namespace caxton::validation {

bool ValidationReport::ok() const {
  for (const StageReport& stage : stages) {
    if (stage.outcome == StageOutcome::kFailed) return false;
  }
  return true;
}

std::string ValidationReport::Summary() const {
  std::string text;
  for (const StageReport& stage : stages) {
    for (const Finding& finding : stage.findings) {
      if (finding.severity != FindingSeverity::kError) continue;
      if (!text.empty()) text.push_back('\n');
      if (!finding.place.empty()) StrAppend(&text, finding.place, ": ");
      StrAppend(&text, finding.message);
      if (!finding.code.empty()) StrAppend(&text, " [", finding.code, "]");
      if (!finding.fix.empty()) StrAppend(&text, " To fix: ", finding.fix);
    }
  }
  return text;
}

}  // namespace caxton::validation
