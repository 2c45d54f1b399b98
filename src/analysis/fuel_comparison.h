// SPDX-License-Identifier: Apache-2.0
//
// FuelComparison: is the mean fuel of a good first run on the candidate more than k times stable's?
// Fuel itself has no noise, but the arms handle different messages, so two things must not be taken
// for a costly version:
//   * a costly key. Keys are put into kFuelGroups groups by hash, and the error of each arm's mean
//     is taken from how the groups differ (ratio estimator, clusters: the unit that is drawn is the
//     key).
//   * a costly hour. As the weights rise, the candidate has most of its runs late and stable early.
//     Means are therefore compared at the same weight only, where both arms have the same share of
//     every second, and the excesses are added up.
// The evidence is Robbins' normal mixture over excesses of several sizes, valid for large samples
// however often one looks (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, 2024: asymptotic
// confidence sequences). It says nothing until both arms have kMinFuelRuns good runs in
// kMinFuelGroups effective groups: with few keys nobody can tell a costly version from a costly
// key. A value; one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "caxton/analysis/limits.h"
#include "caxton/model/evidence.h"

namespace caxton::analysis {

class FuelComparison {
 public:
  explicit FuelComparison(double limit) : limit_(limit) {}

  void Add(const Observation& o);  // good ones of both arms, while both have traffic, count
  // Looked at anew every kLookEvery good runs of the candidate.
  double LogE() const { return log_e_; }
  double Ratio() const;  // 0: none yet
  // Section 3: the excess at this weight cannot be put down to luck (one-sided, 5 %).
  bool BeyondLuckAt(uint32_t weight_ppm) const;

 private:
  static constexpr int64_t kLookEvery = 16;
  using Groups = std::array<double, kFuelGroups>;
  struct Side {
    Groups fuel{}, runs{};
    double all_fuel = 0, all_runs = 0;
    double Mean() const { return all_fuel / all_runs; }
  };
  struct Weight {
    uint32_t ppm = 0;
    Side stable, candidate;
  };
  // The means over some weights, each counted as its arms' runs let it be known.
  struct Sum {
    bool comparable = false;  // both arms have seen enough
    double candidate = 0, stable = 0;
    double variance = 0;  // of candidate - limit * stable
  };

  Weight* At(uint32_t weight_ppm);
  // Of one weight, or of all.
  Sum Compare(const Weight* only) const;
  void Look();

  double limit_;
  std::vector<Weight> weights_;  // kMaxWeights at most
  size_t last_ = 0;              // the weight seen last
  int64_t until_look_ = kLookEvery;
  double log_e_ = 0;
};

}  // namespace caxton::analysis
