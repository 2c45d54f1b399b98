// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/testing/sim_world.h"

#include <gtest/gtest.h>

#include <string>

namespace caxton::testing {
namespace {

TEST(SimWorld, RunsInOrderOfDueTimeThenPosting) {
  SimWorld world;
  Executor* a = world.NewExecutor();
  Executor* b = world.NewExecutor();
  std::string order;
  a->PostAfter(20, [&] { order += '3'; });
  b->PostAfter(10, [&] { order += '1'; });
  a->PostAfter(10, [&] { order += '2'; });
  a->Post([&] { order += '0'; });
  world.RunFor(20);
  EXPECT_EQ(order, "0123");
  EXPECT_EQ(world.MonoNanos(), 20);
}

TEST(SimWorld, ClockJumpsToTheEventAndEndsWhereAsked) {
  SimWorld world(1000);
  int64_t seen = -1;
  world.NewExecutor()->PostAfter(7, [&] { seen = world.MonoNanos(); });
  world.RunFor(100);
  EXPECT_EQ(seen, 7);
  EXPECT_EQ(world.MonoNanos(), 100);
  EXPECT_EQ(world.WallNanos(), 1100);
}

TEST(SimWorld, AJumpOfTheWallClockMovesNothingElse) {
  SimWorld world(1000);
  int64_t due = -1;
  world.NewExecutor()->PostAfter(50, [&] { due = world.MonoNanos(); });
  world.RunFor(10);
  world.JumpWall(-500);
  EXPECT_EQ(world.WallNanos(), 510);
  EXPECT_EQ(world.MonoNanos(), 10);
  world.JumpWall(7'000);
  world.RunFor(90);
  EXPECT_EQ(due, 50);
  EXPECT_EQ(world.WallNanos(), 7'600);
}

TEST(SimWorld, NothingRunsInsidePost) {
  SimWorld world;
  bool ran = false;
  world.NewExecutor()->Post([&] { ran = true; });
  EXPECT_FALSE(ran);
  EXPECT_EQ(world.RunReady(), 1u);
  EXPECT_TRUE(ran);
}

TEST(SimWorld, CancelledTimersDoNotRun) {
  SimWorld world;
  Executor* strand = world.NewExecutor();
  bool ran = false;
  const TimerId id = strand->PostAfter(5, [&] { ran = true; });
  strand->Cancel(id);
  strand->Cancel(id);
  strand->Cancel(TimerId());
  world.RunFor(10);
  EXPECT_FALSE(ran);
}

TEST(SimWorld, CrashDropsOneStrandOnly) {
  SimWorld world;
  Executor* dies = world.NewExecutor();
  Executor* lives = world.NewExecutor();
  std::string order;
  dies->Post([&] { order += 'x'; });
  lives->Post([&] { order += 'y'; });
  world.Crash(dies);
  dies->Post([&] { order += 'z'; });
  world.RunReady();
  EXPECT_EQ(order, "yz");
}

TEST(SimWorld, RunUntilStopsAtTheLimit) {
  SimWorld world;
  Executor* strand = world.NewExecutor();
  int ticks = 0;
  std::function<void()> tick = [&] {
    ++ticks;
    strand->PostAfter(10, tick);
  };
  strand->Post(tick);
  EXPECT_TRUE(world.RunUntil([&] { return ticks == 4; }, 1000));
  EXPECT_EQ(world.MonoNanos(), 30);
  EXPECT_FALSE(world.RunUntil([] { return false; }, 25));
  EXPECT_EQ(ticks, 6);
}

}  // namespace
}  // namespace caxton::testing
