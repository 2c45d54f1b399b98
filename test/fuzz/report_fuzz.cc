// SPDX-License-Identifier: Apache-2.0
//
// The report of the jailed child, as the server reads it: its author may be whoever broke the child
// open. Properties: what decodes is the bytes that were read, bounded and fit to be shown, and is
// JSON when printed.
#include <nlohmann/json.hpp>

#include "caxton/base/assert.h"
#include "caxton/examine/examiner.h"
#include "caxton/model/examine_report.h"
#include "caxton/model/text.h"
#include "fuzz_target.h"

namespace caxton::fuzz {
namespace {

ExamineReport SomeReport() {
  ExamineReport report;
  report.findings.push_back({FindingSeverity::kError, "MISSING_EXPORT", "the module exports no f",
                             "export f", "add it", ExamineStage::kStatic});
  report.findings.push_back(
      {FindingSeverity::kNote, "RESOURCES", "uses little", "", "", ExamineStage::kResources});
  report.stages[0] = {true, 12'345, ""};
  report.stages[1].note = "not run";
  report.traits.manifest_name = "greeter";
  report.traits.capabilities_json = R"(["a"])";
  report.stats.module_bytes = 99;
  report.stats.initialized = true;
  report.engine = "wasmtime 48.0.8";
  report.log = {"hello"};
  return report;
}

}  // namespace

void OneInput(std::string_view input) {
  const auto report = DecodeExamineReport(input);
  if (!report.ok()) return;
  std::string bytes;
  EncodeExamineReport(*report, &bytes);
  CAXTON_ASSERT(bytes == input, "a report has one encoding");
  CAXTON_ASSERT(report->findings.size() <= kMaxFindings, "findings are bounded");
  CAXTON_ASSERT(report->log.size() <= kMaxReportLogLines, "log lines are bounded");
  for (const Finding& finding : report->findings) {
    for (const std::string* text :
         {&finding.code, &finding.message, &finding.place, &finding.fix}) {
      CAXTON_ASSERT(IsUtf8(*text) && text->size() <= kMaxFindingTextBytes,
                    "a text is fit to be shown");
    }
  }
  const auto printed =
      nlohmann::json::parse(examine::ReportToJson(*report, "x.wasm"), nullptr, false);
  CAXTON_ASSERT(printed.is_object() && printed["ok"] == report->ok(), "a report is JSON");
}

std::vector<std::string> Seeds() {
  std::string full, empty;
  EncodeExamineReport(SomeReport(), &full);
  EncodeExamineReport({}, &empty);
  return {full, empty};
}

std::vector<std::string> Words() {
  return {std::string("\0\0\0\0", 4),
          "\xff\xff\xff\xff",
          std::string("\x64\0\0\0", 4),
          "\xc3\x28",
          "[[[[",
          "\x1b[31m"};
}

}  // namespace caxton::fuzz
