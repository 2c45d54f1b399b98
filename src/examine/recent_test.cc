// SPDX-License-Identifier: Apache-2.0
#include "recent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"

namespace caxton::examine {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kSecret = "contents of a customer";

// What recent messages are told from the sandbox's own samples by: all of those are shorter or
// longer.
constexpr size_t kContentBytes = 4000;
constexpr std::string_view kIsRecent =
    "(i32.and (i32.gt_u (local.get $len) (i32.const 2000)) (i32.lt_u (local.get $len) "
    "(i32.const 9000)))";

constexpr std::string_view kHandle =
    "(func (export \"handle_message\") (param $ptr i32) (param $len i32) (result i32) ";

class RecentTest : public ::testing::Test {
 protected:
  RecentTest() {
    options_.clock = &clock_;
    options_.config.agent = "test";
    options_.config.memory_bytes = 4 << 20;
  }
  ExamineReport Run(std::string_view body) {
    const auto wasm = wasm::Engine::WatToWasm(StrCat(
        R"((module (memory (export "memory") 40)
        (func (export "agent_alloc") (param i32) (result i32) (i32.const 65536)))",
        kHandle, body, "))"));
    EXPECT_TRUE(wasm.ok()) << wasm.status();
    return ExamineModule(*engine_, *wasm, options_, [](ExaminePhase, const ExamineReport&) {})
        .report;
  }
  void Recent(int count) {
    for (int i = 0; i < count; ++i) {
      Envelope message;
      message.id = StrCat("m", i);
      message.sender = "client:somebody";
      message.receiver = "test";
      message.content = std::string(kSecret);
      message.content.resize(kContentBytes, '.');
      options_.recent.push_back(message);
    }
  }
  static const Finding* Find(const ExamineReport& report, std::string_view code) {
    for (const Finding& finding : report.findings) {
      if (finding.code == code) return &finding;
    }
    return nullptr;
  }

  SystemClock clock_;
  ExamineOptions options_;
  std::unique_ptr<wasm::Engine> engine_ = *wasm::Engine::Create({});
};

TEST_F(RecentTest, FiguresAreTheirOwn) {
  Recent(3);
  const ExamineReport report = Run("(i32.const 0)");
  EXPECT_TRUE(report.ok());
  ASSERT_NE(Find(report, "RECENT"), nullptr);
  EXPECT_THAT(Find(report, "RECENT")->message,
              HasSubstr("over 3 recent messages of the agent: at most 2621440 bytes"));
  EXPECT_THAT(Find(report, "RECENT")->message, HasSubstr("3 handled"));
  EXPECT_EQ(Find(report, "RECENT")->stage, ExamineStage::kResources);
  EXPECT_EQ(report.stats.samples, 4u) << "they are no samples";
}

TEST_F(RecentTest, WithoutAnyNothingIsSaid) {
  EXPECT_EQ(Find(Run("(i32.const 0)"), "RECENT"), nullptr);
}

TEST_F(RecentTest, AFailureWarnsAndSaysNothingOfWhatIsInIt) {
  Recent(4);
  const ExamineReport report = Run(StrCat("(if ", kIsRecent, " (then unreachable)) (i32.const 0)"));
  EXPECT_TRUE(report.ok()) << "a failing recent message does not fail the module";
  const Finding* failed = Find(report, "RECENT_FAILED");
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->severity, FindingSeverity::kWarning);
  EXPECT_THAT(failed->message, HasSubstr("last 4 real messages it fails on 4: 4 trapped"));
  for (const Finding& finding : report.findings) {
    EXPECT_THAT(finding.message, Not(HasSubstr(std::string(kSecret))));
  }
}

TEST_F(RecentTest, TheirNumberIsBounded) {
  Recent(static_cast<int>(kMaxRecentMessages) + 2);
  EXPECT_THAT(Find(Run("(i32.const 0)"), "RECENT")->message,
              HasSubstr(StrCat("over ", kMaxRecentMessages, " recent messages")));
  EXPECT_THAT(Find(Run("(i32.const 0)"), "RECENT")->message, HasSubstr("2 not run"));
}

TEST_F(RecentTest, OnesThatLoopEndWithTheirTime) {
  Recent(50);
  const ExamineReport report =
      Run(StrCat("(if ", kIsRecent, " (then (loop (br 0)))) (i32.const 0)"));
  EXPECT_THAT(Find(report, "RECENT")->message, HasSubstr("not run"));
  EXPECT_NE(Find(report, "RECENT_FAILED"), nullptr);
}

}  // namespace
}  // namespace caxton::examine
