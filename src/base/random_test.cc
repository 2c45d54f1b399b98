// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/random.h"

#include <gtest/gtest.h>

#include <array>

namespace caxton {
namespace {

// First outputs of SplitMix64 from seed 1234567 (Vigna's reference implementation).
TEST(SeededRandom, IsSplitMix64) {
  SeededRandom random(1234567);
  EXPECT_EQ(random.Next64(), 6457827717110365317u);
  EXPECT_EQ(random.Next64(), 3203168211198807973u);
  EXPECT_EQ(random.Next64(), 9817491932198370423u);
}

TEST(SeededRandom, SameSeedSameBytes) {
  std::array<uint8_t, 13> a{}, b{};
  SeededRandom(5).Fill(a);
  SeededRandom(5).Fill(b);
  EXPECT_EQ(a, b);
  SeededRandom(6).Fill(b);
  EXPECT_NE(a, b);
}

TEST(RandomSource, BelowStaysBelowAndReachesAll) {
  SeededRandom random(1);
  std::array<int, 5> seen{};
  for (int i = 0; i < 1000; ++i) ++seen[random.Below(5)];
  for (int count : seen) EXPECT_GT(count, 100);
  EXPECT_EQ(random.Below(1), 0u);
}

TEST(OsRandom, FillsEveryLength) {
  OsRandom random;
  std::array<uint8_t, 64> a{}, b{};
  random.Fill(a);
  random.Fill(b);
  EXPECT_NE(a, b);
  random.Fill({});
}

}  // namespace
}  // namespace caxton
