// SPDX-License-Identifier: Apache-2.0
#include "fuel_comparison.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "caxton/model/limits.h"

namespace caxton::analysis {
namespace {
// The excesses that the mixture expects, as parts of the limit. A version that is dear for a few
// messages is so by far, and its mean is known badly: one that expects little would never see it.
constexpr double kExpectedExcess[] = {0.25, 1, 4, 16, 64, 256};
constexpr uint64_t kArmDraw = 1'000'000;  // the arm is the hash modulo this; the group is not
constexpr double kLuckErrors = 1.645;     // standard errors; more has a chance of 5 %

// One arm over several weights.
struct Pooled {
  std::array<double, kFuelGroups> runs{}, residual{};
  double all_runs = 0;

  // How many groups of the same size would be as uneven.
  double EffectiveGroups() const {
    double squares = 0;
    for (double r : runs) squares += r * r;
    return squares > 0 ? all_runs * all_runs / squares : 0;
  }
  double Variance() const {
    double squares = 0;
    for (double r : residual) squares += r * r;
    const double groups = EffectiveGroups();
    return squares * groups / (groups - 1);
  }
  bool Enough() const {
    return all_runs >= static_cast<double>(kMinFuelRuns) && EffectiveGroups() >= kMinFuelGroups;
  }
};
}  // namespace

// Null beyond kMaxWeights, which no plan has.
FuelComparison::Weight* FuelComparison::At(uint32_t weight_ppm) {
  if (last_ < weights_.size() && weights_[last_].ppm == weight_ppm) return &weights_[last_];
  const auto it = std::find_if(weights_.begin(), weights_.end(),
                               [weight_ppm](const Weight& w) { return w.ppm == weight_ppm; });
  if (it == weights_.end()) {
    if (weights_.size() >= kMaxWeights) return nullptr;
    weights_.push_back({.ppm = weight_ppm});
    last_ = weights_.size() - 1;
  } else {
    last_ = static_cast<size_t>(it - weights_.begin());
  }
  return &weights_[last_];
}

void FuelComparison::Add(const Observation& o) {
  if (o.verdict != RunVerdict::kGood) return;
  if (o.weight_ppm == 0 || o.weight_ppm >= kFullWeightPpm) return;  // nothing to compare with
  Weight* weight = At(o.weight_ppm);
  if (weight == nullptr) return;
  Side& side = o.arm == Arm::kCandidate ? weight->candidate : weight->stable;
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

FuelComparison::Sum FuelComparison::Compare(const Weight* only) const {
  Sum sum;
  Pooled candidate, stable;
  double parts = 0;
  // A key keeps its arm at every weight, so the groups' residuals are added before they are
  // squared.
  const auto add = [](const Side& side, double part, Pooled* arm) {
    arm->all_runs += side.all_runs;
    for (size_t g = 0; g < kFuelGroups; ++g) {
      arm->runs[g] += side.runs[g];
      arm->residual[g] += part * (side.fuel[g] - side.Mean() * side.runs[g]) / side.all_runs;
    }
  };
  for (const Weight& w : weights_) {
    if (only != nullptr && only != &w) continue;
    const double runs_c = w.candidate.all_runs;
    const double runs_s = w.stable.all_runs;
    if (runs_c == 0 || runs_s == 0) continue;
    const double part = runs_c * runs_s / (runs_c + runs_s);
    parts += part;
    sum.candidate += part * w.candidate.Mean();
    sum.stable += part * w.stable.Mean();
    add(w.candidate, part, &candidate);
    add(w.stable, part, &stable);
  }
  if (parts == 0) return sum;
  sum.candidate /= parts;
  sum.stable /= parts;
  sum.comparable = sum.stable > 0 && candidate.Enough() && stable.Enough();
  if (sum.comparable) {
    sum.variance = (candidate.Variance() + limit_ * limit_ * stable.Variance()) / (parts * parts);
  }
  return sum;
}

double FuelComparison::Ratio() const {
  const Sum sum = Compare(nullptr);
  return sum.stable > 0 ? sum.candidate / sum.stable : 0;
}

bool FuelComparison::BeyondLuckAt(uint32_t weight_ppm) const {
  for (const Weight& w : weights_) {
    if (w.ppm != weight_ppm) continue;
    const Sum sum = Compare(&w);
    return sum.comparable &&
           sum.candidate - limit_ * sum.stable > kLuckErrors * std::sqrt(sum.variance);
  }
  return false;
}

void FuelComparison::Look() {
  log_e_ = 0;
  const Sum sum = Compare(nullptr);
  if (!sum.comparable) return;
  const double expected = limit_ * sum.stable;
  const double excess = sum.candidate - expected;
  if (excess <= 0) return;
  if (sum.variance <= 0) {  // every message costs the same
    log_e_ = std::numeric_limits<double>::infinity();
    return;
  }
  // The mean of evidence is evidence.
  std::array<double, std::size(kExpectedExcess)> logs;
  for (size_t i = 0; i < logs.size(); ++i) {
    const double prior = kExpectedExcess[i] * expected;
    const double times = prior * prior / sum.variance;
    logs[i] = excess * excess / sum.variance * times / (2 * (1 + times)) - std::log1p(times) / 2;
  }
  const double largest = *std::max_element(logs.begin(), logs.end());
  double mean = 0;
  for (double log : logs) mean += std::exp(log - largest) / static_cast<double>(logs.size());
  log_e_ = largest + std::log(mean);
}

}  // namespace caxton::analysis
