// SPDX-License-Identifier: Apache-2.0
#include "recent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"
#include "examine_test_util.h"

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
  // `clock`: of the recent messages.
  ExamineReport Run(std::string_view body, const Clock* clock = nullptr) {
    const auto wasm = wasm::Engine::WatToWasm(StrCat(
        R"((module (memory (export "memory") 40)
        (func (export "agent_alloc") (param i32) (result i32) (i32.const 65536)))",
        kHandle, body, "))"));
    EXPECT_TRUE(wasm.ok()) << wasm.status();
    Examination examination =
        ExamineModule(*engine_, *wasm, options_, [](ExaminePhase, const ExamineReport&) {});
    EXPECT_TRUE(examination.report.ok());
    if (clock != nullptr) options_.clock = clock;
    TryRecent(*engine_, examination.native, options_, recent_, &examination.report);
    return std::move(examination.report);
  }
  void Recent(int count) {
    for (int i = 0; i < count; ++i) {
      Envelope message;
      message.id = StrCat("m", i);
      message.sender = "client:somebody";
      message.receiver = "test";
      message.content = std::string(kSecret);
      message.content.resize(kContentBytes, '.');
      recent_.push_back(message);
    }
  }

  SystemClock clock_;
  ExamineOptions options_;
  std::vector<Envelope> recent_;
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

// It grows by 24 pages on a recent message, to all 4 MiB that it may have.
TEST_F(RecentTest, AreWeighedAndRecommendedFor) {
  const std::string grows =
      StrCat("(if ", kIsRecent, " (then (drop (memory.grow (i32.const 24))))) (i32.const 0)");
  const ExamineReport before = Run(grows);
  EXPECT_THAT(Find(before, "RECOMMENDED")->message, HasSubstr("--memory 5Mi"));
  Recent(1);
  const ExamineReport report = Run(grows);
  EXPECT_TRUE(report.ok());
  const Finding* tight = Find(report, "RECENT_MEMORY_TIGHT");
  ASSERT_NE(tight, nullptr);
  EXPECT_EQ(tight->severity, FindingSeverity::kWarning);
  EXPECT_THAT(tight->message, HasSubstr("4194304 of 4194304 bytes"));
  EXPECT_EQ(tight->fix, "give it --memory 8Mi");
  EXPECT_EQ(Find(report, "MEMORY_TIGHT"), nullptr) << "the samples need less";
  int recommended = 0;
  for (const Finding& finding : report.findings) recommended += finding.code == "RECOMMENDED";
  EXPECT_EQ(recommended, 1) << "once, for both";
  EXPECT_THAT(Find(report, "RECOMMENDED")->message, HasSubstr("--memory 8Mi"));
}

TEST_F(RecentTest, TheirNumberIsBounded) {
  Recent(static_cast<int>(kMaxRecentMessages) + 2);
  EXPECT_THAT(Find(Run("(i32.const 0)"), "RECENT")->message,
              HasSubstr(StrCat("over ", kMaxRecentMessages, " recent messages")));
  EXPECT_THAT(Find(Run("(i32.const 0)"), "RECENT")->message, HasSubstr("2 not run to the end"));
}

// Each look at it takes 10 ms, and the epoch looks at every tick: seconds pass in a few hundred ms.
class SteppingClock final : public Clock {
 public:
  int64_t WallNanos() const override { return MonoNanos(); }
  int64_t MonoNanos() const override { return now_ns_ += 10 * kNanosPerMilli; }
  int64_t now_ns() const { return now_ns_; }

 private:
  mutable int64_t now_ns_ = 0;
};

TEST_F(RecentTest, OnesThatLoopEndWithTheirTime) {
  Recent(50);
  const SteppingClock clock;
  const ExamineReport report =
      Run(StrCat("(if ", kIsRecent, " (then (loop (br 0)))) (i32.const 0)"), &clock);
  // One that may take all that a sample may, and one that is cut off with the time of all.
  static_assert(kRecentLimitNs > kSampleLimitNs && kRecentLimitNs < 2 * kSampleLimitNs);
  EXPECT_GE(clock.now_ns(), kRecentLimitNs);
  EXPECT_LT(clock.now_ns(), 2 * kSampleLimitNs - 100 * kNanosPerMilli);
  EXPECT_THAT(Find(report, "RECENT")->message, HasSubstr("over 1 recent messages"));
  EXPECT_THAT(Find(report, "RECENT")->message, HasSubstr("49 not run to the end"));
  ASSERT_NE(Find(report, "RECENT_FAILED"), nullptr);
  EXPECT_THAT(Find(report, "RECENT_FAILED")->message, HasSubstr("last 1 real messages"));
  EXPECT_EQ(Find(report, "RECENT_FAILED")->stage, ExamineStage::kResources);
}

TEST_F(RecentTest, AReportThatIsFullStaysWithinItsLimit) {
  Recent(1);
  ExamineReport report;
  report.findings.assign(kMaxFindings, {.severity = FindingSeverity::kWarning, .code = "OTHER"});
  const auto wasm = wasm::Engine::WatToWasm(StrCat(R"((module (memory (export "memory") 40)
        (func (export "agent_alloc") (param i32) (result i32) (i32.const 65536)))",
                                                   kHandle, "(i32.const 0)))"));
  const Examination good =
      ExamineModule(*engine_, *wasm, options_, [](ExaminePhase, const ExamineReport&) {});
  TryRecent(*engine_, good.native, options_, recent_, &report);
  EXPECT_LE(report.findings.size(), kMaxFindings);
}

}  // namespace
}  // namespace caxton::examine
