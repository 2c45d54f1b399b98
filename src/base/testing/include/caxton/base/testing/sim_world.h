// SPDX-License-Identifier: Apache-2.0
//
// SimWorld: simulated time and any number of strands on one thread. Everything posted runs in the
// order of its due time (ties in posting order) when the test calls Run*; the clock jumps from
// event to event, so hours pass in milliseconds and every run with the same inputs is the same run.
//
// Lifecycle: the world outlives its executors' users. Crash(executor) drops all that is queued on a
// strand, as kill -9 would. Thread rule: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/base/executor.h"

namespace caxton::testing {

class SimWorld final : public Clock {
 public:
  explicit SimWorld(int64_t wall_start_ns = 1'700'000'000 * kNanosPerSecond);
  ~SimWorld() override;

  int64_t WallNanos() const override { return wall_offset_ns_ + now_ns_; }
  int64_t MonoNanos() const override { return now_ns_; }

  // A strand; owned by the world.
  Executor* NewExecutor();
  // Drops every queued task and timer of `executor`; it stays usable.
  void Crash(Executor* executor);

  // Somebody sets the wall clock; no task is due earlier or later for it.
  void JumpWall(int64_t by_ns) { wall_offset_ns_ += by_ns; }

  // Runs the next task, whenever it is due; false: there is none.
  bool RunNext();
  // Runs all that is due now, without moving the clock. Returns how many tasks ran.
  size_t RunReady();
  // Runs everything due up to now + `duration_ns` and leaves the clock there.
  void RunFor(int64_t duration_ns);
  // Runs until `done()` or until nothing is left or `limit_ns` have passed. Returns done().
  bool RunUntil(const std::function<bool()>& done, int64_t limit_ns);

 private:
  class Strand;
  struct Event {
    Strand* strand;
    Task task;
  };
  bool RunOne(int64_t not_after_ns);

  int64_t wall_offset_ns_;
  int64_t now_ns_ = 0;
  uint64_t next_ = 1;
  std::map<std::pair<int64_t, uint64_t>, Event> events_;  // (due, order)
  std::map<uint64_t, int64_t> due_by_id_;
  std::vector<std::unique_ptr<Strand>> strands_;
};

}  // namespace caxton::testing
