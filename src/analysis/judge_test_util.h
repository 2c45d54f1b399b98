// SPDX-License-Identifier: Apache-2.0
//
// What the judge's tests share: observations, and judges of small plans.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "caxton/analysis/judge.h"
#include "caxton/base/random.h"

namespace caxton::analysis {

inline constexpr int64_t kMs = 1'000'000;
inline const Condition kErrors1{MetricKind::kErrorRate, 0.01};
inline const Condition kP99At100{MetricKind::kP99Latency, 100.0 * kMs};

inline Observation FirstRun(bool bad, int64_t at_ms = 0, int64_t latency_ns = kMs) {
  Observation o;
  o.arm = Arm::kCandidate;
  o.verdict = bad ? RunVerdict::kBad : RunVerdict::kGood;
  o.weight_ppm = 50'000;
  o.at_ms = at_ms;
  o.latency_ns = latency_ns;
  return o;
}
inline std::unique_ptr<Judge> Thresholds(std::vector<Condition> conditions) {
  deployment::DeploymentPlan plan;
  plan.conditions = std::move(conditions);
  return MakeJudge(plan);
}
inline deployment::StagePlan Stage(int64_t min_samples = 100) {
  return {50'000, 60'000 * kMs, min_samples, false};
}

inline bool Chance(SeededRandom& random, double p) {
  return static_cast<double>(random.Next64() >> 11) * 0x1.0p-53 < p;
}

inline deployment::DeploymentPlan Compared(std::vector<Condition> conditions = {}) {
  deployment::DeploymentPlan plan;
  plan.strategy = Strategy::kCanary;
  plan.conditions = std::move(conditions);
  plan.compare_errors = true;
  return plan;
}
inline Observation BadOf(Arm arm, uint64_t key, uint32_t weight_ppm = 50'000) {
  Observation o = FirstRun(true);
  o.arm = arm;
  o.key_hash = key;
  o.weight_ppm = weight_ppm;
  return o;
}

}  // namespace caxton::analysis
