// SPDX-License-Identifier: Apache-2.0
//
// ConditionTest: one `rollback_on` condition on the candidate alone, watched run by run
// (judgement.md, section 1). Fed with the candidate's counted first runs (good or bad, never
// shared) in order; one thread at a time.
//
//   error_rate > p     p0 = p, x = 0 or 1 a run. > 0 % is a tripwire: the first failure. >= 100 %
//                      cannot be passed.
//   pNN_latency > L    x = the share of steps slower than L in each second with traffic, p0 = 1 -
//   NN %
//                      (one host stall in a minute must not fire).
//   cpu > X            the mean processor time of a second is at most X: x = what the second took,
//                      cut at kCpuCut X and divided by it, p0 = 1 / kCpuCut. A mean and not a share
//                      of seconds: with random arrivals every agent has busy seconds, and what a
//                      person limits is the load. Cut, so that a burst after a host stall weighs
//                      little. What a second took is spread over the time since the one with
//                      traffic before it, kCpuSpreadSeconds at most: a step of 3 s that ends in it
//                      has not used three processors.
//   memory > X         a tripwire, like error_rate > 0 %: an instance's memory never shrinks, so
//   that
//                      one that is larger after a run is a fact and not noise.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "caxton/model/deployment_spec.h"
#include "caxton/model/evidence.h"
#include "counts.h"

namespace caxton::analysis {

class ConditionTest {
 public:
  virtual ~ConditionTest() = default;

  virtual void Observe(const Observation& candidate_run) = 0;
  virtual void Tick(int64_t /*at_ms*/) {}
  virtual double E() const = 0;  // infinity: a tripwire was touched
  // The plain estimate of the metric, in the condition's unit.
  virtual double Estimate(const Counts& candidate) const = 0;
  // Section 3: is the plain estimate beyond the limit?
  virtual bool Beyond(const Counts& candidate) const = 0;
  // What to say beside the condition when it fires.
  virtual std::string Grounds(const Counts& candidate) const = 0;
};

// For every metric but error_ratio, fuel_ratio and differs: null for those.
std::unique_ptr<ConditionTest> MakeConditionTest(const Condition& condition);

// The place of a latency metric in Counts::slow, or kQuantiles.
size_t QuantileOf(MetricKind metric);

// A mean ratio is beyond its limit by more than what rounding makes of equal ones.
inline constexpr double kRounding = 1 + 1e-9;

// "2.5%", "149ms": three digits.
std::string PercentText(double share);
std::string MillisText(int64_t nanoseconds);

}  // namespace caxton::analysis
