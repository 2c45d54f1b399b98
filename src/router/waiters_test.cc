// SPDX-License-Identifier: Apache-2.0
#include "waiters.h"

#include <gtest/gtest.h>

#include <vector>

#include "caxton/base/strings.h"
#include "caxton/router/limits.h"

namespace caxton::router {
namespace {

TEST(DeferredReplies, AreLimited) {
  DeferredReplies waiters;
  size_t refused = 0, answered = 0;
  auto count = [&](const Answer& answer) {
    ++(absl::IsResourceExhausted(answer.status) ? refused : answered);
  };
  for (size_t i = 0; i < kMaxDeferredReplies; ++i) waiters.Add("client:a", StrCat(i), 0, count);
  EXPECT_EQ(refused, 0U);
  waiters.Add("client:a", "one too many", 0, count);
  EXPECT_EQ(refused, 1U);
  EXPECT_FALSE(waiters.Complete("client:a", "one too many", {}));
  EXPECT_TRUE(waiters.Complete("client:a", "7", {}));
  EXPECT_EQ(answered, 1U);
  waiters.Add("client:a", "there is room again", 0, count);
  EXPECT_EQ(refused, 1U);
}

TEST(JoinedWaiters, AreLimited) {
  JoinedWaiters waiters;
  size_t refused = 0, answered = 0;
  auto count = [&](const Answer& answer) {
    ++(absl::IsResourceExhausted(answer.status) ? refused : answered);
  };
  for (size_t i = 0; i < kMaxJoinedWaiters; ++i) waiters.Join(Seq(1 + i % 2), count);
  EXPECT_EQ(refused, 0U);
  waiters.Join(Seq(3), count);
  EXPECT_EQ(refused, 1U);
  EXPECT_FALSE(waiters.Waits(Seq(3)));
  waiters.Complete(Seq(1), {});
  EXPECT_EQ(answered, kMaxJoinedWaiters / 2);
  waiters.Join(Seq(3), count);
  EXPECT_TRUE(waiters.Waits(Seq(3)));
}

}  // namespace
}  // namespace caxton::router
