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
  EXPECT_EQ(report.traits.determinism, Determinism::kYes);
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

// What a finding with `code` says; empty: there is none.
std::string Told(const ExamineReport& report, std::string_view code) {
  const Finding* finding = Find(report, code);
  if (finding == nullptr) return "";
  EXPECT_EQ(finding->severity, FindingSeverity::kWarning);
  EXPECT_EQ(finding->stage, ExamineStage::kSandbox);
  EXPECT_FALSE(finding->fix.empty());
  return finding->message;
}

TEST_F(SandboxTest, HealthCheckIsTried) {
  const auto told = [this](std::string_view body) {
    const ExamineReport report =
        Run(kEcho, "{}", StrCat("(func (export \"health_check\") (result i32) ", body, ")"));
    EXPECT_TRUE(report.ok());
    return Told(report, "HEALTH_CHECK_FAILED");
  };
  EXPECT_EQ(told("(i32.const 0)"), "");
  EXPECT_THAT(told("(i32.const 3)"), HasSubstr("returned 3"));
  EXPECT_THAT(told("(unreachable)"), HasSubstr("unreachable"));
  EXPECT_THAT(told("(loop $l (br $l)) (i32.const 0)"), HasSubstr("health_check: "));
}

TEST_F(SandboxTest, ShutdownIsTriedOnceWithALimitOfItsOwn) {
  const auto told = [this](std::string_view body) {
    const ExamineReport report = Run(kEcho, R"({"samples":[{"content":"hi"},{"content":"ho"}]})",
                                     StrCat("(func (export \"agent_shutdown\") ", body, ")"));
    EXPECT_TRUE(report.ok());
    const std::vector<std::string> codes = Codes(report);
    EXPECT_LE(std::count(codes.begin(), codes.end(), "SHUTDOWN_FAILED"), 1);
    EXPECT_EQ(report.stats.samples, 6u);  // whatever it does, it keeps none from being run
    EXPECT_EQ(Find(report, "SAMPLES_SKIPPED"), nullptr);
    return Told(report, "SHUTDOWN_FAILED");
  };
  EXPECT_EQ(told(""), "");
  EXPECT_THAT(told("(unreachable)"), HasSubstr("unreachable"));
  EXPECT_THAT(told("(loop $l (br $l))"), HasSubstr("deadline"));
}

constexpr std::string_view kReused = R"({"instance":"reused","samples":[{"content":"hi"}]})";
constexpr std::string_view kFresh = R"({"samples":[{"content":"hi"}]})";
constexpr std::string_view kCount = "(global $count (mut i32) (i32.const 0))";
constexpr std::string_view kCountUp =
    "(global.set $count (i32.add (global.get $count) (i32.const 1)))";

TEST_F(SandboxTest, AReusedInstanceThatFailsOnItsSecondMessageIsNoticed) {
  const std::string body = StrCat(
      kCountUp, "(if (i32.gt_u (global.get $count) (i32.const 1)) (then (unreachable)))", kEcho);
  const ExamineReport kept = Run(body, kReused, kCount);
  EXPECT_TRUE(kept.ok());
  EXPECT_THAT(Told(kept, "REUSED_INSTANCE_FAILED"),
              ::testing::AllOf(HasSubstr("handled 1 messages before"), HasSubstr("unreachable")));
  EXPECT_EQ(kept.traits.determinism, Determinism::kNo);
  EXPECT_EQ(Told(Run(body, kFresh, kCount), "REUSED_INSTANCE_FAILED"), "");
}

TEST_F(SandboxTest, AReusedInstanceThatAnswersOtherwiseIsNotDeterministic) {
  const std::string body =
      StrCat(kCountUp, "(i32.store8 (local.get $ptr) (global.get $count))", kEcho);
  const ExamineReport kept = Run(body, kReused, kCount);
  EXPECT_THAT(Told(kept, "NOT_DETERMINISTIC"), HasSubstr("the reply"));
  EXPECT_EQ(kept.traits.determinism, Determinism::kNo);
  const ExamineReport fresh = Run(body, kFresh, kCount);
  EXPECT_EQ(Told(fresh, "NOT_DETERMINISTIC"), "");
  EXPECT_EQ(fresh.traits.determinism, Determinism::kYes);
}

