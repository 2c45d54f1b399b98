// SPDX-License-Identifier: Apache-2.0
//
// EProcess: tests "the mean of x is at most p0" as often as one likes (judgement.md, section 1).
// For observations x in [0, 1] it keeps, for each alternative p_j > p0,
//
//     M_j <- (M_j + 1/(n(n+1))) * (1 + (x - p0)(p_j - p0) / (p0 (1 - p0)))     from M_j = 0, n = 1,
//     2, ... E = mean_j M_j + 1/(n+1)
//
// and under p0 the chance that E ever reaches 1/alpha is at most alpha (Ville). The 1/(n(n+1))
// terms let evidence start at any time. All in logarithms: M_j grows and shrinks by hundreds of
// orders of magnitude. Sources: Waudby-Smith & Ramdas, JRSS-B 2024 (betting); Shin, Ramdas &
// Rinaldo (e-detectors). A value; one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

namespace caxton::analysis {

class EProcess {
 public:
  // 0 < p0 < 1, every alternative in (p0, 1).
  EProcess(double p0, std::vector<double> alternatives);

  // Takes x in [0, 1]; anything else, NaN included, is no observation and is ignored.
  void Add(double x);

  // Natural logarithm of E after the last observation; before the first, E = 1.
  double LogE() const { return log_e_; }
  int64_t n() const { return n_; }

 private:
  double p0_;
  std::vector<double> alternatives_;
  std::vector<double> log_m_;
  double log_e_ = 0;
  int64_t n_ = 0;
};

// p0 * sqrt(2)^j < 0.99 for j = 1, 2, ..., and 0.99: for errors, where anything up to total failure
// may come.
std::vector<double> ErrorAlternatives(double p0);
// p0 * sqrt(2)^j for j = 1..7: for the share of slow steps a second.
std::vector<double> SlowAlternatives(double p0);

// log(exp(a) + exp(b)); -infinity stands for 0.
double LogAdd(double a, double b);

}  // namespace caxton::analysis
