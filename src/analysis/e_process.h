// SPDX-License-Identifier: Apache-2.0
//
// EProcess: tests "the mean of x is at most p0" as often as one likes (judgement.md, section 1),
// for observations x in [0, 1]: a Mixture (mixture.h) with, for each alternative p_j > p0,
//
//     factor_j(x) = 1 + (x - p0)(p_j - p0) / (p0 (1 - p0))
//
// Sources: Waudby-Smith & Ramdas, JRSS-B 2024 (betting); Shin, Ramdas & Rinaldo (e-detectors). A
// value; one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "mixture.h"

namespace caxton::analysis {

class EProcess {
 public:
  // 0 < p0 < 1, every alternative in (p0, 1).
  EProcess(double p0, const std::vector<double>& alternatives);

  // Takes x in [0, 1]; anything else, NaN included, is no observation and is ignored.
  void Add(double x);

  double E() const { return mixture_.E(); }
  // Natural logarithm of E after the last observation; before the first, E = 1.
  double LogE() const { return mixture_.LogE(); }
  int64_t n() const { return mixture_.n(); }

 private:
  double p0_;
  std::vector<double> slope_;  // (p_j - p0) / (p0 (1 - p0))
  Mixture mixture_;
};

// p0 * sqrt(2)^j < 0.99 for j = 1, 2, ..., and 0.99: for errors, where anything up to total failure
// may come.
std::vector<double> ErrorAlternatives(double p0);
// p0 * sqrt(2)^j < 0.99 for j = 1..7, and 0.99 where that is fewer than seven: for shares beyond a
// limit. 1 %: up to 11 %; 5 %: up to 57 %. For p0 = 50 %, p0 * 2^(j/8): 55 % to 92 %; with 71 % and
// more, a version whose steps are slow in 55 % of the cases would never be found out.
std::vector<double> ShareAlternatives(double p0);

}  // namespace caxton::analysis
