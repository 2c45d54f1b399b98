// SPDX-License-Identifier: Apache-2.0
//
// The known failures of others that judgement.md lists, each as a case.
#include <gtest/gtest.h>

#include <cmath>

#include "caxton/base/random.h"
#include "judge_test_util.h"

namespace caxton::analysis {
namespace {

TEST(KnownFailures, GoodVersionRolledBackBecauseOneWindowHadFewMessages) {
  auto judge = MakeJudge(Compared({kErrors1}));
  int64_t at = 0;
  for (int window = 0; window < 20; ++window) {  // 200 good ones, then a minute with 1 of 2 bad
    for (int i = 0; i < 200; ++i) judge->Observe(FirstRun(false, at += 10));
    judge->Observe(FirstRun(window % 2 == 0, at += 60'000));
    judge->Observe(FirstRun(false, at += 1));
    EXPECT_FALSE(judge->Fired().has_value()) << window;
  }
  EXPECT_TRUE(judge->EndOfStage(Stage()).passed());
}

TEST(KnownFailures, SuccessfulFromZeroMeasurements) {
  deployment::DeploymentPlan plan = Compared({kErrors1, kP99At100});
  plan.promote = PromoteWhen::kEarly;
  auto judge = MakeJudge(plan);
  judge->Tick(3'600'000);
  EXPECT_FALSE(judge->EndOfStage(Stage(0)).passed());
  EXPECT_FALSE(judge->EarlyPass(Stage(0)).has_value());
}

TEST(KnownFailures, ABrokenStableBlocksItsOwnFix) {
  // Its retry fails too: shared, as the router reports it. Or each retry succeeds: stable's.
  for (const RunVerdict verdict : {RunVerdict::kShared, RunVerdict::kBad}) {
    auto judge = MakeJudge(Compared({{MetricKind::kErrorRate, 0.05}}));
    for (uint64_t i = 0; i < 2000; ++i) {
      Observation o = i % 20 == 0 ? FirstRun(false) : BadOf(Arm::kStable, i);
      o.at_ms = static_cast<int64_t>(i);
      if (o.arm == Arm::kStable) o.verdict = verdict;
      judge->Observe(o);
    }
    EXPECT_FALSE(judge->Fired().has_value());
    EXPECT_TRUE(judge->EndOfStage(Stage()).passed());
  }
}

TEST(KnownFailures, AThresholdCounterThatNeverResets) {
  auto judge = MakeJudge(Compared({kErrors1}));
  SeededRandom random(12);  // a failure in 500, for 200,000 messages: 400 failures
  for (int i = 0; i < 200'000; ++i) {
    Observation o = FirstRun(Chance(random, 0.002), i * 10);
    o.key_hash = random.Next64();
    o.arm = Chance(random, 0.05) ? Arm::kCandidate : Arm::kStable;
    judge->Observe(o);
  }
  EXPECT_FALSE(judge->Fired().has_value());
}

TEST(KnownFailures, NaNTakenForFailure) {
  auto judge = MakeJudge(Compared({kErrors1, kP99At100, {MetricKind::kFuelRatio, 1.1}}));
  for (int i = 0; i < 5000; ++i) {  // no fuel, no time, no memory: nothing to divide by
    Observation o = FirstRun(false, 0, 0);
    if (i % 2 == 0) o.arm = Arm::kStable;
    judge->Observe(o);
  }
  judge->Tick(10'000);
  EXPECT_FALSE(judge->Fired().has_value());
  for (const TestNumbers& test : judge->Numbers().tests) {
    EXPECT_FALSE(std::isnan(test.log_evidence));
    EXPECT_FALSE(std::isnan(test.estimate));
  }
}

TEST(KnownFailures, P99InterpolatedInsideABucketFrom100To250Ms) {
  // 2 % take 101 ms: above 100 ms and far from 250 ms, and nothing is read out of a bucket.
  auto over = Thresholds({{MetricKind::kP99Latency, 100.0 * kMs}});
  auto under = Thresholds({{MetricKind::kP99Latency, 102.0 * kMs}});
  for (int64_t i = 0; i < 10'000; ++i) {
    const Observation o = FirstRun(false, i * 10, i % 50 == 0 ? 101 * kMs : kMs);
    over->Observe(o);
    under->Observe(o);
  }
  EXPECT_FALSE(over->EndOfStage(Stage()).within_limits);
  EXPECT_TRUE(under->EndOfStage(Stage()).within_limits);
  EXPECT_NEAR(static_cast<double>(over->Numbers().candidate.p99_ns), 101e6, 3e6);
}

TEST(KnownFailures, EvidenceThatNoLongerFiresAfterLongGoodOrMendedTimes) {
  auto judge = MakeJudge(Compared());
  for (uint64_t k = 0; k < 20'000; ++k) judge->Observe(BadOf(Arm::kStable, k));
  for (int i = 0; i < 100'000; ++i) judge->Observe(FirstRun(false, i));
  int needed = 0;
  for (uint64_t k = 100'000; !judge->Fired().has_value() && needed < 100; ++k, ++needed) {
    judge->Observe(BadOf(Arm::kCandidate, k));
  }
  EXPECT_LE(needed, 12);
}

TEST(KnownFailures, FewKeys) {
  auto judge = MakeJudge(Compared({kErrors1}));
  // Five keys, none drawn to the canary: shown as what it is, and no success.
  for (uint64_t i = 0; i < 5000; ++i) {
    Observation o = FirstRun(false, static_cast<int64_t>(i));
    o.arm = Arm::kStable;
    o.key_hash = i % 5;
    judge->Observe(o);
  }
  const JudgeNumbers numbers = judge->Numbers();
  EXPECT_EQ(numbers.candidate.runs, 0);
  EXPECT_EQ(numbers.stable.runs, 5000);
  ASSERT_EQ(numbers.by_weight.size(), 1u) << "the observed share, beside the configured one";
  EXPECT_EQ(numbers.by_weight[0].weight_ppm, 50'000u);
  EXPECT_EQ(numbers.by_weight[0].candidate, 0);
  EXPECT_EQ(numbers.by_weight[0].all, 5000);
  EXPECT_FALSE(judge->EndOfStage(Stage()).passed());
}

}  // namespace
}  // namespace caxton::analysis
