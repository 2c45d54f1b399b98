// SPDX-License-Identifier: Apache-2.0
//
// Callers that wait for something else than the end of their own message's step: a reply that comes
// later as a message of its own (DeferredReplies), or the end of an equal message sent before
// (JoinedWaiters). Off the hot path. Thread rule: any thread. An answer is called outside the lock.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "caxton/base/mutex.h"
#include "caxton/router/router.h"

namespace caxton::router {

// Requests that were handled without a reply; a later message to `caller` with in_reply_to =
// `reply_with` ends one.
class DeferredReplies {
 public:
  // At kMaxDeferredReplies the caller is answered RESOURCE_EXHAUSTED at once. Those that have
  // waited longer than kDeferredReplyKeptNs at `now_ns` (monotonic) are answered DEADLINE_EXCEEDED
  // and forgotten.
  void Add(std::string_view caller, std::string_view reply_with, int64_t now_ns, AnswerFn answer);
  // False: nobody waits for it.
  bool Complete(std::string_view caller, std::string_view in_reply_to, Answer answer);

 private:
  struct Waiter {
    AnswerFn answer;
    int64_t since_ns = 0;
  };
  std::vector<AnswerFn> TakeExpired(int64_t now_ns) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  absl::flat_hash_map<std::string, Waiter> waiting_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<int64_t, std::string>> by_age_ ABSL_GUARDED_BY(mutex_);
};

// Repeats of a message with an idempotency key whose first copy is still on its way, by its seq.
class JoinedWaiters {
 public:
  // At kMaxJoinedWaiters the caller is answered RESOURCE_EXHAUSTED at once.
  void Join(Seq seq, AnswerFn answer);
  bool Waits(Seq seq) const;
  void Complete(Seq seq, const Answer& answer);

 private:
  mutable Mutex mutex_;
  size_t count_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<Seq, std::vector<AnswerFn>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace caxton::router
