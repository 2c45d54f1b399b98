// SPDX-License-Identifier: Apache-2.0
#include "lower_bound.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace caxton::analysis {
namespace {
constexpr double kSmallestRate = 1e-4;
constexpr double kLargestRate = 0.95;
constexpr double kLargestAlternative = 0.99;
// Good runs are taken at the latest when they are this part of all: their starting terms then
// differ by a quarter at most.
constexpr double kBulkPart = 0.125;
}  // namespace

ErrorRateLowerBound::ErrorRateLowerBound(double alpha) : threshold_(1 / alpha) {
  for (double p0 = kSmallestRate; p0 < kLargestRate; p0 *= std::numbers::sqrt2) {
    Rate rate{.p0 = p0};
    const auto add = [&rate, p0](double p) {
      rate.on_bad.push_back(p / p0);
      rate.on_good.push_back((1 - p) / (1 - p0));
      rate.log_on_good.push_back(std::log(rate.on_good.back()));
    };
    for (double p = 2 * p0; p < kLargestAlternative; p *= 2) add(p);
    add(kLargestAlternative);
    rate.m.assign(rate.on_bad.size(), 0);
    rates_.push_back(std::move(rate));
  }
}

void ErrorRateLowerBound::Add(bool bad) {
  if (bad) {
    TakeGood();
    TakeBad();
  } else {
    good_ += 1;
    if (good_ >= kBulkPart * n_) TakeGood();
  }
}

// g good runs: M f^g + sum over i of start_i f^(g-i+1), where start_i >= the last of them.
void ErrorRateLowerBound::TakeGood() {
  if (good_ == 0) return;
  n_ += good_;
  const double start = 1 / (n_ * (n_ + 1));
  for (Rate& rate : rates_) {
    if (rate.excluded) continue;
    for (size_t j = 0; j < rate.m.size(); ++j) {
      const double f = rate.on_good[j];
      const double all = good_ == 1 ? f : std::exp(good_ * rate.log_on_good[j]);
      rate.m[j] = rate.m[j] * all + start * f * (1 - all) / (1 - f);
    }
  }
  good_ = 0;
}

// Evidence grows by bad runs only, so that this is the time to look.
void ErrorRateLowerBound::TakeBad() {
  n_ += 1;
  const double start = 1 / (n_ * (n_ + 1));
  for (Rate& rate : rates_) {
    if (rate.excluded) continue;
    double sum = 0;
    for (size_t j = 0; j < rate.m.size(); ++j) {
      rate.m[j] = (rate.m[j] + start) * rate.on_bad[j];
      sum += rate.m[j];
    }
    // Until then M is below the threshold times the number of alternatives: no overflow.
    rate.excluded = sum / static_cast<double>(rate.m.size()) + 1 / (n_ + 1) >= threshold_;
    if (rate.excluded) value_ = std::max(value_, rate.p0);
  }
}

}  // namespace caxton::analysis
