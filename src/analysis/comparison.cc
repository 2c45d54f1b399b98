// SPDX-License-Identifier: Apache-2.0
#include "comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "caxton/base/assert.h"

namespace caxton::analysis {
namespace {
constexpr int kRatios = 12;
constexpr double kLuck = 0.05;
// Beyond, products of factors are no longer numbers, and weights of parts per million no odds.
constexpr double kSmallestFactor = 1e-9;
constexpr double kLargestFactor = 1e12;
}  // namespace

Comparison::Comparison(double r0, Against against)
    : r0_(std::clamp(r0, kSmallestFactor, kLargestFactor)), mixture_(kRatios) {
  CAXTON_ASSERT(r0 > 0 && std::isfinite(r0), "a factor is above 0");
  double r = r0_;
  for (int i = 0; i < kRatios; ++i) {
    r = against == Against::kAtMost ? r * std::numbers::sqrt2 : r / std::numbers::sqrt2;
    ratios_.push_back(r);
  }
}

void Comparison::Add(const BadEvent& event) {
  const double w = event.weight;
  CAXTON_ASSERT(w > 0 && w < 1, "an event at 0 % or 100 % compares nothing");
  const double at_r0 = 1 - w + w * r0_;
  if (event.candidate) ++candidate_events_;
  mixture_.Add([&](size_t i) {
    const double whose = event.candidate ? ratios_[i] / r0_ : 1;
    return whose * at_r0 / (1 - w + w * ratios_[i]);
  });
}

double Comparison::LogFactor(size_t i, const BadEvent& event) const {
  const double w = event.weight;
  const double whose = event.candidate ? ratios_[i] / r0_ : 1;
  return std::log(whose * (1 - w + w * r0_) / (1 - w + w * ratios_[i]));
}

double Comparison::Growth(double w, double ratio) const {
  if (w <= 0 || w >= 1) return 0;
  const double share = w * ratio / (1 - w + w * ratio);
  double best = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < ratios_.size(); ++i) {
    best = std::max(best, share * LogFactor(i, {true, w}) + (1 - share) * LogFactor(i, {false, w}));
  }
  return best;
}

bool BeyondLuck(int64_t candidate_events, int64_t events, double expected) {
  if (candidate_events < 2 || expected <= 0 || expected >= 1) return false;
  const auto n = static_cast<double>(events);
  const double share = static_cast<double>(candidate_events) / n;
  if (share <= expected) return false;
  double divergence = share * std::log(share / expected);
  if (share < 1) divergence += (1 - share) * std::log((1 - share) / (1 - expected));
  return n * divergence > -std::log(kLuck);
}

}  // namespace caxton::analysis
