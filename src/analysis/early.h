// SPDX-License-Identifier: Apache-2.0
//
// EarlyPromotion: evidence that the candidate errs less than kEarlyRatio times as often as stable
// (judgement.md, section 4): the mirror image of the comparison, and a forecast of when it
// suffices. A value; one thread at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "caxton/analysis/limits.h"
#include "comparison.h"

namespace caxton::analysis {

class EarlyPromotion {
 public:
  explicit EarlyPromotion(double alpha)
      : test_(kEarlyRatio, Comparison::Against::kAtLeast), log_threshold_(-std::log(alpha)) {}

  void Add(const BadEvent& event) { test_.Add(event); }
  bool Suffices() const { return test_.LogE() >= log_threshold_; }
  double LogE() const { return test_.LogE(); }
  double log_threshold() const { return log_threshold_; }
  int64_t events() const { return test_.events(); }
  int64_t candidate_events() const { return test_.candidate_events(); }

  // Bad events still needed at weight `w` if the candidate is as good as stable; 0: unknown.
  double EventsNeeded(double w) const {
    const double growth = test_.Growth(w, 1);
    if (growth <= 0) return 0;
    // What exists carries on; a new start pays for its starting term.
    return std::ceil(std::max(log_threshold_ - test_.LogE(), 0.0) / growth);
  }

 private:
  Comparison test_;
  double log_threshold_;
};

}  // namespace caxton::analysis
