// SPDX-License-Identifier: Apache-2.0
//
// Notification: one event that happens once. As absl::Notification, which ThreadSanitizer cannot
// see (mutex.h).
//
// Thread rule: any thread; Notify once. Notify holds the lock to its end, so when a wait or
// HasBeenNotified says so, the notifier no longer touches this and it may be destroyed.
#pragma once

#include <cstdint>

#include "caxton/base/mutex.h"

namespace caxton {

class Notification final {
 public:
  void Notify() {
    MutexLock lock(&mutex_);
    notified_ = true;
    changed_.SignalAll();
  }

  bool HasBeenNotified() const {
    MutexLock lock(&mutex_);
    return notified_;
  }

  void WaitForNotification() {
    MutexLock lock(&mutex_);
    while (!notified_) changed_.Wait(&mutex_);
  }

  // At most about `timeout_ns`; whether it has happened.
  bool WaitFor(int64_t timeout_ns) {
    MutexLock lock(&mutex_);
    if (!notified_) changed_.WaitFor(&mutex_, timeout_ns);
    return notified_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool notified_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace caxton
