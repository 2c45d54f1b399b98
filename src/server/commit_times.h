// SPDX-License-Identifier: Apache-2.0
//
// CommitWindow: how long the journal's latest commits took. Thread rule: any thread; Add costs one
// store under a lock that nobody holds for long.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "caxton/api/api_server.h"
#include "caxton/base/mutex.h"

namespace caxton::server {

class CommitWindow final {
 public:
  // The latest `kept` durations; more push the oldest out.
  explicit CommitWindow(size_t kept) : kept_(kept) {}
  void Add(int64_t duration_ns);
  // The nearest rank; count is that of the durations looked at.
  api::CommitTimes Times() const;

 private:
  const size_t kept_;
  mutable Mutex mutex_;
  std::vector<int64_t> ring_ ABSL_GUARDED_BY(mutex_);
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace caxton::server
