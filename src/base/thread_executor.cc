// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/thread_executor.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "caxton/base/assert.h"

namespace caxton {

// std::mutex with a condition variable: the wait needs a monotonic deadline, and one lock guards
// all members.
struct ThreadExecutor::State {
  explicit State(const Clock& c) : clock(c) {}

  const Clock& clock;
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<Task> queue;
  std::map<std::pair<int64_t, uint64_t>, Task> timers;  // (due on the monotonic clock, id)
  absl::flat_hash_map<uint64_t, int64_t> due_by_id;
  uint64_t next_timer = 1;
  bool waiting = false;   // the thread sleeps, and nobody has woken it
  bool borrowed = false;  // another thread runs the strand's tasks
  bool stopping = false;
  std::thread thread;

  void Run();
  void RunBorrowed(Task task);
  void MoveDueTimers(std::vector<Task>* to);
  void WaitForWork(std::unique_lock<std::mutex>& lock);
};

void ThreadExecutor::State::MoveDueTimers(std::vector<Task>* to) {
  if (timers.empty()) return;
  const int64_t now = clock.MonoNanos();
  while (!timers.empty() && timers.begin()->first.first <= now) {
    due_by_id.erase(timers.begin()->first.second);
    to->push_back(std::move(timers.begin()->second));
    timers.erase(timers.begin());
  }
}

void ThreadExecutor::State::WaitForWork(std::unique_lock<std::mutex>& lock) {
  waiting = true;
  if (timers.empty()) {
    wake.wait(lock);
  } else {
    const int64_t left = timers.begin()->first.first - clock.MonoNanos();
    if (left > 0) wake.wait_for(lock, std::chrono::nanoseconds(left));
  }
  waiting = false;
}

void ThreadExecutor::State::Run() {
  std::vector<Task> batch;
  std::unique_lock lock(mutex);
  while (true) {
    if (borrowed) {
      wake.wait(lock);  // the borrower says when it is done
      continue;
    }
    batch.clear();
    batch.swap(queue);
    MoveDueTimers(&batch);
    if (batch.empty()) {
      if (stopping) return;
      WaitForWork(lock);
      continue;
    }
    lock.unlock();
    for (Task& task : batch) {
      task();
      task = nullptr;  // captured state dies on this thread, in order
    }
    lock.lock();
  }
}

// `borrowed` has been set by the caller, which does not hold the lock.
void ThreadExecutor::State::RunBorrowed(Task task) {
  task();
  task = nullptr;
  std::vector<Task> batch;
  int ran = 1;
  std::unique_lock lock(mutex);
  while (!queue.empty() && ran < kBorrowedTasks) {
    const auto end = queue.begin() + std::min<ptrdiff_t>(std::ssize(queue), kBorrowedTasks - ran);
    batch.assign(std::make_move_iterator(queue.begin()), std::make_move_iterator(end));
    queue.erase(queue.begin(), end);
    lock.unlock();
    for (Task& next : batch) {
      next();
      next = nullptr;
      ++ran;
    }
    lock.lock();
  }
  borrowed = false;
  // The thread, if awake, waits for this moment; if asleep, it is needed only for what is left.
  if (waiting && queue.empty()) return;
  waiting = false;
  wake.notify_one();
}

ThreadExecutor::ThreadExecutor(std::string name, const Clock& clock)
    : state_(std::make_unique<State>(clock)) {
  CAXTON_ASSERT(name.size() <= 15, "the kernel keeps 15 characters of a thread's name");
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
  pthread_setname_np(state_->thread.native_handle(), name.c_str());
}

ThreadExecutor::~ThreadExecutor() { Stop(); }

void ThreadExecutor::Post(Task task) {
  std::unique_lock lock(state_->mutex);
  if (state_->stopping) return;
  state_->queue.push_back(std::move(task));
  if (state_->borrowed) return;  // the borrower runs it, or wakes the thread for it
  const bool wake = std::exchange(state_->waiting, false);
  lock.unlock();
  if (wake) state_->wake.notify_one();
}

void ThreadExecutor::RunOrPost(Task task) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) return;
    const bool idle = state_->waiting && !state_->borrowed && state_->queue.empty();
    if (!idle) {
      // Its thread is awake, or the borrower runs it.
      state_->queue.push_back(std::move(task));
      return;
    }
    state_->borrowed = true;
  }
  state_->RunBorrowed(std::move(task));
}

TimerId ThreadExecutor::PostAfter(int64_t delay_ns, Task task) {
  if (delay_ns <= 0) {
    Post(std::move(task));
    return TimerId();
  }
  std::unique_lock lock(state_->mutex);
  if (state_->stopping) return TimerId();
  const uint64_t id = state_->next_timer++;
  const int64_t due = state_->clock.MonoNanos() + delay_ns;
  state_->timers.emplace(std::pair(due, id), std::move(task));
  state_->due_by_id.emplace(id, due);
  const bool wake = std::exchange(state_->waiting, false);
  lock.unlock();
  if (wake) state_->wake.notify_one();
  return TimerId(id);
}

void ThreadExecutor::Cancel(TimerId id) {
  Task dropped;  // destroyed outside the lock: it may own things that post
  std::unique_lock lock(state_->mutex);
  auto it = state_->due_by_id.find(id.value());
  if (it == state_->due_by_id.end()) return;
  auto timer = state_->timers.find({it->second, it->first});
  dropped = std::move(timer->second);
  state_->timers.erase(timer);
  state_->due_by_id.erase(it);
  lock.unlock();
}

void ThreadExecutor::Stop() {
  {
    std::unique_lock lock(state_->mutex);
    state_->stopping = true;
    state_->timers.clear();
    state_->due_by_id.clear();
  }
  state_->wake.notify_one();
  if (state_->thread.joinable()) state_->thread.join();
}

}  // namespace caxton
