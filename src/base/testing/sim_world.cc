// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/testing/sim_world.h"

#include <algorithm>
#include <limits>

namespace caxton::testing {

class SimWorld::Strand final : public Executor {
 public:
  explicit Strand(SimWorld* world) : world_(world) {}

  void Post(Task task) override { PostAfter(0, std::move(task)); }

  TimerId PostAfter(int64_t delay_ns, Task task) override {
    const int64_t due = world_->now_ns_ + std::max<int64_t>(delay_ns, 0);
    const uint64_t id = world_->next_++;
    world_->events_.emplace(std::pair(due, id), Event{this, std::move(task)});
    world_->due_by_id_.emplace(id, due);
    return TimerId(id);
  }

  void Cancel(TimerId id) override {
    auto it = world_->due_by_id_.find(id.value());
    if (it == world_->due_by_id_.end()) return;
    world_->events_.erase({it->second, it->first});
    world_->due_by_id_.erase(it);
  }

 private:
  SimWorld* world_;
};

SimWorld::SimWorld(int64_t wall_start_ns) : wall_offset_ns_(wall_start_ns) {}
SimWorld::~SimWorld() {
  // A task's destructor may post: the strands must still be there.
  while (!events_.empty()) {
    auto dropped = std::move(events_);
    events_.clear();
  }
}

Executor* SimWorld::NewExecutor() {
  strands_.push_back(std::make_unique<Strand>(this));
  return strands_.back().get();
}

void SimWorld::Crash(Executor* executor) {
  std::vector<Task> dropped;  // destroyed after the loop: a task's destructor may post
  for (auto it = events_.begin(); it != events_.end();) {
    if (it->second.strand == executor) {
      due_by_id_.erase(it->first.second);
      dropped.push_back(std::move(it->second.task));
      it = events_.erase(it);
    } else {
      ++it;
    }
  }
}

bool SimWorld::RunOne(int64_t not_after_ns) {
  if (events_.empty() || events_.begin()->first.first > not_after_ns) return false;
  auto node = events_.extract(events_.begin());
  due_by_id_.erase(node.key().second);
  now_ns_ = std::max(now_ns_, node.key().first);
  node.mapped().task();
  return true;
}

bool SimWorld::RunNext() { return RunOne(std::numeric_limits<int64_t>::max()); }

size_t SimWorld::RunReady() {
  size_t ran = 0;
  while (RunOne(now_ns_)) ++ran;
  return ran;
}

void SimWorld::RunFor(int64_t duration_ns) {
  const int64_t until = now_ns_ + duration_ns;
  while (RunOne(until)) {
  }
  now_ns_ = until;
}

bool SimWorld::RunUntil(const std::function<bool()>& done, int64_t limit_ns) {
  const int64_t until = now_ns_ + limit_ns;
  while (!done()) {
    if (!RunOne(until)) return done();
  }
  return true;
}

}  // namespace caxton::testing
