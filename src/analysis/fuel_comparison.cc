// SPDX-License-Identifier: Apache-2.0
#include "fuel_comparison.h"

#include <cmath>
#include <limits>

namespace caxton::analysis {
namespace {
// The excess that the mixture expects, as a part of the limit.
constexpr double kExpectedExcess = 0.25;
constexpr uint64_t kArmDraw = 1'000'000;  // the arm is the hash modulo this; the group is not
}  // namespace

double FuelComparison::Side::EffectiveGroups() const {
  double squares = 0;
  for (double r : runs) squares += r * r;
  return squares > 0 ? all_runs * all_runs / squares : 0;
}

double FuelComparison::Side::VarianceOfMean() const {
  const double mean = Mean();
  double squares = 0;
  for (size_t g = 0; g < kFuelGroups; ++g) {
    const double residual = fuel[g] - mean * runs[g];
    squares += residual * residual;
  }
  const double groups = EffectiveGroups();
  return squares / (all_runs * all_runs) * groups / (groups - 1);
}

void FuelComparison::Add(const Observation& o) {
  if (o.verdict != RunVerdict::kGood) return;
  Side& side = o.arm == Arm::kCandidate ? candidate_ : stable_;
  const size_t group = (o.key_hash / kArmDraw) % kFuelGroups;
  const auto fuel = static_cast<double>(o.fuel);
  side.fuel[group] += fuel;
  side.all_fuel += fuel;
  side.runs[group] += 1;
  side.all_runs += 1;
  if (o.arm != Arm::kCandidate || --until_look_ > 0) return;
  until_look_ = kLookEvery;
  Look();
}

bool FuelComparison::Comparable() const {
  constexpr auto kRuns = static_cast<double>(kMinFuelRuns);
  return stable_.all_runs >= kRuns && candidate_.all_runs >= kRuns && stable_.all_fuel > 0 &&
         stable_.EffectiveGroups() >= kMinFuelGroups &&
         candidate_.EffectiveGroups() >= kMinFuelGroups;
}

double FuelComparison::Ratio() const {
  const double stable = stable_.Mean();
  return stable > 0 && candidate_.all_runs > 0 ? candidate_.Mean() / stable : 0;
}

void FuelComparison::Look() {
  log_e_ = 0;
  if (!Comparable()) return;
  const double expected = limit_ * stable_.Mean();
  const double excess = candidate_.Mean() - expected;
  if (excess <= 0) return;
  const double variance = candidate_.VarianceOfMean() + limit_ * limit_ * stable_.VarianceOfMean();
  if (variance <= 0) {  // every message costs the same
    log_e_ = std::numeric_limits<double>::infinity();
    return;
  }
  const double prior = kExpectedExcess * expected * kExpectedExcess * expected;
  const double times = prior / variance;
  log_e_ = excess * excess / variance * times / (2 * (1 + times)) - std::log1p(times) / 2;
}

}  // namespace caxton::analysis
