// SPDX-License-Identifier: Apache-2.0
#include "commit_times.h"

#include <algorithm>

namespace caxton::server {

void CommitWindow::Add(int64_t duration_ns) {
  MutexLock lock(&mutex_);
  if (ring_.size() < kept_) {
    ring_.push_back(duration_ns);
  } else {
    ring_[next_] = duration_ns;
    next_ = (next_ + 1) % kept_;
  }
}

api::CommitTimes CommitWindow::Times() const {
  std::vector<int64_t> sorted;
  {
    MutexLock lock(&mutex_);
    sorted = ring_;
  }
  if (sorted.empty()) return {};
  std::sort(sorted.begin(), sorted.end());
  const auto rank = [&](size_t percent) {
    return sorted[(sorted.size() * percent + 99) / 100 - 1];
  };
  return {.count = sorted.size(), .p50_ns = rank(50), .p99_ns = rank(99)};
}

}  // namespace caxton::server
