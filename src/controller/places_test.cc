// SPDX-License-Identifier: Apache-2.0
#include "places.h"

#include <gtest/gtest.h>

namespace caxton::controller {
namespace {

constexpr DeploymentId kA{1}, kB{2}, kC{3}, kD{4};

TEST(Places, BeyondTheLimitTheyWaitInTheirOrder) {
  Places places(2);
  EXPECT_TRUE(places.Take(kA));
  EXPECT_TRUE(places.Take(kB));
  EXPECT_FALSE(places.Take(kC));
  EXPECT_FALSE(places.Take(kD));
  EXPECT_EQ(places.PlaceInQueue(kA), 0u);
  EXPECT_EQ(places.PlaceInQueue(kC), 1u);
  EXPECT_EQ(places.PlaceInQueue(kD), 2u);
  EXPECT_EQ(places.TakeNext(), std::nullopt) << "both places are taken";
  places.Leave(kA);
  EXPECT_EQ(places.TakeNext(), kC);
  EXPECT_EQ(places.TakeNext(), std::nullopt);
  places.Leave(kB);
  places.Leave(kC);
  EXPECT_EQ(places.TakeNext(), kD);
  EXPECT_EQ(places.TakeNext(), std::nullopt) << "nobody waits";
}

TEST(Places, NobodyOvertakesTheQueue) {
  Places places(1);
  EXPECT_TRUE(places.Take(kA));
  EXPECT_FALSE(places.Take(kB));
  places.Leave(kA);
  EXPECT_FALSE(places.Take(kC)) << "a place is free, but kB waits for it";
  EXPECT_EQ(places.TakeNext(), kB);
}

TEST(Places, WhoAsksAgainIsToldTheSame) {
  Places places(1);
  EXPECT_TRUE(places.Take(kA));
  EXPECT_FALSE(places.Take(kB));
  EXPECT_TRUE(places.Take(kA));
  EXPECT_FALSE(places.Take(kB));
  EXPECT_FALSE(places.Take(kC));
  EXPECT_EQ(places.PlaceInQueue(kC), 2u) << "kB waits once";
}

TEST(Places, WhoLeavesTheQueueLeavesItToTheOthers) {
  Places places(1);
  EXPECT_TRUE(places.Take(kA));
  EXPECT_FALSE(places.Take(kB));
  EXPECT_FALSE(places.Take(kC));
  places.Leave(kB);
  places.Leave(kD);  // unknown
  EXPECT_EQ(places.PlaceInQueue(kC), 1u);
  places.Leave(kA);
  EXPECT_EQ(places.TakeNext(), kC);
}

TEST(Places, WhatWasUnderWayGoesOnThoughThereAreFewerNow) {
  Places places(1);
  places.Occupy(kA);
  places.Occupy(kB);
  EXPECT_FALSE(places.Take(kC));
  places.Leave(kA);
  EXPECT_EQ(places.TakeNext(), std::nullopt);
  places.Leave(kB);
  EXPECT_EQ(places.TakeNext(), kC);
}

}  // namespace
}  // namespace caxton::controller
