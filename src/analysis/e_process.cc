// SPDX-License-Identifier: Apache-2.0
#include "e_process.h"

#include <cmath>
#include <numbers>

#include "caxton/base/assert.h"

namespace caxton::analysis {
namespace {
constexpr double kLargestAlternative = 0.99;
constexpr size_t kShareAlternatives = 7;
}  // namespace

EProcess::EProcess(double p0, const std::vector<double>& alternatives)
    : p0_(p0), mixture_(alternatives.size()) {
  CAXTON_ASSERT(p0 > 0 && p0 < 1, "a limit of 0 is no test but a tripwire");
  CAXTON_ASSERT(!alternatives.empty(), "a test needs something to test against");
  for (double p : alternatives) {
    CAXTON_ASSERT(p > p0 && p < 1, "alternatives lie above the limit");
    slope_.push_back((p - p0) / (p0 * (1 - p0)));
  }
}

void EProcess::Add(double x) {
  if (!(x >= 0 && x <= 1)) return;
  const double distance = x - p0_;
  mixture_.Add([this, distance](size_t j) { return 1 + distance * slope_[j]; });
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

std::vector<double> ShareAlternatives(double p0) {
  std::vector<double> alternatives;
  constexpr double kFineAbove = 0.35;  // three steps of sqrt(2) below 0.99
  const double step = p0 > kFineAbove ? std::exp2(1.0 / 8) : std::numbers::sqrt2;
  double p = p0 * step;
  for (size_t j = 0; j < kShareAlternatives && p < kLargestAlternative; ++j) {
    alternatives.push_back(p);
    p *= step;
  }
  if (alternatives.size() < kShareAlternatives) alternatives.push_back(kLargestAlternative);
  return alternatives;
}

}  // namespace caxton::analysis
