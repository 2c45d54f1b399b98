// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "convert.h"

namespace caxton::api {
namespace {

controller::DeploymentView Canary(uint32_t stage) {
  controller::DeploymentView view;
  view.status.plan.strategy = Strategy::kCanary;
  view.status.plan.stages = {{.weight_ppm = 50'000}, {.weight_ppm = 800'000}};
  view.status.state = deployment::DeploymentState::kDeploying;
  view.status.prepared = true;
  view.status.stage = stage;
  view.numbers.emplace();
  view.numbers->candidate.runs = 1000;
  view.numbers->stable.runs = 3000;
  view.numbers->by_weight = {{.weight_ppm = 50'000, .candidate = 200, .all = 3000},
                             {.weight_ppm = 800'000, .candidate = 800, .all = 1000}};
  return view;
}

double Observed(const controller::DeploymentView& view) {
  v1::Deployment out;
  ToWire(view, &out);
  return out.observed_percent();
}

TEST(Convert, TheObservedShareIsThatOfTheStage) {
  EXPECT_DOUBLE_EQ(Observed(Canary(0)), 100.0 * 200 / 3000);
  EXPECT_DOUBLE_EQ(Observed(Canary(1)), 80);
}

// 5 keys at 5 %: none of them may be the candidate's. Shown beside the configured share.
TEST(Convert, TheObservedShareOfFewKeysMayBeNone) {
  controller::DeploymentView view = Canary(0);
  view.numbers->by_weight = {{.weight_ppm = 50'000, .candidate = 0, .all = 5000}};
  v1::Deployment out;
  ToWire(view, &out);
  EXPECT_DOUBLE_EQ(out.weight_percent(), 5);
  EXPECT_DOUBLE_EQ(out.observed_percent(), 0);
  view.numbers->by_weight.clear();
  EXPECT_DOUBLE_EQ(Observed(view), 0) << "nothing was routed yet";
}

}  // namespace
}  // namespace caxton::api
