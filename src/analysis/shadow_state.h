// SPDX-License-Identifier: Apache-2.0
//
// What a ShadowComparison keeps; for its two source files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "caxton/analysis/shadow.h"
#include "shadow_diff.h"
#include "shadow_evidence.h"

namespace caxton::analysis {

struct RatioSums {
  RatioSum latency, cpu, memory;
  TotalsRatio fuel;
  void Add(const MirrorSide& live, const MirrorSide& other);
};

// One condition of fail_on.
struct ShadowTest {
  Condition condition;
  std::optional<ShareTest> share;  // of `differs`; none for > 0% without a secondary: a tripwire
};

struct ShadowComparison::State {
  explicit State(const deployment::DeploymentPlan& plan);

  // `path`, or kOtherPlaces where there is no room for one more.
  std::string PlaceFor(const std::string& path);
  void CountPlaces(const MirroredStep& step, const std::vector<Difference>& shadow,
                   const std::vector<Difference>& secondary);
  void FeedTests(bool shadow_only, bool secondary_only);
  bool Fires(const ShadowTest& test) const;
  // By the plain estimate.
  bool Beyond(const ShadowTest& test) const;
  double DifferingShare() const;
  deployment::Verdict Explain(const ShadowTest& test) const;
  std::string CountsText() const;

  // Of the plan.
  deployment::ShadowCompare compare;
  bool has_secondary = false;
  int64_t min_samples = 1;
  double alpha = kShadowAlpha;  // of one test

  int64_t equal = 0, noisy = 0, differing = 0, secondary_differing = 0, dropped = 0, lost = 0;
  int64_t compared() const { return equal + noisy + differing; }
  std::map<std::string, ShadowPlace, std::less<>> places;
  RatioSums to_live, secondary_to_live;
  std::vector<ShadowTest> tests;
  std::optional<deployment::Verdict> fired;
};

}  // namespace caxton::analysis
