// SPDX-License-Identifier: Apache-2.0
//
// Places: how many deployments may be under way on the server at once, and who waits for a place,
// in the order in which they came. A value; thread rule: the controller's strand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <set>

#include "caxton/base/assert.h"
#include "caxton/model/ids.h"

namespace caxton::controller {

class Places {
 public:
  explicit Places(size_t most) : most_(most) {
    CAXTON_ASSERT(most > 0, "without a place nothing could ever be deployed");
  }

  // True: it has a place. False: it waits in the queue. Asked again it says the same.
  bool Take(DeploymentId id) {
    if (taken_.contains(id)) return true;
    if (PlaceInQueue(id) > 0) return false;
    if (taken_.size() < most_ && waiting_.empty()) {
      taken_.insert(id);
      return true;
    }
    waiting_.push_back(id);
    return false;
  }
  // Whatever there is: what was under way before a restart goes on even if there are fewer places
  // now, and a rollback never waits.
  void Occupy(DeploymentId id) { taken_.insert(id); }
  // Gives up its place, or its turn in the queue.
  void Leave(DeploymentId id) {
    if (taken_.erase(id) > 0) return;
    if (auto at = std::find(waiting_.begin(), waiting_.end(), id); at != waiting_.end()) {
      waiting_.erase(at);
    }
  }
  // The next in the queue, which now has a place; nullopt: nobody waits, or there is no place.
  std::optional<DeploymentId> TakeNext() {
    if (waiting_.empty() || taken_.size() >= most_) return std::nullopt;
    const DeploymentId next = waiting_.front();
    waiting_.pop_front();
    taken_.insert(next);
    return next;
  }
  // From 1; 0: it does not wait.
  size_t PlaceInQueue(DeploymentId id) const {
    auto at = std::find(waiting_.begin(), waiting_.end(), id);
    return at == waiting_.end() ? 0 : static_cast<size_t>(at - waiting_.begin()) + 1;
  }

 private:
  size_t most_;
  std::set<DeploymentId> taken_;
  std::deque<DeploymentId> waiting_;
};

}  // namespace caxton::controller
