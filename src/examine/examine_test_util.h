// SPDX-License-Identifier: Apache-2.0
//
// For tests of src/examine: the first finding of a code. Null: there is none.
#pragma once

#include <string_view>

#include "caxton/model/examine_report.h"

namespace caxton::examine {

inline const Finding* Find(const ExamineReport& report, std::string_view code) {
  for (const Finding& finding : report.findings) {
    if (finding.code == code) return &finding;
  }
  return nullptr;
}

}  // namespace caxton::examine
