// SPDX-License-Identifier: Apache-2.0
//
// The stages after the static one, on modules in text form.
#include "sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"
#include "examine_test_util.h"

namespace caxton::examine {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest() {
    options_.clock = &clock_;
    options_.config.agent = "test";
    options_.config.memory_bytes = 4 << 20;
  }

  // handle_message with `body`; `more` before it.
  ExamineReport Run(std::string_view body, std::string_view manifest = "{}",
                    std::string_view more = "") {
    const auto wasm = wasm::Engine::WatToWasm(StrCat(R"((module
        (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
        (memory (export "memory") 40)
        (func (export "agent_alloc") (param i32) (result i32) (i32.const 65536)))",
                                                     more, R"(
        (func $handle (export "handle_message") (param $ptr i32) (param $len i32) (result i32) )",
                                                     body, "))"));
    EXPECT_TRUE(wasm.ok()) << wasm.status();
    const auto packed = WithManifest(*wasm, manifest);
    EXPECT_TRUE(packed.ok()) << packed.status();
    return ExamineModule(*engine_, *packed, options_, [](ExaminePhase, const ExamineReport&) {})
        .report;
  }
  static std::vector<std::string> Codes(const ExamineReport& report) {
    std::vector<std::string> codes;
    for (const Finding& finding : report.findings) codes.push_back(finding.code);
    return codes;
  }

  SystemClock clock_;
  ExamineOptions options_;
  std::unique_ptr<wasm::Engine> engine_ = *wasm::Engine::Create({});
};

constexpr std::string_view kEcho = "(call $reply (i32.const 1) (local.get $ptr) (local.get $len))";

TEST_F(SandboxTest, GoodAgentPassesFourStages) {
  const ExamineReport report = Run(kEcho, R"({"samples":[{"content":"hi"}]})");
  EXPECT_TRUE(report.ok());
  for (const StageRun& stage : report.stages) EXPECT_TRUE(stage.ran) << stage.note;
  EXPECT_EQ(report.stats.samples, 5u);
  EXPECT_EQ(report.stats.samples_handled, 5u);
  EXPECT_TRUE(report.stats.deterministic);
  EXPECT_EQ(report.stats.peak_memory, 40u << 16);
  EXPECT_GT(report.stats.max_fuel, 0u);
  EXPECT_EQ(Find(report, "OUTPUT_TIGHT"), nullptr);  // of the largest hostile sample
  EXPECT_EQ(report.traits.figures.max_output_bytes, 2u);
  EXPECT_EQ(report.traits.manifest, R"({"samples":[{"content":"hi"}]})");
  ASSERT_NE(Find(report, "RESOURCES"), nullptr);
  ASSERT_NE(Find(report, "RECOMMENDED"), nullptr);
  EXPECT_THAT(Find(report, "RECOMMENDED")->message, HasSubstr("--memory 5Mi"));
}

TEST_F(SandboxTest, EveryOwnSampleThatFailsIsAnErrorAndLaterStagesDoNotRun) {
  const ExamineReport report =
      Run("(if (result i32) (local.get $len) (then unreachable) (else (i32.const 0)))",
          R"({"samples":[{"name":"one","content":"a"},{"name":"two","json":{"a":1}}]})");
  EXPECT_FALSE(report.ok(ExamineStage::kSandbox));
  EXPECT_TRUE(report.ok(ExamineStage::kStatic));
  size_t errors = 0;
  for (const Finding& finding : report.findings) {
    if (finding.severity != FindingSeverity::kError) continue;
    ++errors;
    EXPECT_EQ(finding.code, "SAMPLE_FAILED");
    EXPECT_FALSE(finding.fix.empty());
  }
  EXPECT_EQ(errors, 2u);
  EXPECT_THAT(Find(report, "SAMPLE_FAILED")->place, HasSubstr("one"));
  EXPECT_EQ(report.stages[2].note, "not run: the stage sandbox failed");
}

TEST_F(SandboxTest, HostileSamplesThatFailWarn) {
  const ExamineReport report =
      Run("(if (result i32) (local.get $len) (then unreachable) (else (i32.const 0)))");
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(std::count_if(report.findings.begin(), report.findings.end(),
                          [](const Finding& f) { return f.code == "SAMPLE_FAILED"; }),
            3);
}

TEST_F(SandboxTest, RejectingHostileInputIsRight) {
  const ExamineReport report =
      Run("(if (result i32) (local.get $len) (then (i32.const 2)) (else (i32.const 0)))");
  EXPECT_THAT(Codes(report), Not(Contains("SAMPLE_FAILED")));
}

TEST_F(SandboxTest, HandlingNothingFails) {
  EXPECT_THAT(Codes(Run("unreachable")), Contains("ALL_SAMPLES_FAILED"));
}

TEST_F(SandboxTest, EndlessLoopOnASampleIsFoundWithItsPlace) {
  const ExamineReport report =
      Run(R"((if (i32.eq (local.get $len) (i32.const 4)) (then (loop $forever (br $forever))))
             (i32.const 0))",
          R"({"samples":[{"name":"loops","content":"loop"}]})");
  const Finding* finding = Find(report, "SAMPLE_FAILED");
  ASSERT_NE(finding, nullptr);
  EXPECT_THAT(finding->place, HasSubstr("loops"));
  EXPECT_THAT(finding->message, HasSubstr("handle"));  // the backtrace
  EXPECT_THAT(finding->fix, HasSubstr("end the loop"));
}

TEST_F(SandboxTest, OutputsAreHeldAgainstProduces) {
  constexpr std::string_view kManifest = R"({"samples":[{"name":"s","json":{"n":"x"}}],
      "produces":{"INFORM":{"type":"object","properties":{"n":{"type":"integer"}}}}})";
  const ExamineReport report =
      Run("(if (result i32) (i32.eq (local.get $len) (i32.const 9)) (then "
          "(call $reply (i32.const 1) (local.get $ptr) (local.get $len))) (else (i32.const 0)))",
          kManifest);
  EXPECT_TRUE(report.ok(ExamineStage::kSandbox));
  EXPECT_FALSE(report.ok(ExamineStage::kContracts));
  ASSERT_NE(Find(report, "OUTPUT_MISMATCH"), nullptr);
  EXPECT_THAT(Find(report, "OUTPUT_MISMATCH")->place, HasSubstr("/n"));
}

TEST_F(SandboxTest, SamplesAreMadeFromSchemas) {
  const ExamineReport report =
      Run(kEcho, R"({"consumes":{"REQUEST":{"type":"object","required":["n"],
              "properties":{"n":{"type":"integer","minimum":3}}}}})");
  EXPECT_EQ(report.stats.samples, 5u);
}

TEST_F(SandboxTest, BadContractsAreStaticFaults) {
  const auto wasm = wasm::Engine::WatToWasm("(module)");
  for (const char* manifest :
       {R"({"consumes":{"REQUEST":{"type":"strnig"}}})", R"({"consumes":{"SHOUT":{}}})",
        R"({"produces":7})", R"({"samples":{}})", R"({"samples":[{"contents":"x"}]})"}) {
    EXPECT_FALSE(WithManifest(*wasm, manifest).ok()) << manifest;
  }
}

}  // namespace
}  // namespace caxton::examine
