// SPDX-License-Identifier: Apache-2.0
//
// Executor: a strand. Tasks run one after the other, in the order they were posted, never inside
// Post. Router shards, the committer and the controller each live on one; in production each is a
// thread (ThreadExecutor), in simulation all share one thread and a simulated clock
// (testing/sim_world.h).
//
// Thread rule: Post, RunOrPost, PostAfter and Cancel may be called from any thread, tasks included.
// Tasks must not block (the committer's fsync is the one, documented, exception).
#pragma once

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "caxton/base/strong_id.h"

namespace caxton {

using Task = absl::AnyInvocable<void()>;
using TimerId = StrongId<struct TimerIdTag, uint64_t>;

class Executor {
 public:
  virtual ~Executor() = default;
  virtual void Post(Task task) = 0;
  // As Post; but where the strand is idle the task may run now, on the calling thread, and with it
  // some of what is posted meanwhile: that saves waking a thread for microseconds of work. An
  // implementation may always post. The caller holds no lock that a task of the strand may take, as
  // any of them may run inside this call.
  virtual void RunOrPost(Task task) { Post(std::move(task)); }
  // Runs `task` on this strand once at least `delay_ns` have passed (<= 0: as Post).
  virtual TimerId PostAfter(int64_t delay_ns, Task task) = 0;
  // After Cancel returns on the strand itself, the task will not run. From another thread it may be
  // running. An id that has fired, was cancelled or is 0 is ignored.
  virtual void Cancel(TimerId id) = 0;
};

}  // namespace caxton
