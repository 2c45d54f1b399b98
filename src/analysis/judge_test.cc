// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "caxton/analysis/limits.h"
#include "caxton/base/random.h"
#include "caxton/base/strings.h"
#include "judge_test_util.h"

namespace caxton::analysis {
namespace {

using deployment::StagePlan;
using deployment::VerdictKind;

TEST(Judge, TotalFailureFiresAtOnceWithItsNumbers) {
  auto judge = Thresholds({kErrors1});
  int n = 0;
  while (!judge->Fired().has_value() && n < 10) {
    judge->Observe(FirstRun(true));
    ++n;
  }
  EXPECT_EQ(n, 2);
  EXPECT_EQ(judge->Fired()->kind, VerdictKind::kFailed);
  const std::string text = judge->Fired()->text;
  EXPECT_TRUE(StartsWith(text, "error_rate > 1%: 2 of 2 first runs failed (100%, at least "))
      << text;
  for (int i = 0; i < 100; ++i) judge->Observe(FirstRun(false));
  EXPECT_EQ(judge->Fired()->text, text) << "kept";
}

TEST(Judge, StableAndSharedFailuresDoNotCount) {
  auto judge = Thresholds({kErrors1, {MetricKind::kP99Latency, 1}});
  for (int i = 0; i < 1000; ++i) {
    Observation o = FirstRun(true, i);
    o.arm = Arm::kStable;
    judge->Observe(o);
    o = FirstRun(false, i, 0);
    o.verdict = RunVerdict::kShared;
    judge->Observe(o);
  }
  EXPECT_FALSE(judge->Fired().has_value());
  const JudgeNumbers numbers = judge->Numbers();
  EXPECT_EQ(numbers.stable.bad, 1000);
  EXPECT_EQ(numbers.candidate.shared, 1000);
  EXPECT_EQ(numbers.candidate.runs, 0);
  EXPECT_EQ(numbers.candidate.error_rate, 0) << "no division by nothing";
  // A broken stable does not block its own fix: the candidate is good on its own account.
  for (int i = 0; i < 100; ++i) judge->Observe(FirstRun(false, i, 0));
  EXPECT_TRUE(judge->EndOfStage(Stage()).passed());
}

TEST(Judge, ZeroLimitFiresOnTheFirstFailure) {
  auto judge = Thresholds({{MetricKind::kErrorRate, 0}});
  for (int i = 0; i < 1000; ++i) judge->Observe(FirstRun(false));
  EXPECT_FALSE(judge->Fired().has_value());
  judge->Observe(FirstRun(true));
  EXPECT_TRUE(judge->Fired().has_value());
}

TEST(Judge, ALimitOfAllCannotBePassed) {
  auto judge = Thresholds({{MetricKind::kErrorRate, 1}});
  for (int i = 0; i < 1000; ++i) judge->Observe(FirstRun(true));
  EXPECT_FALSE(judge->Fired().has_value());
}

TEST(Judge, MoreWeightsThanAreKeptApartStillCountInAll) {
  auto judge = Thresholds({kErrors1});
  for (uint32_t w = 1; w <= kMaxWeights + 5; ++w) {
    Observation o = FirstRun(false);
    o.weight_ppm = w;
    judge->Observe(o);
  }
  EXPECT_EQ(judge->Numbers().candidate.runs, static_cast<int64_t>(kMaxWeights) + 5);
  StagePlan last = Stage(1);
  last.weight_ppm = kMaxWeights + 5;
  EXPECT_FALSE(judge->EndOfStage(last).passed()) << "not kept apart: no word";
  last.weight_ppm = kMaxWeights;
  EXPECT_TRUE(judge->EndOfStage(last).passed());
}

TEST(Judge, GoodVersionIsNeverRolledBack) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    auto judge = Thresholds({kErrors1});
    SeededRandom random(seed);
    for (int i = 0; i < 3000; ++i) judge->Observe(FirstRun(Chance(random, 0.005)));
    EXPECT_FALSE(judge->Fired().has_value()) << seed;
  }
}

TEST(Judge, NoMessagesAreInconclusive) {
  auto judge = Thresholds({kErrors1});
  judge->Tick(1'000'000);
  const auto report = judge->EndOfStage(Stage());
  EXPECT_FALSE(report.enough_samples);
  EXPECT_FALSE(report.passed());
  EXPECT_FALSE(judge->Fired().has_value());
  EXPECT_EQ(report.text, "no messages reached the candidate at 5%");
  EXPECT_FALSE(judge->EndOfStage(Stage(0)).passed()) << "even where none are asked for";
}

