// SPDX-License-Identifier: Apache-2.0
//
// Mixture: the evidence that every sequential test of judgement.md keeps. For each alternative j
//
//     M_j <- (M_j + 1/(n(n+1))) * factor_j(x_n)      from M_j = 0, n = 1, 2, ...
//     E = mean_j M_j + 1/(n+1)
//
// where factor_j has mean <= 1 as long as nothing is wrong; then E reaches 1/alpha with probability
// alpha at most, however often one looks (Ville). The 1/(n(n+1)) terms let evidence start at any
// time. Kept in plain numbers, which costs a tenth of logarithms: the terms keep M from mattering
// below 1e-20, and it is held at 1e250, far beyond any threshold; a smaller E claims less, so that
// both are safe. A value; one thread at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace caxton::analysis {

class Mixture {
 public:
  explicit Mixture(size_t alternatives) : m_(alternatives, 0) {}

  template <typename Factor>
  void Add(const Factor& factor) {
    ++n_;
    const auto n = static_cast<double>(n_);
    const double start = 1 / (n * (n + 1));
    double sum = 0;
    for (size_t j = 0; j < m_.size(); ++j) {
      m_[j] = std::min((m_[j] + start) * factor(j), kLargest);
      sum += m_[j];
    }
    e_ = sum / static_cast<double>(m_.size()) + 1 / (n + 1);
  }

  double E() const { return e_; }  // 1 before the first observation
  double LogE() const { return std::log(e_); }
  int64_t n() const { return n_; }

 private:
  static constexpr double kLargest = 1e250;

  std::vector<double> m_;
  double e_ = 1;
  int64_t n_ = 0;
};

}  // namespace caxton::analysis
