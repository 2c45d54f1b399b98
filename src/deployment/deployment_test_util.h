// SPDX-License-Identifier: Apache-2.0
//
// What the tests of this module share: a deployment, and ways to look at transitions.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/deployment/state_machine.h"

namespace caxton::deployment {

inline constexpr int64_t kTestSecond = 1'000'000'000;
inline constexpr int64_t kTestStage = 60 * kTestSecond;

// A canary of greeter@7 with stages of 5 % and 25 %; stable 0: the first deployment.
inline DeploymentStatus Fresh(uint32_t stable = 6) {
  DeploymentStatus s;
  s.id = DeploymentId(17);
  s.agent = "greeter";
  s.candidate = {AgentId(1), RevisionNumber(7)};
  if (stable != 0) s.stable = {AgentId(1), RevisionNumber(stable)};
  s.plan.strategy = Strategy::kCanary;
  s.plan.cleanup_ns = 300 * kTestSecond;
  if (stable != 0) {
    s.plan.stages = {{50'000, kTestStage, 100, false}, {250'000, kTestStage, 100, false}};
    s.plan.conditions = {{MetricKind::kErrorRate, 0.01}};
  }
  return s;
}

inline StageReport Passed() { return {true, true, "passed"}; }
inline StageReport TooFew() { return {false, true, "too few"}; }

inline DeploymentStatus After(DeploymentStatus status, const std::vector<Event>& events) {
  for (const Event& event : events) {
    auto transition = Apply(status, event, 1);
    EXPECT_TRUE(transition.ok()) << EventName(event) << ": " << transition.status();
    if (transition.ok()) status = transition->status;
  }
  return status;
}

template <typename E>
bool Has(const Transition& t) {
  for (const Effect& effect : t.effects) {
    if (std::holds_alternative<E>(effect)) return true;
  }
  return false;
}

template <typename E>
E Get(const Transition& t) {
  for (const Effect& effect : t.effects) {
    if (const E* e = std::get_if<E>(&effect)) return *e;
  }
  ADD_FAILURE() << "no such effect";
  return {};
}

inline std::string Names(const Transition& t) {
  std::string names;
  for (const Effect& effect : t.effects) {
    StrAppend(&names, names.empty() ? "" : " ", EffectName(effect));
  }
  return names;
}

}  // namespace caxton::deployment