TEST(Judge, EndOfStageAtItsEdges) {
  auto judge = Thresholds({{MetricKind::kErrorRate, 0.02}});
  for (int i = 0; i < 99; ++i) judge->Observe(FirstRun(i == 50));
  EXPECT_FALSE(judge->EndOfStage(Stage()).enough_samples);
  judge->Observe(FirstRun(true));
  EXPECT_TRUE(judge->EndOfStage(Stage()).passed()) << "2 of 100 are not above 2 %";
  judge->Observe(FirstRun(true));
  const auto report = judge->EndOfStage(Stage());
  EXPECT_TRUE(report.enough_samples);
  EXPECT_FALSE(report.within_limits);
  EXPECT_TRUE(StrContains(report.text, "3 of 101 first runs failed at 5%")) << report.text;
  EXPECT_TRUE(StrContains(report.text, "beyond error_rate > 2%")) << report.text;
}

TEST(Judge, EachStageCountsItsOwnRuns) {
  auto judge = Thresholds({kErrors1});
  for (int i = 0; i < 100; ++i) judge->Observe(FirstRun(false));
  EXPECT_TRUE(judge->EndOfStage(Stage()).passed());
  EXPECT_FALSE(judge->EndOfStage({250'000, 60'000 * kMs, 100, false}).enough_samples);
}

TEST(Judge, P99FiresOnSlowAndNotOnOneHostStall) {
  auto stalled = Thresholds({kP99At100});
  auto slow = Thresholds({kP99At100});
  for (int64_t second = 0; second < 300; ++second) {
    for (int64_t i = 0; i < 50; ++i) {
      const int64_t at = second * 1000 + i * 20;
      const bool stall = second % 60 == 30;  // one stalled second a minute: all of it slow
      stalled->Observe(FirstRun(false, at, stall ? 900 * kMs : 5 * kMs));
      slow->Observe(FirstRun(false, at, i % 5 == 0 ? 150 * kMs : 5 * kMs));
    }
  }
  EXPECT_FALSE(stalled->Fired().has_value());
  ASSERT_TRUE(slow->Fired().has_value());
  EXPECT_TRUE(StartsWith(slow->Fired()->text, "p99_latency > 100ms: p99 is 149ms over "))
      << slow->Fired()->text;
}

