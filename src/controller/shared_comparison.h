// SPDX-License-Identifier: Apache-2.0
//
// SharedComparison: one shadow's comparison, fed on the mirror's strand and read on the
// controller's. Thread rule: any thread; a lock is held for the time that one message takes to
// compare.
#pragma once

#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "caxton/analysis/shadow.h"
#include "caxton/base/mutex.h"

namespace caxton::controller {

class SharedComparison {
 public:
  explicit SharedComparison(analysis::ShadowComparison comparison)
      : comparison_(std::move(comparison)) {}

  // True: this was the message that decided. False ever after.
  bool Observe(const MirroredStep& step) {
    MutexLock lock(&mutex_);
    comparison_.Observe(step);
    changed_ = true;
    if (spoke_ || !comparison_.Fired().has_value()) return false;
    return spoke_ = true;
  }
  void Count(MirrorFate fate, int64_t count) {
    MutexLock lock(&mutex_);
    for (int64_t i = 0; i < count; ++i) comparison_.Count(fate);
    changed_ = true;
  }
  std::optional<deployment::Verdict> Fired() const {
    MutexLock lock(&mutex_);
    return comparison_.Fired();
  }
  // What the report was made from is kept: messages go on to be compared until it is on the disk.
  deployment::StageReport EndOfShadow() {
    MutexLock lock(&mutex_);
    at_end_ = BytesLocked();
    return comparison_.EndOfShadow();
  }
  // Its bytes when it fired (it counts nothing more then), or at its end.
  std::string DecidedBytes(bool at_end) const {
    MutexLock lock(&mutex_);
    return at_end ? at_end_ : BytesLocked();
  }
  analysis::ShadowReport Report() const {
    MutexLock lock(&mutex_);
    return comparison_.Report();
  }
  // Its bytes, if it has changed since the last call.
  std::optional<std::string> TakeChanged() {
    MutexLock lock(&mutex_);
    if (!changed_) return std::nullopt;
    changed_ = false;
    return BytesLocked();
  }

 private:
  std::string BytesLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::string bytes;
    comparison_.Encode(&bytes);
    return bytes;
  }

  mutable Mutex mutex_;
  analysis::ShadowComparison comparison_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool spoke_ ABSL_GUARDED_BY(mutex_) = false;
  std::string at_end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace caxton::controller
