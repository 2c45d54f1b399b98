// SPDX-License-Identifier: Apache-2.0
//
// The largest error rate that the evidence excludes: "at least this much, whenever one looks". One
// e-process of e_process.h for each rate of a fixed grid; a rate once excluded stays excluded.
// Shown to people; the verdict does not depend on it, so that it is kept in plain numbers instead
// of logarithms (25 times cheaper), within a range where both say the same. A value; one thread at
// a time.
#pragma once

#include <cstddef>
#include <vector>

namespace caxton::analysis {

class ErrorRateLowerBound {
 public:
  // Holds with probability 1 - alpha. `limits` are rates that must be among the grid.
  ErrorRateLowerBound(double alpha, const std::vector<double>& limits);
  void Add(bool bad);
  // 0: none yet.
  double Value() const;

 private:
  struct Rate {
    double p0;
    std::vector<double> on_bad, on_good;  // factors of the alternatives
    std::vector<double> m;
    bool excluded = false;
  };

  double threshold_;
  std::vector<Rate> rates_;  // ascending
  double n_ = 0;
};

}  // namespace caxton::analysis
