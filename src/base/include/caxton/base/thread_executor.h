// SPDX-License-Identifier: Apache-2.0
//
// ThreadExecutor: an Executor that owns one thread. Another may borrow the strand while that thread
// sleeps (RunOrPost): tasks still run one at a time, in order, each seeing what the last one did.
//
// Lifecycle: the constructor starts the thread; Stop() (or the destructor) runs what is already
// queued, drops timers, and joins. Posts after Stop are dropped. Thread rule: as Executor; Stop
// from outside the thread only.
#pragma once

#include <memory>
#include <string>

#include "caxton/base/clock.h"
#include "caxton/base/executor.h"

namespace caxton {

// Tasks that a borrower runs before it leaves the rest to the strand's own thread.
inline constexpr int kBorrowedTasks = 32;

class ThreadExecutor final : public Executor {
 public:
  // `name` (at most 15 characters) is the thread's name in tools such as top. `clock` outlives
  // this.
  ThreadExecutor(std::string name, const Clock& clock);
  ~ThreadExecutor() override;

  void Post(Task task) override;
  void RunOrPost(Task task) override;
  TimerId PostAfter(int64_t delay_ns, Task task) override;
  void Cancel(TimerId id) override;
  void Stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace caxton
