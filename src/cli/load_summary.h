// SPDX-License-Identifier: Apache-2.0
//
// What a load did, as numbers, text and JSON. Values and pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "exit_code.h"

namespace caxton::cli {

// Counts times in buckets at most 1.6 % wide; from 0 to about an hour.
class Histogram final {
 public:
  void Add(int64_t nanoseconds);
  // The upper end of the bucket that holds the share `quantile` (0..1) of the times; 0 if there are
  // none.
  int64_t Quantile(double quantile) const;
  uint64_t count() const { return count_; }
  int64_t max() const { return max_; }

 private:
  static constexpr int kSubBits = 6;  // 64 buckets for each power of two
  static constexpr size_t kBuckets = (43 - kSubBits + 1) << kSubBits;
  static size_t BucketOf(uint64_t value);
  static int64_t UpperEnd(size_t bucket);

  std::array<uint32_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
  int64_t max_ = 0;
};

struct LoadSummary {
  uint64_t sent = 0;             // different messages
  uint64_t resent = 0;           // after a refusal or a lost connection
  uint64_t acknowledged = 0;     // sends that are durable
  uint64_t answered = 0;         // requests with a reply
  uint64_t failure_replies = 0;  // of these, FAILURE
  uint64_t mismatched = 0;       // of these, the reply to another message
  uint64_t refused = 0;          // refusals; each was sent again
  uint64_t errors = 0;           // failed for good
  uint64_t lost = 0;             // no answer to the end
  uint64_t doubled = 0;          // answered more than once
  uint64_t out_of_order = 0;     // replies of one key
  uint64_t reconnects = 0;
  int64_t elapsed_ns = 0;
  Histogram latency;        // from when a message was due to its final answer
  std::string first_error;  // "" if none
};

// What the end agent's tail shows (load_verify.h).
struct TailSummary {
  std::string agent;
  uint64_t expected = 0;  // acknowledged or answered
  uint64_t handled = 0;   // different messages of this load
  uint64_t dead_lettered = 0;
  uint64_t lost = 0;       // expected, but never handled
  uint64_t forgotten = 0;  // of these, older than what the tail kept: nobody can say
  uint64_t doubled = 0;
  uint64_t out_of_order = 0;
  bool gap = false;  // the tail did not hold everything any more
};

double Throughput(const LoadSummary& summary);  // final answers per second
std::string SummaryText(const LoadSummary& summary);
std::string TailText(const TailSummary& tail);
// One JSON document; `tail` may be null, `load` too.
std::string SummaryJson(const LoadSummary* load, const TailSummary* tail);

ExitCode OutcomeOf(const LoadSummary& summary);
ExitCode OutcomeOf(const TailSummary& tail);

}  // namespace caxton::cli
