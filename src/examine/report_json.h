// SPDX-License-Identifier: Apache-2.0
//
// A report as a JSON value, before it is text. Private to src/examine.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "caxton/model/examine_report.h"

namespace caxton::examine {

nlohmann::ordered_json ReportObject(const ExamineReport& report, std::string_view file);
// Indented, with a newline at the end.
std::string ToText(const nlohmann::ordered_json& value);

}  // namespace caxton::examine
