// SPDX-License-Identifier: Apache-2.0
#include "caxton/analysis/judge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "caxton/analysis/limits.h"
#include "caxton/base/random.h"
#include "caxton/base/strings.h"
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

}  // namespace
}  // namespace caxton::analysis