TEST_F(SandboxTest, AReusedInstanceMaySaveWork) {
  // Its first message takes longer.
  const ExamineReport kept = Run(
      StrCat("(if (i32.eqz (global.get $count)) (then ", kCountUp, "))", kEcho), kReused, kCount);
  EXPECT_EQ(Told(kept, "NOT_DETERMINISTIC"), "");
  EXPECT_EQ(kept.traits.determinism, Determinism::kYes);
}

TEST_F(SandboxTest, WithoutAHandledSampleDeterminismIsNotTried) {
  EXPECT_EQ(Run("(i32.const 2)").traits.determinism, Determinism::kNotTried);
  EXPECT_THAT(ReportToJson(Run("(i32.const 2)"), "a.wasm"),
              HasSubstr("\"determinism\": \"not tried\""));
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

TEST_F(SandboxTest, AnswersToHostileInputOnlyWarnOnce) {
  // It echoes whatever it gets: what is hostile is no object.
  const ExamineReport report = Run(kEcho, R"({"samples":[{"json":{"n":1}}],
      "consumes":{"REQUEST":{"type":"object"}},"produces":{"INFORM":{"type":"object"}}})");
  EXPECT_TRUE(report.ok());
  const std::vector<std::string> codes = Codes(report);
  EXPECT_EQ(std::count(codes.begin(), codes.end(), "OUTPUT_MISMATCH"), 1);
  const Finding* finding = Find(report, "OUTPUT_MISMATCH");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->severity, FindingSeverity::kWarning);
  EXPECT_EQ(finding->stage, ExamineStage::kContracts);
  EXPECT_THAT(finding->message, HasSubstr("3 other answers"));
  EXPECT_THAT(finding->place, HasSubstr("hostile/"));
  EXPECT_THAT(finding->fix, HasSubstr("reject"));
}

TEST_F(SandboxTest, ASchemaThatNoSampleIsMadeOfIsNoted) {
  for (const char* schema : {R"({"type":"string","pattern":"^[0-9]+$"})", R"({"$ref":"#/x"})",
                             R"({"type":"integer","minimum":0.5})"}) {
    const ExamineReport report = Run(kEcho, StrCat(R"({"consumes":{"QUERY":)", schema, "}}"));
    const Finding* note = Find(report, "NO_GENERATED_SAMPLE");
    ASSERT_NE(note, nullptr) << schema;
    EXPECT_EQ(note->severity, FindingSeverity::kNote);
    EXPECT_EQ(note->place, "consumes/QUERY");
    EXPECT_EQ(report.stats.samples, 4u) << "the hostile ones";
  }
  EXPECT_EQ(Find(Run(kEcho, R"({"consumes":{"QUERY":{}}})"), "NO_GENERATED_SAMPLE"), nullptr);
}

TEST_F(SandboxTest, AnOwnSampleThatContradictsConsumesWarns) {
  const auto told = [this](std::string_view sample) {
    const ExamineReport report = Run(
        kEcho, StrCat(R"({"consumes":{"REQUEST":{"type":"object","required":["n"]},"QUERY":{}},)",
                      R"("samples":[)", sample, "]}"));
    EXPECT_TRUE(report.ok());
    const Finding* finding = Find(report, "SAMPLE_NOT_CONSUMED");
    if (finding == nullptr) return std::string();
    EXPECT_EQ(finding->severity, FindingSeverity::kWarning);
    return finding->message;
  };
  EXPECT_EQ(told(R"({"json":{"n":1}})"), "");
  EXPECT_EQ(told(R"({"performative":"QUERY","content":"anything"})"), "");
  EXPECT_THAT(told(R"({"json":{}})"), HasSubstr("contradicts"));
  EXPECT_THAT(told(R"({"content":"no json"})"), HasSubstr("is no JSON"));
  EXPECT_THAT(told(R"({"performative":"INFORM","json":{"n":1}})"), HasSubstr("not named"));
}

