// SPDX-License-Identifier: Apache-2.0
//
// How two revisions that ran the same messages are shown to people. Pure.
#pragma once

#include <string>

namespace caxton::v1 {
class HistoryReport;
class ShadowReport;
}  // namespace caxton::v1

namespace caxton::cli {

// A shadow beside the live steps.
std::string ShadowText(const v1::ShadowReport& report);
// A candidate beside stable, on the agent's last messages, before any traffic.
std::string HistoryText(const v1::HistoryReport& report);

}  // namespace caxton::cli
