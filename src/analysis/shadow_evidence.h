// SPDX-License-Identifier: Apache-2.0
//
// The statistics of a shadow. Values whose state is a handful of numbers, so that it can be carried
// over a restart. One thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "caxton/analysis/shadow.h"
#include "caxton/base/wire.h"

namespace caxton::analysis {

// ln E of the test "the second kind is at least as likely as the first" after `first` and `second`
// of each: bets of a fixed share of what one has on the next being of the first kind,
//     E = mean_j (1 + l_j)^first (1 - l_j)^second,  l_j = 1/8, 1/4, 1/2, 3/4, 15/16
// a mixture of martingales under a fair coin, so that it may be looked at at any time (Ville).
// Source: Waudby-Smith & Ramdas, JRSS-B 2024.
double CoinLogEvidence(int64_t first, int64_t second);

// "The mean of x is at most p0", with the formula and sources of e_process.h.
class ShareTest {
 public:
  // 0 < p0 < 1, every alternative in (p0, 1).
  ShareTest(double p0, std::vector<double> alternatives);
  void Add(double x);  // in [0, 1]
  double LogE() const;
  void Write(ByteWriter& out) const;
  void Read(ByteReader& in);

 private:
  double p0_;
  std::vector<double> alternatives_;
  std::vector<double> log_m_;
  int64_t n_ = 0;
};

// Mean and spread of ln(b/a) over pairs (Welford 1962).
class RatioSum {
 public:
  // Ignored unless both are above 0.
  void Add(double a, double b);
  ShadowRatio Estimate() const;
  void Write(ByteWriter& out) const;
  void Read(ByteReader& in);

 private:
  int64_t n_ = 0;
  double mean_ = 0;
  double m2_ = 0;
};

// The ratio R of the means of b and a over pairs, with the spread of what it leaves, b - R a: what
// `fuel_ratio` means everywhere. One message in fifty that costs a hundred times as much triples
// the bill, and hardly moves a mean of logarithms.
class TotalsRatio {
 public:
  // Ignored unless both are above 0.
  void Add(double a, double b);
  int64_t pairs() const { return n_; }
  double Mean() const;  // R; 1 where there is none
  // The interval is Cochran's for a ratio of means (Sampling Techniques, 1977, 6.3).
  ShadowRatio Estimate() const;
  // Below the true ratio at all times with probability 1 - alpha, in the limit: with sd that of
  // b - R a, the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas,
  // Annals of Statistics 2024,
  //     R - sd / mean a * sqrt(2 (n r + 1) / (n^2 r) ln(sqrt(n r + 1) / alpha)),  r = 0.03
  // which is tightest at some 400 pairs.
  double LowerBound(double alpha) const;
  void Write(ByteWriter& out) const;
  void Read(ByteReader& in);

 private:
  double Spread() const;  // sd(b - R a) / mean a
  int64_t n_ = 0;
  double a_ = 0, b_ = 0;             // sums
  double aa_ = 0, ab_ = 0, bb_ = 0;  // of the products
};

}  // namespace caxton::analysis
