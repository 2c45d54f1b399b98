// SPDX-License-Identifier: Apache-2.0
#include "shadow_evidence.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "caxton/base/assert.h"
#include "e_process.h"

namespace caxton::analysis {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
constexpr std::array<double, 5> kBets = {0.125, 0.25, 0.5, 0.75, 0.9375};
constexpr double kNormal95 = 1.959963984540054;
constexpr double kTightness = 0.03;
constexpr int64_t kMostRead = int64_t{1} << 60;  // it is counted on from there
constexpr double kLargestLogRatio = 45;          // of two 64-bit numbers, rounded up

// log(exp(a) + exp(b)); -infinity stands for 0.
double LogAdd(double a, double b) {
  if (a < b) std::swap(a, b);
  if (b == kMinusInfinity) return a;
  return a + std::log1p(std::exp(b - a));
}
}  // namespace

double CoinLogEvidence(int64_t first, int64_t second) {
  double log_sum = kMinusInfinity;
  for (const double bet : kBets) {
    log_sum = LogAdd(log_sum, static_cast<double>(first) * std::log1p(bet) +
                                  static_cast<double>(second) * std::log1p(-bet));
  }
  return log_sum - std::log(static_cast<double>(kBets.size()));
}

ShareTest::ShareTest(double p0, std::vector<double> alternatives)
    : p0_(p0),
      alternatives_(std::move(alternatives)),
      log_m_(alternatives_.size(), kMinusInfinity) {
  CAXTON_ASSERT(p0 > 0 && p0 < 1, "a limit of 0 is no test but a tripwire");
  CAXTON_ASSERT(!alternatives_.empty(), "a test needs something to test against");
  for (double p : alternatives_) CAXTON_ASSERT(p > p0 && p < 1, "alternatives lie above the limit");
}

void ShareTest::Add(double x) {
  CAXTON_ASSERT(x >= 0 && x <= 1, "a share");
  ++n_;
  const auto n = static_cast<double>(n_);
  const double log_start = -std::log(n * (n + 1));
  for (size_t j = 0; j < alternatives_.size(); ++j) {
    const double factor = (x - p0_) * (alternatives_[j] - p0_) / (p0_ * (1 - p0_));
    log_m_[j] = LogAdd(log_m_[j], log_start) + std::log1p(factor);
  }
}

double ShareTest::LogE() const {
  double log_sum = kMinusInfinity;
  for (const double log_m : log_m_) log_sum = LogAdd(log_sum, log_m);
  return LogAdd(log_sum - std::log(static_cast<double>(log_m_.size())),
                -std::log(static_cast<double>(n_) + 1));
}

void ShareTest::Write(ByteWriter& out) const {
  out.I64(n_);
  out.U32(static_cast<uint32_t>(log_m_.size()));
  for (const double log_m : log_m_) out.F64(log_m);
}

void ShareTest::Read(ByteReader& in) {
  n_ = in.I64();
  if (n_ < 0 || n_ > kMostRead || in.U32() != log_m_.size()) in.Fail();
  for (double& log_m : log_m_) {
    log_m = in.F64();
    if (std::isnan(log_m) || log_m == -kMinusInfinity) in.Fail();
  }
}

void RatioSum::Add(double a, double b) {
  if (!(a > 0 && b > 0)) return;
  ++n_;
  const double x = std::log(b / a);
  const double before = x - mean_;
  mean_ += before / static_cast<double>(n_);
  m2_ += before * (x - mean_);
}

ShadowRatio RatioSum::Estimate() const {
  if (n_ == 0) return {};
  const auto n = static_cast<double>(n_);
  const double half = n_ < 2 ? 0 : kNormal95 * std::sqrt(m2_ / (n - 1)) / std::sqrt(n);
  return {.pairs = n_,
          .mean = std::exp(mean_),
          .low = std::exp(mean_ - half),
          .high = std::exp(mean_ + half)};
}

void RatioSum::Write(ByteWriter& out) const {
  out.I64(n_);
  out.F64(mean_);
  out.F64(m2_);
}

void RatioSum::Read(ByteReader& in) {
  n_ = in.I64();
  mean_ = in.F64();
  m2_ = in.F64();
  const double most = 4 * kLargestLogRatio * kLargestLogRatio * static_cast<double>(n_);
  const bool possible =
      n_ >= 0 && n_ <= kMostRead && std::abs(mean_) <= kLargestLogRatio && m2_ >= 0 && m2_ <= most;
  if (!possible) in.Fail();
}

void TotalsRatio::Add(double a, double b) {
  if (!(a > 0 && b > 0)) return;
  ++n_;
  a_ += a;
  b_ += b;
  aa_ += a * a;
  ab_ += a * b;
  bb_ += b * b;
}

double TotalsRatio::Mean() const { return n_ == 0 ? 1 : b_ / a_; }

double TotalsRatio::Spread() const {
  if (n_ < 2) return 0;
  const auto n = static_cast<double>(n_);
  const double ratio = Mean();
  // Rounding may leave it below 0 where b is R a throughout.
  const double left = std::max(0.0, bb_ - 2 * ratio * ab_ + ratio * ratio * aa_);
  return std::sqrt(left / (n - 1)) / (a_ / n);
}

ShadowRatio TotalsRatio::Estimate() const {
  if (n_ == 0) return {};
  const double half = kNormal95 * Spread() / std::sqrt(static_cast<double>(n_));
  return {.pairs = n_, .mean = Mean(), .low = std::max(0.0, Mean() - half), .high = Mean() + half};
}

double TotalsRatio::LowerBound(double alpha) const {
  if (n_ < 2) return 0;
  const auto n = static_cast<double>(n_);
  const double nr = n * kTightness;
  const double half =
      Spread() * std::sqrt(2 * (nr + 1) / (n * nr) * std::log(std::sqrt(nr + 1) / alpha));
  return std::max(0.0, Mean() - half);
}

void TotalsRatio::Write(ByteWriter& out) const {
  out.I64(n_);
  for (const double sum : {a_, b_, aa_, ab_, bb_}) out.F64(sum);
}

void TotalsRatio::Read(ByteReader& in) {
  n_ = in.I64();
  if (n_ < 0 || n_ > kMostRead) in.Fail();
  for (double* sum : {&a_, &b_, &aa_, &ab_, &bb_}) {
    *sum = in.F64();
    if (!std::isfinite(*sum) || *sum < 0 || (*sum > 0) != (n_ > 0)) in.Fail();
  }
}

}  // namespace caxton::analysis
