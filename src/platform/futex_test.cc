// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/futex.h"

#include <gtest/gtest.h>

#include <thread>

namespace caxton::platform {
namespace {

TEST(Futex, DoesNotSleepOnAnotherValue) {
  std::atomic<uint32_t> word{1};
  EXPECT_EQ(FutexWait(&word, 0, kNoDeadline), FutexResult::kChanged);
}

TEST(Futex, APastDeadlineEndsAtOnce) {
  std::atomic<uint32_t> word{0};
  EXPECT_EQ(FutexWait(&word, 0, 0), FutexResult::kTimeout);
  EXPECT_EQ(FutexWait(&word, 0, MonotonicNanos()), FutexResult::kTimeout);
}

TEST(Futex, AWakeEndsTheWait) {
  std::atomic<uint32_t> word{0};
  std::thread waiter([&word] {
    while (word.load() == 0) FutexWait(&word, 0, kNoDeadline);
  });
  word.store(1);
  FutexWake(&word, 1);
  waiter.join();
}

}  // namespace
}  // namespace caxton::platform
