// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>

#include "caxton/base/random.h"
#include "caxton/base/strings.h"
#include "judge_test_util.h"

namespace caxton::analysis {
namespace {

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

}  // namespace
}  // namespace caxton::analysis
