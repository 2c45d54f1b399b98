// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "caxton/base/random.h"
#include "e_process.h"
#include "histogram.h"
#include "judge_test_util.h"

namespace caxton::analysis {
namespace {

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

}  // namespace
}  // namespace caxton::analysis
