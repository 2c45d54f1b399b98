// SPDX-License-Identifier: Apache-2.0
#include "commit_times.h"

#include <gtest/gtest.h>

namespace caxton::server {
namespace {

TEST(CommitWindow, ShowsTheLatestOnes) {
  CommitWindow window(100);
  EXPECT_EQ(window.Times().count, 0U);
  window.Add(7);
  EXPECT_EQ(window.Times().count, 1U);
  EXPECT_EQ(window.Times().p50_ns, 7);
  EXPECT_EQ(window.Times().p99_ns, 7);
  for (int64_t i = 1; i <= 250; ++i) window.Add(i);
  // 151 to 250 are left.
  EXPECT_EQ(window.Times().count, 100U);
  EXPECT_EQ(window.Times().p50_ns, 200);
  EXPECT_EQ(window.Times().p99_ns, 249);
}

}  // namespace
}  // namespace caxton::server
