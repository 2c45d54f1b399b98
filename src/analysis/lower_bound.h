// SPDX-License-Identifier: Apache-2.0
//
// The largest error rate that the evidence excludes: "at least this much, whenever one looks". One
// test like e_process.h for each rate of a fixed grid; a rate once excluded stays excluded. Shown
// to people, the verdict does not depend on it: good runs are therefore taken in bulk, before the
// next bad one, with the smallest of their starting terms for each, which claims less than the
// exact sum and costs nothing per good run. A value; one thread at a time.
#pragma once

#include <cstddef>
#include <vector>

namespace caxton::analysis {

class ErrorRateLowerBound {
 public:
  explicit ErrorRateLowerBound(double alpha);  // holds with probability 1 - alpha
  void Add(bool bad);
  // 0: none yet.
  double Value() const { return value_; }

 private:
  struct Rate {
    double p0;
    std::vector<double> on_bad, on_good;  // factors of the alternatives
    std::vector<double> log_on_good;
    std::vector<double> m;
    bool excluded = false;
  };

  void TakeGood();
  void TakeBad();

  double threshold_;
  std::vector<Rate> rates_;  // ascending
  double value_ = 0;
  double n_ = 0;     // taken
  double good_ = 0;  // not yet taken
};

}  // namespace caxton::analysis