TEST_F(SandboxTest, TheCaseOfAPerformativeMakesNoDifference) {
  const ExamineReport report = Run(kEcho, R"({"samples":[{"content":"1"}],
      "produces":{"inform":{"type":"integer"}}})");
  EXPECT_EQ(Find(report, "UNDECLARED_OUTPUT"), nullptr);
  ASSERT_NE(Find(report, "OUTPUT_MISMATCH"), nullptr);  // of the hostile samples
}

TEST_F(SandboxTest, SamplesAreMadeFromSchemas) {
  const ExamineReport report =
      Run(kEcho, R"({"consumes":{"REQUEST":{"type":"object","required":["n"],
              "properties":{"n":{"type":"integer","minimum":3}}}}})");
  EXPECT_EQ(report.stats.samples, 5u);
}

// One fault of the manifest keeps no other one back: each field is told, and each entry of a list.
TEST_F(SandboxTest, EveryFaultOfAManifestIsToldAtOnce) {
  constexpr std::string_view kManifest =
      R"({"name":"other","abi":2,"state":{"writes":0},"consumes":{"REQUEST":{"type":"strnig"}},
          "produces":{"SHOUT":{}},"samples":[{"contents":"x","performative":"SHOUT"},7],
          "sends_to":{"No Agent":["REQUEST"],"a":["SHOUT","WHISPER"],"b":7}})";
  std::string quoted(kManifest);
  std::replace(quoted.begin(), quoted.end(), '\n', ' ');
  for (size_t at = 0; (at = quoted.find('"', at)) != std::string::npos; at += 3) {
    quoted.replace(at, 1, "\\22");
  }
  const auto wasm = wasm::Engine::WatToWasm(StrCat(R"((module (memory (export "memory") 1)
      (@custom "caxton.manifest" ")",
                                                   quoted, R"(")
      (func (export "agent_alloc") (param i32) (result i32) (i32.const 8))
      (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))"));
  ASSERT_TRUE(wasm.ok()) << wasm.status();
  std::vector<std::string> codes = Codes(CheckModule(*engine_, *wasm, options_));
  std::sort(codes.begin(), codes.end());
  EXPECT_THAT(codes, ::testing::ElementsAre(
                         "BAD_MANIFEST", "BAD_MANIFEST",                  // abi, what is written
                         "BAD_MANIFEST", "BAD_MANIFEST", "BAD_MANIFEST",  // sends_to
                         "BAD_MANIFEST",                                  // its list that is none
                         "BAD_SAMPLE", "BAD_SAMPLE", "BAD_SAMPLE",        // two of the first
                         "BAD_SCHEMA", "BAD_SCHEMA", "NAME_MISMATCH", "NOT_IN_THIS_RELEASE"));
  // Packaging is told the same but for the name, which is not known to it.
  const auto packed = WithManifest(*wasm::Engine::WatToWasm("(module)"), kManifest);
  ASSERT_FALSE(packed.ok());
  const std::string message(packed.status().message());
  EXPECT_THAT(message, HasSubstr("12 faults"));
  for (const char* part : {"\"abi\" 2", "\"writes\"", "names no type", "SHOUT", "contents",
                           "WHISPER", "'b'", "To fix: "}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
  // Of a single one there is no list.
  const auto one = WithManifest(*wasm::Engine::WatToWasm("(module)"), R"({"abi":2})");
  EXPECT_THAT(std::string(one.status().message()), Not(HasSubstr("faults")));
}

TEST_F(SandboxTest, BadContractsAreStaticFaults) {
  const auto wasm = wasm::Engine::WatToWasm("(module)");
  for (const char* manifest :
       {R"({"consumes":{"REQUEST":{"type":"strnig"}}})", R"({"consumes":{"SHOUT":{}}})",
        R"({"produces":{"INFORM":true,"Inform":true}})", R"({"produces":7})", R"({"samples":{}})",
        R"({"samples":[{"contents":"x"}]})"}) {
    EXPECT_FALSE(WithManifest(*wasm, manifest).ok()) << manifest;
  }
}

}  // namespace
}  // namespace caxton::examine
