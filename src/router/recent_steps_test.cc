// SPDX-License-Identifier: Apache-2.0
#include "caxton/router/recent_steps.h"

#include <gtest/gtest.h>

namespace caxton::router {
namespace {

TEST(RecentSteps, NoStepsAreNoErrors) { EXPECT_EQ(RecentSteps().ErrorRate(0), 0); }

TEST(RecentSteps, CountsTheLastMinute) {
  RecentSteps steps;
  for (int i = 0; i < 3; ++i) steps.Note(true, 0);
  steps.Note(false, kRecentSlotNs - 1);
  EXPECT_EQ(steps.ErrorRate(kRecentSlotNs - 1), 0.25);
  constexpr int64_t kMinuteNs = kRecentSlotNs * static_cast<int64_t>(kRecentSlots);
  EXPECT_EQ(steps.ErrorRate(kMinuteNs - 1), 0.25) << "still within it";
  EXPECT_EQ(steps.ErrorRate(kMinuteNs), 0) << "forgotten, with nothing noted since";
}

TEST(RecentSteps, ASlotsTurnBeginsItAnew) {
  RecentSteps steps;
  steps.Note(false, 0);
  constexpr int64_t kMinuteNs = kRecentSlotNs * static_cast<int64_t>(kRecentSlots);
  steps.Note(true, kMinuteNs);  // the same slot, a turn later
  EXPECT_EQ(steps.ErrorRate(kMinuteNs), 0);
  steps.Note(false, kMinuteNs + kRecentSlotNs);
  EXPECT_EQ(steps.ErrorRate(kMinuteNs + kRecentSlotNs), 0.5) << "over all slots of the minute";
}

TEST(RecentSteps, AClockThatIsBehindSeesNothingOfTheFuture) {
  RecentSteps steps;
  steps.Note(false, 5 * kRecentSlotNs);
  EXPECT_EQ(steps.ErrorRate(0), 0);
}

}  // namespace
}  // namespace caxton::router
