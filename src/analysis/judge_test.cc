// SPDX-License-Identifier: Apache-2.0
#include "caxton/analysis/judge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "bad_keys.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/random.h"
#include "caxton/base/strings.h"
#include "comparison.h"
#include "e_process.h"
#include "histogram.h"

namespace caxton::analysis {
namespace {

using deployment::StagePlan;
using deployment::VerdictKind;

constexpr int64_t kMs = 1'000'000;
const Condition kErrors1{MetricKind::kErrorRate, 0.01};
const Condition kP99At100{MetricKind::kP99Latency, 100.0 * kMs};

Observation FirstRun(bool bad, int64_t at_ms = 0, int64_t latency_ns = kMs) {
  Observation o;
  o.arm = Arm::kCandidate;
  o.verdict = bad ? RunVerdict::kBad : RunVerdict::kGood;
  o.weight_ppm = 50'000;
  o.at_ms = at_ms;
  o.latency_ns = latency_ns;
  return o;
}
std::unique_ptr<Judge> Thresholds(std::vector<Condition> conditions) {
  deployment::DeploymentPlan plan;
  plan.conditions = std::move(conditions);
  return MakeJudge(plan);
}
StagePlan Stage(int64_t min_samples = 100) { return {50'000, 60'000 * kMs, min_samples, false}; }

bool Chance(SeededRandom& random, double p) {
  return static_cast<double>(random.Next64() >> 11) * 0x1.0p-53 < p;
}

// Observations until the e-process reaches 1/alpha under a true `rate`; -1: not within `limit`.
int64_t Until(double rate, uint64_t seed, int64_t limit) {
  SeededRandom random(seed);
  EProcess process(0.01, ErrorAlternatives(0.01));
  const double threshold = std::log(1 / 0.0025);
  for (int64_t n = 1; n <= limit; ++n) {
    process.Add(Chance(random, rate) ? 1 : 0);
    if (process.LogE() >= threshold) return n;
  }
  return -1;
}
struct Spread {
  int64_t median = 0, p90 = 0;
};
Spread Simulate(double rate, int runs, int64_t limit) {
  std::vector<int64_t> times;
  for (int i = 0; i < runs; ++i) times.push_back(Until(rate, 1000 + i, limit));
  std::sort(times.begin(), times.end());
  EXPECT_GE(times.front(), 0) << "every run fires";
  return {times[times.size() / 2], times[times.size() * 9 / 10]};
}

// The table of judgement.md: error_rate > 1%, alpha_m = 0.25 %.
TEST(EProcess, FiresAsSoonAsPublished) {
  const Spread total = Simulate(1, 20, 100);
  EXPECT_EQ(total.median, 2);
  EXPECT_EQ(total.p90, 2);
  const Spread tenth = Simulate(0.10, 400, 10'000);
  EXPECT_GE(tenth.median, 38);
  EXPECT_LE(tenth.median, 60);
  EXPECT_GE(tenth.p90, 80);
  EXPECT_LE(tenth.p90, 130);
  const Spread fiftieth = Simulate(0.02, 80, 30'000);
  EXPECT_GE(fiftieth.median, 1'300);
  EXPECT_LE(fiftieth.median, 2'400);
  EXPECT_LE(fiftieth.p90, 4'600);
}

TEST(EProcess, HardlyEverFiresWithinTheLimit) {
  int fired = 0;
  for (int i = 0; i < 100; ++i) fired += Until(0.01, 5000 + i, 5'000) >= 0 ? 1 : 0;
  EXPECT_LE(fired, 3);
  for (int i = 0; i < 60; ++i) EXPECT_EQ(Until(0.005, 9000 + i, 5'000), -1);
}

TEST(EProcess, MatchesTheFormulaInPlainNumbers) {
  const double p0 = 0.01;
  const std::vector<double> alternatives = ErrorAlternatives(p0);
  EProcess process(p0, alternatives);
  std::vector<double> m(alternatives.size(), 0);
  SeededRandom random(4);
  for (int n = 1; n <= 500; ++n) {
    const double x = n % 7 == 0 ? 0.5 : Chance(random, 0.02) ? 1 : 0;
    process.Add(x);
    double sum = 0;
    for (size_t j = 0; j < m.size(); ++j) {
      m[j] = (m[j] + 1.0 / (n * (n + 1.0))) *
             (1 + (x - p0) * (alternatives[j] - p0) / (p0 * (1 - p0)));
      sum += m[j];
    }
    EXPECT_NEAR(process.LogE(), std::log(sum / static_cast<double>(m.size()) + 1.0 / (n + 1)),
                1e-9);
  }
}

TEST(EProcess, FiresAfterLongGoodAndAfterMendedBadTimes) {
  EProcess process(0.01, ErrorAlternatives(0.01));
  for (int i = 0; i < 200'000; ++i) process.Add(0);
  int needed = 0;
  while (process.LogE() < std::log(400) && needed < 100) {
    process.Add(1);
    ++needed;
  }
  EXPECT_LE(needed, 10);
  for (int i = 0; i < 100'000; ++i) process.Add(0);
  EXPECT_LT(process.LogE(), 0) << "mended: nothing is left of it";
  needed = 0;
  while (process.LogE() < std::log(400) && needed < 100) {
    process.Add(1);
    ++needed;
  }
  EXPECT_LE(needed, 10);
}

TEST(EProcess, IgnoresWhatIsNoObservation) {
  EProcess process(0.01, ErrorAlternatives(0.01));
  process.Add(std::numeric_limits<double>::quiet_NaN());
  process.Add(-0.1);
  process.Add(1.1);
  EXPECT_EQ(process.n(), 0);
  EXPECT_EQ(process.LogE(), 0);
}

TEST(EProcess, Alternatives) {
  const auto errors = ErrorAlternatives(0.01);
  EXPECT_EQ(errors.size(), 14u);
  EXPECT_DOUBLE_EQ(errors.back(), 0.99);
  EXPECT_NEAR(errors[0], 0.01 * std::sqrt(2), 1e-12);
  EXPECT_EQ(ShareAlternatives(0.01).size(), 7u);
  EXPECT_EQ(ShareAlternatives(0.05).size(), 7u);
  EXPECT_EQ(ShareAlternatives(0.5).size(), 7u);
  EXPECT_NEAR(ShareAlternatives(0.5)[0], 0.545, 0.001);
  EXPECT_EQ(ErrorAlternatives(0.995).size(), 1u);
  for (double p0 : {1e-6, 0.5, 0.989, 0.99, 0.999999}) {
    EProcess process(p0, ErrorAlternatives(p0));
    for (int i = 0; i < 100; ++i) process.Add(1);
    EXPECT_TRUE(std::isfinite(process.LogE())) << p0;
  }
}

TEST(Histogram, QuantilesWithinThreePercent) {
  Histogram h;
  EXPECT_EQ(h.Quantile(0.99), 0);
  for (int64_t i = 1; i <= 10'000; ++i) h.Add(i * 12'345);
  for (double q : {0.01, 0.5, 0.95, 0.99, 1.0}) {
    const double exact = std::ceil(q * 10'000) * 12'345;
    EXPECT_NEAR(static_cast<double>(h.Quantile(q)), exact, 0.03 * exact);
  }
  for (int64_t value : {int64_t{0}, int64_t{1}, int64_t{31}, int64_t{32}, int64_t{33},
                        int64_t{1023}, int64_t{1} << 46}) {
    Histogram one;
    one.Add(value);
    EXPECT_NEAR(static_cast<double>(one.Quantile(0.5)), static_cast<double>(value),
                0.03 * static_cast<double>(value));
  }
  Histogram edges;
  edges.Add(-5);
  edges.Add(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(edges.Quantile(0.1), 0);
  EXPECT_GT(edges.Quantile(1), int64_t{1} << 46);
}

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

TEST(Judge, ASecondClosesByALaterOneOrByTheClock) {
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
  judge->Observe(FirstRun(false, 400, 1));  // late: counts for the next second
  judge->Observe(FirstRun(false, 9'000, 1));
  EXPECT_NE(judge->Numbers().tests[0].log_evidence, closed);
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

// Comparison with stable.

deployment::DeploymentPlan Compared(std::vector<Condition> conditions = {}) {
  deployment::DeploymentPlan plan;
  plan.strategy = Strategy::kCanary;
  plan.conditions = std::move(conditions);
  plan.compare_errors = true;
  return plan;
}
Observation BadOf(Arm arm, uint64_t key, uint32_t weight_ppm = 50'000) {
  Observation o = FirstRun(true);
  o.arm = arm;
  o.key_hash = key;
  o.weight_ppm = weight_ppm;
  return o;
}
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

// The other metrics.

TEST(Metrics, MedianAndP95FireOnWhatIsSlowAndNotOnTails) {
  auto judge = Thresholds({{MetricKind::kP50Latency, 100.0 * kMs}});
  auto tails = Thresholds({{MetricKind::kP50Latency, 100.0 * kMs}});
  auto p95 = Thresholds({{MetricKind::kP95Latency, 100.0 * kMs}});
  for (int64_t i = 0; i < 12'000; ++i) {
    judge->Observe(FirstRun(false, i * 20, i % 10 < 8 ? 150 * kMs : kMs));
    tails->Observe(FirstRun(false, i * 20, i % 10 < 4 ? 900 * kMs : kMs));
    p95->Observe(FirstRun(false, i * 20, i % 5 == 0 ? 150 * kMs : kMs));
  }
  ASSERT_TRUE(judge->Fired().has_value());
  EXPECT_TRUE(StartsWith(judge->Fired()->text, "p50_latency > 100ms: p50 is 1"));
  EXPECT_FALSE(tails->Fired().has_value());
  EXPECT_TRUE(p95->Fired().has_value());
  EXPECT_FALSE(p95->EndOfStage(Stage()).within_limits);
  EXPECT_TRUE(tails->EndOfStage(Stage()).passed());
}

TEST(Metrics, MemoryIsATripwireForTheCandidate) {
  auto judge = Thresholds({{MetricKind::kMemory, 64.0 * 1024 * 1024}});
  Observation o = FirstRun(false);
  o.memory_bytes = 64 * 1024 * 1024;
  judge->Observe(o);
  o.memory_bytes *= 2;
  o.arm = Arm::kStable;
  judge->Observe(o);
  o.arm = Arm::kCandidate;
  o.verdict = RunVerdict::kShared;
  judge->Observe(o);
  EXPECT_FALSE(judge->Fired().has_value());
  o.verdict = RunVerdict::kGood;
  judge->Observe(o);
  ASSERT_TRUE(judge->Fired().has_value());
  EXPECT_TRUE(StrContains(judge->Fired()->text, "memory > 64Mi: an instance had 128Mi"))
      << judge->Fired()->text;
  EXPECT_EQ(judge->Numbers().candidate.memory_bytes, uint64_t{128} << 20);
}

TEST(Metrics, CpuFiresOnSustainedUseAndNotOnABurst) {
  auto busy = Thresholds({{MetricKind::kCpu, 500}});
  auto burst = Thresholds({{MetricKind::kCpu, 500}});
  for (int64_t second = 0; second < 120; ++second) {
    for (int64_t i = 0; i < 10; ++i) {
      Observation o = FirstRun(false, second * 1000 + i * 100);
      o.run_ns = 60 * kMs;  // 600m
      busy->Observe(o);
      o.run_ns = second >= 50 && second < 55 ? 200 * kMs : 10 * kMs;
      burst->Observe(o);
    }
  }
  ASSERT_TRUE(busy->Fired().has_value());
  EXPECT_TRUE(StartsWith(busy->Fired()->text, "cpu > 500m: 600m on average, over "))
      << busy->Fired()->text;
  EXPECT_FALSE(busy->EndOfStage(Stage()).within_limits);
  EXPECT_FALSE(burst->Fired().has_value());
  EXPECT_TRUE(burst->EndOfStage(Stage()).passed());
  EXPECT_NEAR(busy->Numbers().candidate.cpu_millis, 600, 1);
}

// Fuel of a message depends on its key, up to tenfold, and on the message.
std::unique_ptr<Judge> FuelRun(double factor, uint64_t keys, uint64_t seed) {
  auto judge = Thresholds({{MetricKind::kFuelRatio, 1.2}});
  SeededRandom random(seed);
  const uint64_t salt = random.Next64();
  for (int i = 0; i < 10'000; ++i) {
    SeededRandom of_key(salt ^ random.Below(keys));
    Observation o = FirstRun(false, i * 10);
    o.key_hash = of_key.Next64();
    o.arm = o.key_hash % 1'000'000 < 250'000 ? Arm::kCandidate : Arm::kStable;
    const auto cost = static_cast<double>(1000 * (1 + of_key.Below(10)) + random.Below(1000));
    o.fuel = static_cast<uint64_t>(o.arm == Arm::kCandidate ? factor * cost : cost);
    judge->Observe(o);
  }
  return judge;
}

TEST(Metrics, FuelRatioTellsACostlyVersionFromCostlyKeys) {
  int fired = 0, found = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    fired += FuelRun(1, 500, seed)->Fired().has_value() ? 1 : 0;
    found += seed < 20 && FuelRun(1.6, 500, seed)->Fired().has_value() ? 1 : 0;
    if (seed >= 20) continue;
    EXPECT_FALSE(FuelRun(1, 5, seed)->Fired().has_value()) << "few keys: no word";
  }
  EXPECT_LE(fired, 3);
  EXPECT_GE(found, 18);
  const auto judge = FuelRun(1.6, 500, 1);
  EXPECT_NEAR(judge->Numbers().tests[0].estimate, 1.6, 0.3);
}

TEST(Metrics, FuelThatIsTheSameForEveryMessageIsExact) {
  auto same = Thresholds({{MetricKind::kFuelRatio, 1.2}});
  auto more = Thresholds({{MetricKind::kFuelRatio, 1.2}});
  SeededRandom random(3);
  for (int i = 0; i < 600; ++i) {
    Observation o = FirstRun(false, i);
    o.key_hash = random.Next64();
    o.arm = i % 2 == 0 ? Arm::kCandidate : Arm::kStable;
    o.fuel = 1000;
    if (i < 150) {
      EXPECT_FALSE(more->Fired().has_value()) << "too few to speak";
    }
    same->Observe(o);
    if (o.arm == Arm::kCandidate) o.fuel = 1300;
    more->Observe(o);
  }
  EXPECT_FALSE(same->Fired().has_value());
  EXPECT_TRUE(more->Fired().has_value());
  EXPECT_FALSE(more->EndOfStage(Stage()).within_limits);
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

// What others got wrong (judgement.md, "Known failures of others").

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
  auto judge = MakeJudge(Compared({{MetricKind::kErrorRate, 0.05}}));
  for (uint64_t i = 0; i < 2000; ++i) {
    if (i % 20 == 0) {
      judge->Observe(FirstRun(false, static_cast<int64_t>(i)));
    } else {
      judge->Observe(BadOf(Arm::kStable, i));
    }
  }
  EXPECT_FALSE(judge->Fired().has_value());
  EXPECT_TRUE(judge->EndOfStage(Stage()).passed());
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
  EXPECT_EQ(numbers.candidate.runs, 0) << "the observed share, beside the configured one";
  EXPECT_EQ(numbers.stable.runs, 5000);
  EXPECT_FALSE(judge->EndOfStage(Stage()).passed());
}

}  // namespace
}  // namespace caxton::analysis
