// SPDX-License-Identifier: Apache-2.0
#include "waiters.h"

#include "absl/strings/str_cat.h"
#include "caxton/base/status.h"
#include "caxton/router/limits.h"

namespace caxton::router {
namespace {

std::string DeferredKey(std::string_view caller, std::string_view reply_with) {
  std::string key(caller);
  key.push_back('\0');
  key.append(reply_with);
  return key;
}

Answer TooManyWaiters(std::string_view what) {
  return {WithRetryAfterMs(WithReason(absl::ResourceExhaustedError(absl::StrCat(
                                          "too many callers wait for ", std::string(what))),
                                      "TOO_MANY_WAITERS"),
                           kRefusedRetryAfterMs),
          {},
          {},
          {}};
}

}  // namespace

void DeferredReplies::Add(std::string_view caller, std::string_view reply_with, int64_t now_ns,
                          AnswerFn answer) {
  std::vector<AnswerFn> expired;
  {
    MutexLock lock(&mutex_);
    expired = TakeExpired(now_ns);
    if (waiting_.size() < kMaxDeferredReplies) {
      std::string key = DeferredKey(caller, reply_with);
      by_age_.emplace_back(now_ns, key);
      Waiter& place = waiting_[std::move(key)];
      place.since_ns = now_ns;
      std::swap(place.answer, answer);
    }
  }
  // What is left is the refused caller, or an older one with the same names, whose place was taken.
  if (answer) answer(TooManyWaiters("replies that come later"));
  for (AnswerFn& waiter : expired) {
    waiter({absl::DeadlineExceededError("the agent did not reply in time"), {}, {}, {}});
  }
}

std::vector<AnswerFn> DeferredReplies::TakeExpired(int64_t now_ns) {
  std::vector<AnswerFn> expired;
  while (!by_age_.empty() && by_age_.front().first + kDeferredReplyKeptNs <= now_ns) {
    auto it = waiting_.find(by_age_.front().second);
    if (it != waiting_.end() && it->second.since_ns == by_age_.front().first) {
      expired.push_back(std::move(it->second.answer));
      waiting_.erase(it);
    }
    by_age_.pop_front();
  }
  return expired;
}

bool DeferredReplies::Complete(std::string_view caller, std::string_view in_reply_to,
                               Answer answer) {
  AnswerFn waiter;
  {
    MutexLock lock(&mutex_);
    auto it = waiting_.find(DeferredKey(caller, in_reply_to));
    if (it == waiting_.end()) return false;
    waiter = std::move(it->second.answer);
    waiting_.erase(it);
  }
  waiter(std::move(answer));
  return true;
}

void JoinedWaiters::Join(Seq seq, AnswerFn answer) {
  {
    MutexLock lock(&mutex_);
    if (count_ < kMaxJoinedWaiters) {
      ++count_;
      waiting_[seq].push_back(std::move(answer));
      return;
    }
  }
  answer(TooManyWaiters("messages that are still being handled"));
}

bool JoinedWaiters::Waits(Seq seq) const {
  MutexLock lock(&mutex_);
  return waiting_.contains(seq);
}

void JoinedWaiters::Complete(Seq seq, const Answer& answer) {
  std::vector<AnswerFn> waiters;
  {
    MutexLock lock(&mutex_);
    auto it = waiting_.find(seq);
    if (it == waiting_.end()) return;
    waiters = std::move(it->second);
    waiting_.erase(it);
    count_ -= waiters.size();
  }
  for (AnswerFn& waiter : waiters) waiter(answer);
}

}  // namespace caxton::router
