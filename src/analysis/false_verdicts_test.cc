// SPDX-License-Identifier: Apache-2.0
//
// Each case is a false verdict (or a missed one) that a simulation has shown: what must not be
// taken for a fault, for a cost or for merit of the candidate.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "caxton/analysis/judge.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/random.h"
#include "fuel_comparison.h"

namespace caxton::analysis {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int kRuns = 10;

double Share(SeededRandom& random) {
  return static_cast<double>(random.Next64() >> 11) * 0x1.0p-53;
}
double Exponential(SeededRandom& random, double mean) {
  return -mean * std::log(1 - Share(random));
}

std::unique_ptr<Judge> JudgeOf(MetricKind metric, double limit) {
  deployment::DeploymentPlan plan;
  plan.conditions = {{metric, limit}};
  return MakeJudge(plan);
}

Observation FirstRunAt(int64_t at_ms) {
  Observation o;
  o.arm = Arm::kCandidate;
  o.weight_ppm = 500'000;
  o.at_ms = at_ms;
  o.latency_ns = kMs;
  return o;
}

// Of kRuns deployments of 1,500 s with random arrivals, those rolled back by cpu > 500m.
int RolledBackByCpu(double runs_a_second, double run_ms) {
  int fired = 0;
  for (uint64_t seed = 0; seed < kRuns; ++seed) {
    SeededRandom random(seed);
    auto judge = JudgeOf(MetricKind::kCpu, 500);
    double at_ms = 0;
    while (at_ms < 1'500'000 && !judge->Fired().has_value()) {
      at_ms += Exponential(random, 1000 / runs_a_second);
      Observation o = FirstRunAt(static_cast<int64_t>(at_ms));
      o.run_ns = static_cast<int64_t>(Exponential(random, run_ms) * kMs);
      judge->Observe(o);
    }
    if (judge->Fired().has_value()) ++fired;
  }
  return fired;
}

TEST(CpuLimit, RandomArrivalsFarBelowItAreNoVerdict) {
  EXPECT_EQ(RolledBackByCpu(5, 50), 0) << "250m: one second in ten is above 500m all the same";
  EXPECT_EQ(RolledBackByCpu(5, 20), 0);
}

TEST(CpuLimit, StepsLongerThanASecondAreSpread) {
  EXPECT_LE(RolledBackByCpu(0.05, 3000), 1) << "150m, in steps of 3 s";
  auto judge = JudgeOf(MetricKind::kCpu, 500);
  Observation o = FirstRunAt(3'500);
  o.run_ns = 3000 * kMs;
  judge->Observe(o);
  judge->Tick(60'000);
  EXPECT_NEAR(judge->Numbers().tests[0].estimate, 750, 1e-9) << "over the 4 s since the start";
  o.at_ms = 1'000'000;
  judge->Observe(o);
  EXPECT_NEAR(judge->Numbers().tests[0].estimate, 6000.0 / (4 + kCpuSpreadSeconds), 1e-9);
}

TEST(CpuLimit, OverloadFires) {
  EXPECT_EQ(RolledBackByCpu(5, 200), kRuns);
  EXPECT_EQ(RolledBackByCpu(5, 120), kRuns) << "600m";
}

TEST(CpuLimit, OneBurstAMinuteIsNoVerdict) {
  auto judge = JudgeOf(MetricKind::kCpu, 500);
  for (int64_t second = 0; second < 1800; ++second) {
    for (int64_t i = 0; i < 5; ++i) {
      Observation o = FirstRunAt(second * 1000 + i * 200);
      o.run_ns = (second % 60 == 30 ? 800 : 60) * kMs;
      judge->Observe(o);
    }
  }
  EXPECT_FALSE(judge->Fired().has_value());
}

TEST(LatencyLimit, AMedianJustBeyondItIsFoundOut) {
  for (const auto& [slow, expected] : {std::pair{0.60, true}, std::pair{0.45, false}}) {
    auto judge = JudgeOf(MetricKind::kP50Latency, 100.0 * kMs);
    SeededRandom random(3);
    for (int64_t second = 0; second < 1800; ++second) {
      Observation o = FirstRunAt(second * 1000);
      o.latency_ns = (Share(random) < slow ? 200 : 50) * kMs;
      judge->Observe(o);
    }
    EXPECT_EQ(judge->Fired().has_value(), expected) << slow;
  }
}

struct FuelLoad {
  double factor = 1;       // of the candidate's cost
  double late_factor = 1;  // of everybody's, from the third stage on
  bool by_key = false;     // keys differ in cost, a thousand of them, unlike popular
  double dear_share = 0;   // of all messages: those cost `dear` times as much
  double dear = 1;         // on the candidate
  double dear_stable = 1;  // on stable
};

// The evidence of fuel_ratio > 1.2 at its highest, over the default stages at 10 messages a second.
double HighestFuelEvidence(const FuelLoad& load, uint64_t seed) {
  SeededRandom random(seed);
  FuelComparison fuel(1.2);
  double highest = 0;
  const uint64_t salt = random.Next64();
  for (const auto& [weight, messages] :
       {std::pair{50'000u, 3000}, {250'000u, 6000}, {500'000u, 6000}, {1'000'000u, 3000}}) {
    for (int i = 0; i < messages; ++i) {
      const auto key = static_cast<uint64_t>(std::pow(1000, Share(random)));
      Observation o;
      o.key_hash = load.by_key ? SeededRandom(salt ^ (key << 20)).Next64() : random.Next64();
      o.weight_ppm = weight;
      o.arm = o.key_hash % 1'000'000 < weight ? Arm::kCandidate : Arm::kStable;
      SeededRandom key_cost(key * 99);
      const double cost = load.by_key ? Exponential(key_cost, 1e5) : Exponential(random, 1e5);
      double late = weight >= 500'000 ? load.late_factor : 1;
      if (load.dear_share > 0 && Share(random) < load.dear_share) {
        late *= o.arm == Arm::kCandidate ? load.dear : load.dear_stable;
      }
      o.fuel =
          static_cast<uint64_t>(cost * late * (o.arm == Arm::kCandidate ? load.factor : 1) + 1000);
      fuel.Add(o);
      highest = std::max(highest, fuel.LogE());
    }
  }
  return highest;
}

TEST(FuelRatio, ACostlyHourIsNotACostlyVersion) {
  for (uint64_t seed = 0; seed < kRuns; ++seed) {
    EXPECT_LT(HighestFuelEvidence({.late_factor = 3}, seed), std::log(100)) << seed;
  }
}

TEST(FuelRatio, ACostlyKeyIsNotACostlyVersion) {
  for (uint64_t seed = 0; seed < kRuns; ++seed) {
    EXPECT_LT(HighestFuelEvidence({.by_key = true}, seed), std::log(100)) << seed;
  }
}

TEST(FuelRatio, CostlyMessagesAreNotACostlyVersion) {
  for (uint64_t seed = 0; seed < kRuns; ++seed) {
    const FuelLoad load{.dear_share = 0.05, .dear = 1000, .dear_stable = 1000};
    EXPECT_LT(HighestFuelEvidence(load, seed), std::log(100)) << seed;
  }
}

// Few messages, by far: the mean is known badly, and still there is no doubt.
TEST(FuelRatio, AVersionThatIsCostlyForAFewMessagesIs) {
  for (uint64_t seed = 0; seed < kRuns; ++seed) {
    const FuelLoad load{.dear_share = 0.05, .dear = 1000};
    EXPECT_GE(HighestFuelEvidence(load, seed), std::log(100)) << seed;
  }
}

TEST(FuelRatio, ACostlyVersionIs) {
  for (uint64_t seed = 0; seed < kRuns; ++seed) {
    EXPECT_GE(HighestFuelEvidence({.factor = 1.5}, seed), std::log(100)) << seed;
    // Even while everything becomes cheaper.
    EXPECT_GE(HighestFuelEvidence({.factor = 1.5, .late_factor = 0.3}, seed), std::log(100));
  }
}

TEST(FuelRatio, MoreWeightsThanItKeepsAreIgnored) {
  FuelComparison fuel(1.2);
  SeededRandom random(1);
  for (uint32_t weight = 1; weight <= 2 * kMaxWeights; ++weight) {
    for (int i = 0; i < 2; ++i) {
      Observation o;
      o.key_hash = random.Next64();
      o.weight_ppm = weight * 1000;
      o.arm = i == 0 ? Arm::kCandidate : Arm::kStable;
      o.fuel = weight <= kMaxWeights ? 100 : 1'000'000 * (2 - i);
      fuel.Add(o);
    }
  }
  EXPECT_DOUBLE_EQ(fuel.Ratio(), 1);
}

// A candidate that fails three times as often as stable, 0.5 %, at 25 %; and ten seconds in which
// whatever both depend on is gone. True if it was promoted early. Failures are attributed as the
// router does it: the candidate's are tried again at once on stable, stable's later.
bool PromotedEarlyAfterOutage(uint64_t seed) {
  SeededRandom random(seed);
  deployment::DeploymentPlan plan;
  plan.promote = PromoteWhen::kEarly;
  auto judge = MakeJudge(plan);
  deployment::StagePlan stage;
  stage.weight_ppm = 250'000;
  stage.min_samples = 100;
  for (int64_t i = 0; i < 9000; ++i) {
    Observation o = FirstRunAt(i * 100);
    o.weight_ppm = stage.weight_ppm;
    o.key_hash = random.Next64();
    o.arm = o.key_hash % 1'000'000 < o.weight_ppm ? Arm::kCandidate : Arm::kStable;
    const double stable_fails = i >= 600 && i < 700 ? 0.9 : 0.005;
    const bool candidate = o.arm == Arm::kCandidate;
    if (Share(random) < (candidate ? std::max(stable_fails, 0.015) : stable_fails)) {
      const bool shared = candidate && Share(random) < stable_fails;
      o.verdict = shared ? RunVerdict::kShared : RunVerdict::kBad;
    }
    judge->Observe(o);
    if (judge->EarlyPass(stage).has_value()) return true;
  }
  return false;
}

TEST(EarlyPromotion, AnOutageSpeaksForNobody) {
  int promoted = 0;
  for (uint64_t seed = 0; seed < 5 * kRuns; ++seed) promoted += PromotedEarlyAfterOutage(seed);
  EXPECT_LE(promoted, 5);
}

}  // namespace
}  // namespace caxton::analysis
