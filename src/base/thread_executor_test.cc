// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/thread_executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <thread>
#include <vector>

namespace caxton {
namespace {

TEST(ThreadExecutor, RunsInPostingOrderOnItsOwnThread) {
  SystemClock clock;
  std::vector<int> order;
  std::thread::id where;
  {
    ThreadExecutor executor("test", clock);
    for (int i = 0; i < 100; ++i) executor.Post([&order, i] { order.push_back(i); });
    executor.Post([&] { where = std::this_thread::get_id(); });
  }  // stopping runs what is queued
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
  EXPECT_NE(where, std::this_thread::get_id());
}

TEST(ThreadExecutor, TimersFireInOrderOfDueTime) {
  SystemClock clock;
  ThreadExecutor executor("test", clock);
  std::promise<void> done;
  std::vector<int> order;
  executor.Post([&] {
    executor.PostAfter(2 * kNanosPerMilli, [&] {
      order.push_back(2);
      done.set_value();
    });
    executor.PostAfter(1 * kNanosPerMilli, [&] { order.push_back(1); });
  });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(ThreadExecutor, TimerIsNeverEarly) {
  SystemClock clock;
  ThreadExecutor executor("test", clock);
  std::promise<int64_t> fired;
  const int64_t start = clock.MonoNanos();
  executor.PostAfter(3 * kNanosPerMilli, [&] { fired.set_value(clock.MonoNanos()); });
  EXPECT_GE(fired.get_future().get() - start, 3 * kNanosPerMilli);
}

TEST(ThreadExecutor, CancelOnTheStrandWins) {
  SystemClock clock;
  std::atomic<bool> ran = false;
  {
    ThreadExecutor executor("test", clock);
    std::promise<void> done;
    executor.Post([&] {
      const TimerId id = executor.PostAfter(1, [&] { ran = true; });
      executor.Cancel(id);
      executor.Cancel(id);
      executor.PostAfter(kNanosPerMilli, [&] { done.set_value(); });
    });
    done.get_future().wait();
  }
  EXPECT_FALSE(ran);
}

TEST(ThreadExecutor, StopDropsTimersAndLaterPosts) {
  SystemClock clock;
  ThreadExecutor executor("test", clock);
  std::atomic<int> ran = 0;
  executor.PostAfter(int64_t{3600} * kNanosPerSecond, [&] { ++ran; });
  executor.Stop();
  executor.Post([&] { ++ran; });
  EXPECT_EQ(executor.PostAfter(5, [&] { ++ran; }), TimerId());
  executor.Stop();
  EXPECT_EQ(ran, 0);
}

TEST(ThreadExecutor, PostsFromManyThreadsAllRun) {
  SystemClock clock;
  int ran = 0;
  {
    ThreadExecutor executor("test", clock);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) executor.Post([&ran] { ++ran; });
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(ran, 4000);
}

// Runs `check` where the strand's thread is known to sleep: it was seen to run a task there.
void WhenIdle(ThreadExecutor& executor, const std::function<bool()>& check) {
  do {
    std::promise<void> done;
    executor.Post([&] { done.set_value(); });
    done.get_future().wait();
  } while (!check());
}

TEST(ThreadExecutor, RunOrPostRunsOnTheCallerWhereTheStrandSleeps) {
  SystemClock clock;
  ThreadExecutor executor("test", clock);
  std::vector<int> order;
  WhenIdle(executor, [&] {
    order.clear();
    std::promise<std::thread::id> last;
    executor.RunOrPost([&] {
      executor.RunOrPost([&] { order.push_back(2); });  // never inside a task
      executor.Post([&] { last.set_value(std::this_thread::get_id()); });
      order.push_back(1);
    });
    return last.get_future().get() == std::this_thread::get_id();
  });
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(ThreadExecutor, ABorrowerLeavesTheRestToTheThread) {
  SystemClock clock;
  ThreadExecutor executor("test", clock);
  WhenIdle(executor, [&] {
    std::atomic<int> here = 0;
    std::promise<void> elsewhere;
    std::atomic<bool> told = false;
    const std::thread::id caller = std::this_thread::get_id();
    // Posts itself again until another thread runs it.
    std::function<void()> again = [&] {
      if (std::this_thread::get_id() == caller) {
        ++here;
        executor.Post(again);
      } else if (!told.exchange(true)) {
        elsewhere.set_value();
      }
    };
    executor.RunOrPost(again);
    elsewhere.get_future().wait();
    EXPECT_LE(here, kBorrowedTasks);
    return here == kBorrowedTasks;
  });
}

TEST(ThreadExecutor, ABorrowerRunsNoMoreOfMany) {
  SystemClock clock;
  ThreadExecutor executor("test", clock);
  WhenIdle(executor, [&] {
    const std::thread::id caller = std::this_thread::get_id();
    int here = 0;
    std::vector<int> order;
    std::promise<void> last;
    executor.RunOrPost([&] {
      here += std::this_thread::get_id() == caller;
      for (int i = 0; i < 2 * kBorrowedTasks; ++i) {
        executor.Post([&, i] {
          here += std::this_thread::get_id() == caller;
          order.push_back(i);
          if (i == 2 * kBorrowedTasks - 1) last.set_value();
        });
      }
    });
    last.get_future().wait();
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    EXPECT_LE(here, kBorrowedTasks);
    return here == kBorrowedTasks;
  });
}

TEST(ThreadExecutor, TimersSetByABorrowerFire) {
  SystemClock clock;
  ThreadExecutor executor("test", clock);
  std::promise<void> fired;
  executor.RunOrPost([&] { executor.PostAfter(1, [&] { fired.set_value(); }); });
  fired.get_future().wait();
}

TEST(ThreadExecutor, BorrowersAndPostersNeverRunTwoTasksAtOnce) {
  SystemClock clock;
  int ran = 0;  // plain: the strand is what guards it
  {
    ThreadExecutor executor("test", clock);
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 1000; ++i) {
          if ((i + t) % 3 == 0) {
            executor.Post([&ran] { ++ran; });
          } else if ((i + t) % 97 == 0) {
            executor.PostAfter(1, [] {});
          } else {
            executor.RunOrPost([&ran] { ++ran; });
          }
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  int timers = 0;
  for (int t = 0; t < 4; ++t) {
    for (int i = 0; i < 1000; ++i) timers += (i + t) % 3 != 0 && (i + t) % 97 == 0;
  }
  EXPECT_EQ(ran, 4000 - timers);
}

}  // namespace
}  // namespace caxton
