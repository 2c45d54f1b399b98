// SPDX-License-Identifier: Apache-2.0
//
// SharedReplay: what one replay of history has shown, fed on the mirror's strand and read on the
// controller's. Thread rule: any thread; a lock is held for the time that one message takes to
// compare.
#pragma once

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "caxton/analysis/history.h"
#include "caxton/base/mutex.h"

namespace caxton::controller {

class SharedReplay {
 public:
  explicit SharedReplay(const deployment::DeploymentPlan& plan) : replay_(plan) {}

  void Gathered(size_t messages) {
    MutexLock lock(&mutex_);
    replay_.Gathered(static_cast<int64_t>(messages));
  }
  void Observe(const MirroredStep& step) {
    MutexLock lock(&mutex_);
    replay_.Observe(step);
  }
  void End(int64_t lost, int64_t unrun) {
    MutexLock lock(&mutex_);
    replay_.End(lost, unrun);
  }
  deployment::Verdict VerdictOf(const std::string& stable, const std::string& candidate) const {
    MutexLock lock(&mutex_);
    return replay_.VerdictOf(stable, candidate);
  }
  analysis::HistoryReport Report() const {
    MutexLock lock(&mutex_);
    return replay_.Report();
  }
  std::string Bytes() const {
    MutexLock lock(&mutex_);
    std::string bytes;
    replay_.Encode(&bytes);
    return bytes;
  }

 private:
  mutable Mutex mutex_;
  analysis::HistoryReplay replay_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace caxton::controller
