// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "bad_keys.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/random.h"
#include "caxton/base/strings.h"
#include "comparison.h"
#include "judge_test_util.h"

namespace caxton::analysis {
namespace {

// Comparison with stable.

double RatioEvidence(const Judge& judge) {
  for (const TestNumbers& test : judge.Numbers().tests) {
    if (test.condition.metric == MetricKind::kErrorRatio) return test.log_evidence;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

TEST(Comparison, MatchesTheFormulaInPlainNumbers) {
  const double r0 = 2;
  Comparison comparison(r0, Comparison::Against::kAtMost);
  Comparison mirror(r0, Comparison::Against::kAtLeast);
  std::vector<double> m(12, 0), mirrored(12, 0);
  SeededRandom random(5);
  for (int n = 1; n <= 300; ++n) {
    const bool candidate = Chance(random, 0.2);
    const double w = n < 100 ? 0.05 : 0.25;
    comparison.Add({candidate, w});
    mirror.Add({candidate, w});
    const auto sum = [&](std::vector<double>& all, double base) {
      double total = 0;
      for (size_t i = 0; i < all.size(); ++i) {
        const double r = r0 * std::pow(base, static_cast<double>(i + 1));
        all[i] = (all[i] + 1.0 / (n * (n + 1.0))) * (candidate ? r / r0 : 1) * (1 - w + w * r0) /
                 (1 - w + w * r);
        total += all[i];
      }
      return std::log(total / 12 + 1.0 / (n + 1));
    };
    EXPECT_NEAR(comparison.LogE(), sum(m, std::sqrt(2)), 1e-9);
    EXPECT_NEAR(mirror.LogE(), sum(mirrored, 1 / std::sqrt(2)), 1e-9);
  }
}

TEST(Comparison, IsOneOfTheTestsAndAnExplicitRatioIsTheSame) {
  const auto numbers = MakeJudge(Compared({kErrors1}))->Numbers();
  ASSERT_EQ(numbers.tests.size(), 2u);
  EXPECT_EQ(numbers.tests[1].condition, (Condition{MetricKind::kErrorRatio, 1}));
  EXPECT_NEAR(numbers.tests[1].log_threshold, std::log(200), 1e-9);
  const auto asked = MakeJudge(Compared({{MetricKind::kErrorRatio, 3}}))->Numbers();
  ASSERT_EQ(asked.tests.size(), 1u);
  EXPECT_EQ(asked.tests[0].condition.limit, 3);
  EXPECT_TRUE(MakeJudge(deployment::DeploymentPlan{})->Numbers().tests.empty());
}

TEST(Comparison, FiresWithItsNumbers) {
  auto judge = MakeJudge(Compared());
  uint64_t key = 0;
  judge->Observe(BadOf(Arm::kStable, ++key));
  while (!judge->Fired().has_value() && key < 20) judge->Observe(BadOf(Arm::kCandidate, ++key));
  ASSERT_TRUE(judge->Fired().has_value());
  EXPECT_LE(key, 6u);
  EXPECT_TRUE(StrContains(judge->Fired()->text, "error_ratio > 1: "));
  EXPECT_TRUE(StrContains(judge->Fired()->text, "where 0."));
  EXPECT_GT(judge->Numbers().tests[0].estimate, 10);
}

// One bad key with 30 % of the traffic; retries that were reported.
TEST(Comparison, AKeyCountsOnceInTheWholeDeploymentOnEitherArm) {
  auto judge = MakeJudge(Compared());
  for (int i = 0; i < 10'000; ++i) judge->Observe(BadOf(Arm::kStable, 7));
  for (int i = 0; i < 10'000; ++i) judge->Observe(BadOf(Arm::kCandidate, 7, 250'000));
  EXPECT_FALSE(judge->Fired().has_value());
  auto once = MakeJudge(Compared());
  once->Observe(BadOf(Arm::kStable, 7));
  EXPECT_EQ(RatioEvidence(*judge), RatioEvidence(*once));
}

TEST(Comparison, SilentWhereThereIsNothingToCompare) {
  auto judge = MakeJudge(Compared());
  const double before = RatioEvidence(*judge);
  for (uint64_t key = 0; key < 1000; ++key) {
    judge->Observe(BadOf(Arm::kCandidate, key, 1'000'000));
    judge->Observe(BadOf(Arm::kStable, key, 0));
    Observation shared = BadOf(Arm::kCandidate, key);
    shared.verdict = RunVerdict::kShared;
    judge->Observe(shared);
  }
  EXPECT_EQ(RatioEvidence(*judge), before);
  // Nor were their keys marked as seen.
  for (uint64_t key = 0; key < 10; ++key) judge->Observe(BadOf(Arm::kCandidate, key));
  EXPECT_TRUE(judge->Fired().has_value());
}

TEST(Comparison, ExtremeFactorsAreStillNumbers) {
  for (double factor : {1e-320, 1e-12, 1e15, 1e308}) {
    Comparison comparison(factor, Comparison::Against::kAtMost);
    for (int i = 0; i < 2000; ++i) comparison.Add({i % 2 == 0, 1e-6});
    EXPECT_FALSE(std::isnan(comparison.LogE())) << factor;
  }
}

TEST(Comparison, OneEventIsNeverBeyondLuck) {
  EXPECT_FALSE(BeyondLuck(0, 0, 0.05));
  EXPECT_FALSE(BeyondLuck(1, 1, 0.0001));
  EXPECT_TRUE(BeyondLuck(2, 2, 0.05));
  EXPECT_FALSE(BeyondLuck(2, 40, 0.05));
  EXPECT_TRUE(BeyondLuck(10, 40, 0.05));
  EXPECT_FALSE(BeyondLuck(5, 5, 1)) << "no weight to compare at";
}

TEST(BadKeys, BeyondTheLimitEverySecondKeyIsKeptAndNoneCountsTwice) {
  BadKeys keys;
  SeededRandom random(6);
  std::vector<uint64_t> counted;
  for (size_t i = 0; i < 4 * kMaxBadKeys; ++i) {
    const uint64_t key = random.Next64();
    if (keys.First(key)) counted.push_back(key);
    EXPECT_LE(keys.size(), kMaxBadKeys);
  }
  EXPECT_GE(keys.halvings(), 2);
  EXPECT_GT(counted.size(), kMaxBadKeys);
  for (uint64_t key : counted) ASSERT_FALSE(keys.First(key));
  size_t later = 0;  // it goes on with a part of what comes
  for (int i = 0; i < 1000; ++i) later += keys.First(random.Next64()) ? 1 : 0;
  EXPECT_GT(later, 50u);
  EXPECT_LT(later, 400u);
}

}  // namespace
}  // namespace caxton::analysis
