// SPDX-License-Identifier: Apache-2.0
#include "lower_bound.h"

#include <algorithm>
#include <numbers>

#include "e_process.h"

namespace caxton::analysis {
namespace {
constexpr double kSmallestRate = 1e-4;
constexpr double kLargestRate = 0.95;
}  // namespace

ErrorRateLowerBound::ErrorRateLowerBound(double alpha, const std::vector<double>& limits)
    : threshold_(1 / alpha) {
  std::vector<double> grid = limits;
  for (double p = kSmallestRate; p < kLargestRate; p *= std::numbers::sqrt2) grid.push_back(p);
  std::sort(grid.begin(), grid.end());
  grid.erase(std::unique(grid.begin(), grid.end()), grid.end());
  for (double p0 : grid) {
    if (p0 <= 0) continue;
    Rate rate{.p0 = p0};
    for (double p : ErrorAlternatives(p0)) {
      rate.on_bad.push_back(p / p0);
      rate.on_good.push_back((1 - p) / (1 - p0));
    }
    rate.m.assign(rate.on_bad.size(), 0);
    rates_.push_back(std::move(rate));
  }
}

void ErrorRateLowerBound::Add(bool bad) {
  n_ += 1;
  const double start = 1 / (n_ * (n_ + 1));
  for (Rate& rate : rates_) {
    if (rate.excluded) continue;
    const std::vector<double>& factors = bad ? rate.on_bad : rate.on_good;
    double sum = 0;
    for (size_t j = 0; j < rate.m.size(); ++j) {
      rate.m[j] = (rate.m[j] + start) * factors[j];
      sum += rate.m[j];
    }
    // M is below threshold times the number of alternatives until then: no overflow; underflow to 0
    // is what a tiny M counts for beside `start`.
    rate.excluded = sum / static_cast<double>(rate.m.size()) + 1 / (n_ + 1) >= threshold_;
  }
}

double ErrorRateLowerBound::Value() const {
  double value = 0;
  for (const Rate& rate : rates_) {
    if (rate.excluded) value = rate.p0;
  }
  return value;
}

}  // namespace caxton::analysis
