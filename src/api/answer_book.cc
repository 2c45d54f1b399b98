// SPDX-License-Identifier: Apache-2.0
#include "answer_book.h"

#include <utility>

#include "caxton/api/limits.h"
#include "caxton/base/assert.h"
#include "caxton/base/hash.h"
#include "caxton/base/status.h"
#include "status.h"

namespace caxton::api {
namespace {

absl::Status TooManyWait() {
  return WithReason(
      absl::ResourceExhaustedError("too many repeats wait for the answer to one request"),
      "TOO_MANY_REPEATS");
}

}  // namespace

bool AnswerBook::Begin(const std::string& key, const std::string& request, Told told) {
  const std::string digest = Sha256(request).ToHex();
  absl::StatusOr<std::string> answer;
  {
    MutexLock lock(&mutex_);
    Forget();
    auto [it, first] = entries_.try_emplace(key);
    Entry& entry = it->second;
    if (first) {
      entry.digest = digest;
      return true;
    }
    if (entry.digest != digest) {
      answer = KeyReused();
    } else if (entry.settled) {
      answer = entry.answer;
    } else if (entry.waiting.size() >= kMaxRepeatsWaiting) {
      answer = TooManyWait();
    } else {
      entry.waiting.push_back(std::move(told));
      return false;
    }
  }
  told(answer);
  return false;
}

void AnswerBook::Settle(const std::string& key, const absl::StatusOr<std::string>& answer) {
  std::vector<Told> waiting;
  {
    MutexLock lock(&mutex_);
    auto it = entries_.find(key);
    CAXTON_ASSERT(it != entries_.end() && !it->second.settled, "a call is settled once");
    waiting.swap(it->second.waiting);
    if (answer.ok()) {
      it->second.settled = true;
      it->second.answer = *answer;
      it->second.at_ns = clock_->MonoNanos();
      settled_.push_back(key);
      bytes_ += key.size() + answer->size();
    } else {
      entries_.erase(it);
    }
    Forget();
  }
  for (const Told& told : waiting) told(answer);
}

// What is too old, or the oldest where there is too much.
void AnswerBook::Forget() {
  const int64_t now = clock_->MonoNanos();
  while (!settled_.empty()) {
    auto it = entries_.find(settled_.front());
    if (settled_.size() <= kMaxAnswersKept && bytes_ <= kMaxAnswersKeptBytes &&
        now - it->second.at_ns < kAnswersKeptNs) {
      return;
    }
    bytes_ -= it->first.size() + it->second.answer.size();
    entries_.erase(it);
    settled_.pop_front();
  }
}

}  // namespace caxton::api
