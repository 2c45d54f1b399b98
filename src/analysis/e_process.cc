// SPDX-License-Identifier: Apache-2.0
#include "e_process.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "caxton/base/assert.h"

namespace caxton::analysis {
namespace {
constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
constexpr double kLargestAlternative = 0.99;
constexpr int kSlowAlternatives = 7;
}  // namespace

double LogAdd(double a, double b) {
  if (a < b) std::swap(a, b);
  if (b == kMinusInfinity) return a;
  return a + std::log1p(std::exp(b - a));
}

EProcess::EProcess(double p0, std::vector<double> alternatives)
    : p0_(p0),
      alternatives_(std::move(alternatives)),
      log_m_(alternatives_.size(), kMinusInfinity) {
  CAXTON_ASSERT(p0 > 0 && p0 < 1, "a limit of 0 is no test but a tripwire");
  CAXTON_ASSERT(!alternatives_.empty(), "a test needs something to test against");
  for (double p : alternatives_) CAXTON_ASSERT(p > p0 && p < 1, "alternatives lie above the limit");
}

void EProcess::Add(double x) {
  if (!(x >= 0 && x <= 1)) return;
  ++n_;
  const auto n = static_cast<double>(n_);
  const double log_start = -std::log(n * (n + 1));
  double log_sum = kMinusInfinity;
  for (size_t j = 0; j < alternatives_.size(); ++j) {
    const double factor = (x - p0_) * (alternatives_[j] - p0_) / (p0_ * (1 - p0_));
    log_m_[j] = LogAdd(log_m_[j], log_start) + std::log1p(factor);
    log_sum = LogAdd(log_sum, log_m_[j]);
  }
  const double log_mean = log_sum - std::log(static_cast<double>(alternatives_.size()));
  log_e_ = LogAdd(log_mean, -std::log(n + 1));
}

std::vector<double> ErrorAlternatives(double p0) {
  std::vector<double> alternatives;
  for (double p = p0 * std::numbers::sqrt2; p < kLargestAlternative; p *= std::numbers::sqrt2) {
    alternatives.push_back(p);
  }
  // A limit of 99 % or more leaves only what is above it.
  alternatives.push_back(p0 < kLargestAlternative ? kLargestAlternative : (1 + p0) / 2);
  return alternatives;
}

std::vector<double> SlowAlternatives(double p0) {
  std::vector<double> alternatives;
  double p = p0;
  for (int j = 1; j <= kSlowAlternatives; ++j) {
    p *= std::numbers::sqrt2;
    alternatives.push_back(p);
  }
  return alternatives;
}

}  // namespace caxton::analysis
