// SPDX-License-Identifier: Apache-2.0
//
// FuelComparison: is the mean fuel of a good first run on the candidate more than k times stable's?
// Fuel itself has no noise, but the arms handle different keys, and a key may cost more than
// another. Keys are therefore put into kFuelGroups groups by hash, and the error of each arm's mean
// is taken from how the groups differ (ratio estimator, clusters: the unit that is drawn is the
// key). The evidence is Robbins' normal mixture over the excess, valid for large samples however
// often one looks (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, 2024: asymptotic confidence
// sequences). It says nothing until both arms have kMinFuelRuns good runs in kMinFuelGroups
// effective groups: with few keys nobody can tell a costly version from a costly key. A value; one
// thread at a time.
#pragma once

#include <array>
#include <cstdint>

#include "caxton/analysis/limits.h"
#include "caxton/model/evidence.h"

namespace caxton::analysis {

class FuelComparison {
 public:
  explicit FuelComparison(double limit) : limit_(limit) {}

  void Add(const Observation& o);  // good ones of both arms count
  // Looked at anew every kLookEvery good runs of the candidate.
  double LogE() const { return log_e_; }
  // Both arms have seen enough to compare.
  bool Comparable() const;
  double Ratio() const;  // 0: none yet

 private:
  static constexpr int64_t kLookEvery = 16;
  struct Side {
    std::array<double, kFuelGroups> fuel{}, runs{};
    double all_fuel = 0, all_runs = 0;
    double Mean() const { return all_runs > 0 ? all_fuel / all_runs : 0; }
    double EffectiveGroups() const;
    double VarianceOfMean() const;
  };
  void Look();

  double limit_;
  Side stable_, candidate_;
  int64_t until_look_ = kLookEvery;
  double log_e_ = 0;
};

}  // namespace caxton::analysis
