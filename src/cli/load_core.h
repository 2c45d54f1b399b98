// SPDX-License-Identifier: Apache-2.0
//
// LoadCore: which message of a load goes out when, and what has become of each: window, rate, order
// per key, refusals, resends. No I/O and no clock: times (nanoseconds of a monotonic clock) come
// in.
//
// A key whose message was refused is held until nothing of it is unanswered; then all its refused
// messages go again in their order. So the order per key is kept whatever the server refuses.
//
// Lifecycle: Restore()* -> Start -> Take/OnResult/OnDisconnected ... -> Done. Thread rule: one
// thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "load_summary.h"

namespace caxton::cli {

struct LoadOptions {
  std::string agent;
  bool request = true;      // wait for replies; else sends, acknowledged when durable
  uint64_t count = 0;       // messages; 0: no limit
  int64_t duration_ns = 0;  // 0: no limit
  double rate = 0;          // per second; 0: as fast as the window allows
  int keys = 0;             // 0: no keys, no order
  int outstanding = 64;     // messages without a final answer
  size_t size = 256;        // bytes of content
  bool idempotent = false;  // every message has an idempotency key
  std::string run;          // names this load's messages, 8 hex digits
  uint64_t first_number = 1;
};

struct LoadMessage {
  uint64_t number = 0;
  int key = -1;  // -1: none
  bool again = false;
};

struct LoadResult {
  enum class Outcome { kAcked, kAnswered, kRefused, kFailed };
  uint64_t number = 0;
  Outcome outcome = Outcome::kAcked;
  bool failure_reply = false;  // kAnswered
  bool mismatched = false;     // kAnswered: the reply is another message's
  int64_t retry_after_ns = 0;  // kRefused
};

class LoadCore final {
 public:
  explicit LoadCore(const LoadOptions& options);

  // A message of an earlier run that had no final answer: sent again first.
  void Restore(uint64_t number);
  void Start(int64_t now);
  // Appends at most `max` messages that are to be sent now, in this order.
  void Take(int64_t now, size_t max, std::vector<LoadMessage>* out);
  // When Take may have more without a result coming in; INT64_MAX: never.
  int64_t NextWake(int64_t now) const;
  void OnResult(int64_t now, const LoadResult& result);
  // The stream broke: everything unanswered is sent again, in order.
  void OnDisconnected();
  void StopIssuing() { stopped_ = true; }

  bool issuing() const { return !stopped_; }
  bool Done() const { return stopped_ && pending_.empty(); }
  size_t unanswered() const { return pending_.size(); }
  // With what is unanswered counted as lost.
  LoadSummary Summary(int64_t now) const;
  int KeyOf(uint64_t number) const;

 private:
  struct Pending {
    int64_t due_ns = 0;  // when it should have gone out first
    bool in_flight = false;
    bool sent = false;
    bool again = false;
  };
  struct Key {
    int in_flight = 0;
    int refusals = 0;  // in a row
    int64_t ready_ns = 0;
    std::set<uint64_t> waiting;  // held, in order
    uint64_t last_answered = 0;
    bool held = false;
  };

  void IssueDue(int64_t now);
  int64_t NextDue(int64_t now) const;
  void ReleaseKeys(int64_t now);
  void OnRefused(int64_t now, uint64_t number, int64_t retry_after_ns);
  void Finish(int64_t now, const LoadResult& result, const Pending& pending);

  const LoadOptions options_;
  int64_t started_ns_ = 0;
  uint64_t issued_ = 0;  // by this run
  bool stopped_ = false;
  std::map<uint64_t, Pending> pending_;  // no final answer yet
  std::set<uint64_t> ready_;             // to be sent, in order
  std::vector<Key> keys_;
  std::set<int> held_keys_;
  std::multimap<int64_t, uint64_t> delayed_;  // refused without a key -> when to send again
  LoadSummary summary_;
  int64_t last_result_ns_ = 0;
};

// The content of message `number`: "n=12 key=3 run=ab12cd34 " and padding up to `size`. An agent
// that passes it on, whole or within something else, lets its message be recognized.
std::string LoadContent(const LoadOptions& options, uint64_t number, int key);
struct LoadMark {
  uint64_t number = 0;
  int key = -1;
  std::string run;
};
// False where `content` holds no such mark.
bool FindLoadMark(std::string_view content, LoadMark* mark);
// "load-ab12cd34-12"
std::string LoadIdempotencyKey(const LoadOptions& options, uint64_t number);

}  // namespace caxton::cli