TEST(Judge, ASecondIsLookedAtByTheClockAndClosedByALaterOne) {
  auto judge = Thresholds({kP99At100});
  judge->Observe(FirstRun(false, 500, 200 * kMs));
  EXPECT_EQ(judge->Numbers().tests[0].log_evidence, 0) << "still open";
  judge->Tick(1000 + kSecondGraceMs - 1);
  EXPECT_EQ(judge->Numbers().tests[0].log_evidence, 0);
  judge->Tick(1000 + kSecondGraceMs);
  const double closed = judge->Numbers().tests[0].log_evidence;
  EXPECT_NE(closed, 0);
  judge->Tick(60'000);
  EXPECT_EQ(judge->Numbers().tests[0].log_evidence, closed)
      << "a second without traffic says nothing";
  judge->Observe(FirstRun(false, 400, 1));  // late: still of that second
  judge->Observe(FirstRun(false, 9'000, 1));
  const double late = judge->Numbers().tests[0].log_evidence;
  EXPECT_LT(late, closed);
  auto without_clock = Thresholds({kP99At100});
  without_clock->Observe(FirstRun(false, 500, 200 * kMs));
  without_clock->Observe(FirstRun(false, 400, 1));
  without_clock->Observe(FirstRun(false, 9'000, 1));
  EXPECT_EQ(late, without_clock->Numbers().tests[0].log_evidence);
}

// What a restart and `deployment explain` rest on: the clock was looked at now and then, and runs
// came late, but the same observations say the same in the end.
TEST(Judge, WhatItSaidCanBeMadeAgainFromWhatItHadSeen) {
  int by_clock = 0, by_message = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    SeededRandom random(seed);
    deployment::DeploymentPlan plan =
        Compared({kErrors1, kP99At100, {MetricKind::kCpu, 100}, {MetricKind::kFuelRatio, 1.2}});
    plan.promote = PromoteWhen::kEarly;
    auto live = MakeJudge(plan);
    std::vector<Observation> all;
    int64_t now_ms = 0;
    bool clock_spoke = false;
    while (!live->Fired().has_value() && all.size() < 2000) {
      now_ms += static_cast<int64_t>(random.Below(3000));
      if (Chance(random, 0.5)) {
        live->Tick(now_ms);
        clock_spoke = live->Fired().has_value();
        continue;
      }
      Observation o = FirstRun(Chance(random, 0.004), now_ms);
      if (Chance(random, 0.2)) o.at_ms = std::max<int64_t>(now_ms - 2500, 0);  // late
      o.latency_ns = Chance(random, 0.1) ? 150 * kMs : kMs;
      o.run_ns = static_cast<int64_t>(random.Below(120)) * kMs;
      o.fuel = 1000 + random.Below(10);
      o.key_hash = random.Next64();
      if (Chance(random, 0.3)) o.arm = Arm::kStable;
      live->Observe(o);
      all.push_back(o);
    }
    const auto stage = live->EndOfStage(Stage());
    ASSERT_TRUE(live->Fired().has_value());
    const deployment::VerdictBasis basis = live->Fired()->basis;
    ++(clock_spoke ? by_clock : by_message);
    live->Observe(FirstRun(true, now_ms));  // changes nothing of what was said
    auto again = MakeJudge(plan);
    ASSERT_EQ(basis.observations, static_cast<int64_t>(all.size()));
    for (const Observation& o : all) again->Observe(o);
    again->Tick(basis.at_ms);
    EXPECT_EQ(again->Fired(), live->Fired());
    EXPECT_EQ(again->EndOfStage(Stage()), stage);
  }
  EXPECT_GT(by_clock, 20);
  EXPECT_GT(by_message, 20);
}

TEST(Judge, TellsHowTheTrafficOfEachWeightWasDivided) {
  auto judge = MakeJudge(Compared({kErrors1}));
  for (int i = 0; i < 400; ++i) {
    Observation o = FirstRun(false, i);
    o.weight_ppm = i < 200 ? 250'000 : 800'000;
    o.arm = i % 100 < (i < 200 ? 25 : 80) ? Arm::kCandidate : Arm::kStable;
    if (i % 10 == 0) o.verdict = RunVerdict::kShared;  // routed like any other
    judge->Observe(o);
  }
  const std::vector<WeightNumbers> got = judge->Numbers().by_weight;
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].weight_ppm, 250'000u);
  EXPECT_EQ(got[0].candidate, 50);
  EXPECT_EQ(got[0].all, 200);
  EXPECT_EQ(got[1].weight_ppm, 800'000u);
  EXPECT_EQ(got[1].candidate, 160);
  EXPECT_EQ(got[1].all, 200);
}

TEST(Judge, RefoldingGivesTheSameState) {
  std::vector<Observation> all;
  SeededRandom random(8);
  for (int i = 0; i < 3000; ++i) {
    Observation o =
        FirstRun(Chance(random, 0.008), i * 7, static_cast<int64_t>(random.Below(200)) * kMs);
    if (Chance(random, 0.3)) o.arm = Arm::kStable;
    if (Chance(random, 0.01)) o.verdict = RunVerdict::kShared;
    all.push_back(o);
  }
  auto fold = [&all] {
    auto judge = Thresholds({kErrors1, kP99At100});
    for (const Observation& o : all) judge->Observe(o);
    return judge->Numbers();
  };
  const JudgeNumbers a = fold();
  const JudgeNumbers b = fold();
  ASSERT_EQ(a.tests.size(), 2u);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(a.tests[i].log_evidence, b.tests[i].log_evidence);
  EXPECT_EQ(a.candidate.p99_ns, b.candidate.p99_ns);
  EXPECT_EQ(a.error_rate_lower_bound, b.error_rate_lower_bound);
}

TEST(Judge, AlphaIsSharedOut) {
  EXPECT_NEAR(Thresholds({kErrors1})->Numbers().tests[0].log_threshold, std::log(100), 1e-9);
  EXPECT_NEAR(Thresholds({kErrors1, kP99At100})->Numbers().tests[1].log_threshold, std::log(200),
              1e-9);
}

TEST(Judge, LowerBoundLiesBelowTheTruthAndComesNear) {
  int above = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    auto judge = Thresholds({{MetricKind::kErrorRate, 0.5}});
    SeededRandom random(seed);
    for (int i = 0; i < 2000; ++i) judge->Observe(FirstRun(Chance(random, 0.10)));
    const double bound = judge->Numbers().error_rate_lower_bound;
    if (bound > 0.10) ++above;
    EXPECT_GT(bound, 0.05);
  }
  EXPECT_LE(above, 2);
}

TEST(Judge, NothingIsEverNaN) {
  auto judge = Thresholds({kErrors1, kP99At100});
  for (int i = 0; i < 20'000; ++i) judge->Observe(FirstRun(true, i * 10, 500 * kMs));
  for (int i = 0; i < 20'000; ++i) judge->Observe(FirstRun(false, 200'000 + i * 10, 1));
  for (const TestNumbers& test : judge->Numbers().tests) {
    EXPECT_TRUE(std::isfinite(test.log_evidence));
    EXPECT_TRUE(test.fired);
  }
}

// The end of a stage, and before its end.

TEST(Judge, OneUnluckyEventPausesNoGoodVersion) {
  for (const auto& plan : {Compared(), Compared({{MetricKind::kErrorRatio, 1.5}})}) {
    auto judge = MakeJudge(plan);
    for (int i = 0; i < 200; ++i) judge->Observe(FirstRun(false, i * 100));
    judge->Observe(BadOf(Arm::kCandidate, 1));
    EXPECT_TRUE(judge->EndOfStage(Stage()).passed()) << judge->EndOfStage(Stage()).text;
  }
  auto asked = MakeJudge(Compared({{MetricKind::kErrorRatio, 1.5}}));
  for (int i = 0; i < 200; ++i) asked->Observe(FirstRun(false, i * 100));
  for (uint64_t key = 0; key < 3; ++key) asked->Observe(BadOf(Arm::kStable, key));
  for (uint64_t key = 10; key < 13; ++key) asked->Observe(BadOf(Arm::kCandidate, key));
  EXPECT_FALSE(asked->Fired().has_value()) << "not yet certain";
  EXPECT_FALSE(asked->EndOfStage(Stage()).within_limits) << "but beyond luck";
}

TEST(Judge, EarlyPassNeedsThePlanTheSamplesTheLimitsAndTheEvidence) {
  deployment::DeploymentPlan plan = Compared({kErrors1});
  const auto fold = [](const deployment::DeploymentPlan& p, int good, uint64_t stable_bad) {
    auto judge = MakeJudge(p);
    for (int i = 0; i < good; ++i) judge->Observe(FirstRun(false, i * 10));
    for (uint64_t k = 0; k < stable_bad; ++k) judge->Observe(BadOf(Arm::kStable, k));
    return judge;
  };
  EXPECT_FALSE(fold(plan, 200, 500)->EarlyPass(Stage()).has_value()) << "not asked for";
  plan.promote = PromoteWhen::kEarly;
  EXPECT_FALSE(fold(plan, 99, 500)->EarlyPass(Stage()).has_value()) << "samples";
  EXPECT_FALSE(fold(plan, 200, 20)->EarlyPass(Stage()).has_value()) << "evidence";
  auto judge = fold(plan, 200, 500);
  const auto report = judge->EarlyPass(Stage());
  ASSERT_TRUE(report.has_value());
  EXPECT_TRUE(report->passed());
  EXPECT_TRUE(StrContains(report->text, "0 of 500 messages or keys that failed")) << report->text;
  StagePlan preview = Stage();
  preview.role = deployment::StageRole::kPreview;
  EXPECT_FALSE(judge->EarlyPass(preview).has_value());
  for (int i = 0; i < 5; ++i) judge->Observe(FirstRun(true, 3000));
  EXPECT_FALSE(judge->EarlyPass(Stage()).has_value()) << "beyond its limits";
}

TEST(Judge, ForecastSaysWhenItWillBeDecided) {
  deployment::DeploymentPlan plan = Compared();
  EXPECT_EQ(MakeJudge(plan)->Numbers().early.messages, 0);
  plan.promote = PromoteWhen::kEarly;
  auto judge = MakeJudge(plan);
  for (int i = 0; i < 1000; ++i) judge->Observe(FirstRun(false, i * 100));
  EXPECT_EQ(judge->Numbers().early.messages, 0) << "no bad event: unknown";
  for (uint64_t k = 0; k < 10; ++k) judge->Observe(BadOf(Arm::kStable, k));
  const JudgeNumbers numbers = judge->Numbers();
  EXPECT_GT(numbers.early.messages, 10'000);
  EXPECT_NEAR(static_cast<double>(numbers.early.ns), numbers.early.messages * 0.1e9,
              0.02 * static_cast<double>(numbers.early.ns));
  EXPECT_GT(numbers.early_log_threshold, numbers.early_log_evidence);
}

}  // namespace
}  // namespace caxton::analysis
