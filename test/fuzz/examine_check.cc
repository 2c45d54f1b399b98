// SPDX-License-Identifier: Apache-2.0
#include "examine_check.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/examine/limits.h"
#include "caxton/model/text.h"
#include "module_reader.h"

namespace caxton::fuzz {
namespace {

// All samples together, the one under way when their time ends, initialization, and room for a busy
// machine and a sanitizer.
constexpr int64_t kLongestNs = examine::kSandboxLimitNs + 20 * kNanosPerSecond;

void CheckFindings(const ExamineReport& report) {
  CAXTON_ASSERT(report.findings.size() <= kMaxFindings, "findings are bounded");
  bool errors_over = false;
  for (const Finding& finding : report.findings) {
    const bool error = finding.severity == FindingSeverity::kError;
    CAXTON_ASSERT(!(error && errors_over), "errors come first");
    errors_over = errors_over || !error;
    CAXTON_ASSERT(!finding.code.empty() && !finding.message.empty(), "a finding says what it is");
    CAXTON_ASSERT(!error || !finding.fix.empty(), "an error has a next step");
    CAXTON_ASSERT(IsUtf8(finding.message) && IsUtf8(finding.place), "findings can be shown");
    CAXTON_ASSERT(!error || report.stages[static_cast<size_t>(finding.stage)].ran,
                  "an error is of a stage that ran");
  }
}

void CheckStages(const ExamineReport& report) {
  bool goes_on = true;
  for (size_t i = 0; i < kExamineStages; ++i) {
    const StageRun& run = report.stages[i];
    CAXTON_ASSERT(run.ran == goes_on, "a stage runs when those before it passed");
    CAXTON_ASSERT(run.ran || !run.note.empty(), "a stage that did not run says why");
    goes_on = goes_on && report.ok(static_cast<ExamineStage>(i));
  }
}

void CheckEncoding(const ExamineReport& report) {
  std::string bytes;
  EncodeExamineReport(report, &bytes);
  const auto decoded = DecodeExamineReport(bytes);
  CAXTON_ASSERT(decoded.ok() && *decoded == report, "a report survives its encoding");
  const auto printed =
      nlohmann::json::parse(examine::ReportToJson(report, "x.wasm"), nullptr, false);
  CAXTON_ASSERT(printed.is_object(), "a report is JSON");
}

bool Has(const ExamineReport& report, std::string_view code) {
  return std::any_of(report.findings.begin(), report.findings.end(),
                     [code](const Finding& finding) { return finding.code == code; });
}

}  // namespace

ExamineCheck::ExamineCheck() : engine_(*wasm::Engine::Create({})) {}

// The same question, asked of the validator and of the compiler.
void ExamineCheck::CheckEngine(std::string_view wasm, const ExamineReport& report) const {
  // What nobody but the validator can read (new encodings) is refused as well.
  const bool valid = engine_->Validate(wasm).ok() && examine::ReadModule(wasm).complete;
  const absl::StatusOr<std::string> compiled = engine_->Compile(wasm);
  if (valid != compiled.ok()) {
    std::fprintf(stderr, "valid: %d, compiled: %s\n", valid, compiled.status().ToString().c_str());
  }
  CAXTON_ASSERT(valid == compiled.ok(), "what is valid compiles, and only that");
  const bool refused =
      Has(report, "INVALID_MODULE") || Has(report, "NOT_A_MODULE") || Has(report, "COMPONENT");
  CAXTON_ASSERT(valid != refused, "the report says what the engine says");
  CAXTON_ASSERT(!Has(report, "COMPILE_FAILED") && !Has(report, "LOAD_FAILED"),
                "what passes the checks is loaded");
}

ExamineReport ExamineCheck::Examine(std::string_view wasm) {
  examine::ExamineOptions options;
  options.clock = &clock_;
  const int64_t start = clock_.MonoNanos();
  examine::Examination examination =
      examine::ExamineModule(*engine_, wasm, options, [](const auto&...) {});
  const int64_t took = clock_.MonoNanos() - start;
  ExamineReport& report = examination.report;
  CAXTON_ASSERT(took < kLongestNs, "an examination ends in time");
  CAXTON_ASSERT(report.ok() != examination.native.empty(), "native code only where all is well");
  longest_ns_ = std::max(longest_ns_, took);
  CheckFindings(report);
  CheckStages(report);
  CheckEncoding(report);
  CheckEngine(wasm, report);
  Count(report);
  return std::move(report);
}

void ExamineCheck::Count(const ExamineReport& report) {
  std::set<std::string> seen;
  for (const Finding& finding : report.findings) seen.insert(finding.code);
  if (report.ok()) seen.insert("ok");
  for (const std::string& code : seen) ++codes_[code];
}

}  // namespace caxton::fuzz
