// SPDX-License-Identifier: Apache-2.0
//
// AnswerBook: the answers to calls that change something, by their idempotency keys, so that a
// repeat has no second effect and gets the same answer. In memory: after a restart a repeat is a
// new call, except where the key is in the journal too (deployments, messages). A failed call is
// forgotten: it may be tried again under its key.
//
// Thread rule: any thread; callbacks run on the thread that settles. How to use: UnaryCall with
// Once() in unary.h.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/base/mutex.h"

namespace caxton::api {

class AnswerBook final {
 public:
  // The serialized answer, or why there is none.
  using Told = std::function<void(const absl::StatusOr<std::string>&)>;

  explicit AnswerBook(const Clock* clock) : clock_(clock) {}

  // True: the caller carries the call out and settles `key`. False: `told` gets the answer of the
  // first call, now or when there is one; or an error, where `request` is not the first one's.
  bool Begin(const std::string& key, const std::string& request, Told told);
  void Settle(const std::string& key, const absl::StatusOr<std::string>& answer);

 private:
  struct Entry {
    std::string digest;  // of the request
    bool settled = false;
    std::string answer;
    int64_t at_ns = 0;  // monotonic, when it was settled
    std::vector<Told> waiting;
  };
  void Forget() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock* const clock_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> settled_ ABSL_GUARDED_BY(mutex_);  // oldest first
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;                 // of settled answers and their keys
};

}  // namespace caxton::api
