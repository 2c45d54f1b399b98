// SPDX-License-Identifier: Apache-2.0
//
// Comparison: candidate against stable by bad events alone (judgement.md, section 2). Each key's
// first attributed bad event of the whole deployment is one observation: whose was it? At weight w
// and with errors r times as frequent on the candidate it is the candidate's with probability
// w r / (1 - w + w r), because the arm is drawn by a salted hash. Against "at most r0 times":
//
//     factor_r = (r/r0 if the candidate's, else 1) * (1 - w + w r0) / (1 - w + w r)
//
// for r = r0 * sqrt(2)^i, i = 1..12. Early promotion tests the reverse, "at least r0 times", with
// the same factors for r = r0 * sqrt(2)^-i (section 4). At w = 0 and w = 1 an event says nothing:
// it is not counted, nor must its key be marked as seen. Source: Lindon & Malek, NeurIPS 2022. A
// value; one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "mixture.h"

namespace caxton::analysis {

struct BadEvent {
  bool candidate = false;
  double weight = 0;  // the candidate's when it was routed, in (0, 1)
};

class Comparison {
 public:
  enum class Against : uint8_t { kAtMost, kAtLeast };
  Comparison(double r0, Against against);

  void Add(const BadEvent& event);

  double r0() const { return r0_; }
  double E() const { return mixture_.E(); }
  double LogE() const { return mixture_.LogE(); }
  int64_t events() const { return mixture_.n(); }
  int64_t candidate_events() const { return candidate_events_; }

  // How much LogE grows by an event at weight `w` if the candidate errs `ratio` times as often as
  // stable, once the best of the alternatives carries it; <= 0: it does not.
  double Growth(double w, double ratio) const;

 private:
  double LogFactor(size_t i, const BadEvent& event) const;

  double r0_;
  std::vector<double> ratios_;  // r
  Mixture mixture_;
  int64_t candidate_events_ = 0;
};

// True if that many of the candidate cannot be put down to luck where the ratio is `r0`: the plain
// estimate is above it and the chance of so many is below 5 % (Chernoff's bound on it). One event
// always can. `expected`
// is the mean share at r0 over the events.
bool BeyondLuck(int64_t candidate_events, int64_t events, double expected);

}  // namespace caxton::analysis
