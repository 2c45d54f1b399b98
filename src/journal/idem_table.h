// SPDX-License-Identifier: Apache-2.0
//
// IdemTable: which idempotency keys are claimed, and what they were answered. Rows lie in hour
// buckets (the hour of the claim), dropped whole after kIdemHoursKept; nothing is evicted early:
// when full, claims are refused.
//
// A claim lives in memory from its round until its answer is on the disk; rows of earlier starts
// are found in the store when they are asked for. A claim whose message is gone without an answer
// does not count.
//
// Lifecycle: Load, then per round BeginRound, any number of Check/Claim/Settle, EndRound; Durable
// once the round and all before it are on the disk. Thread rule: the committer's strand.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "caxton/journal/commit_op.h"

namespace caxton::journal {

class IdemTable final {
 public:
  IdemTable(const Store* store, uint64_t max_bytes) : store_(store), max_bytes_(max_bytes) {}

  absl::Status Load();

  void BeginRound(int64_t wall_ns, RowBatch* rows);

  struct Answer {
    CommitVerdict verdict;  // kAccepted: the key is free, Claim may follow
    bool durable = true;    // false: kRepeatDone whose row is not on the disk yet
  };
  // What a claim would be answered now. Changes nothing. Fails only where the store cannot be read.
  absl::StatusOr<Answer> Check(const IdemClaim& claim);
  // After Check said kAccepted.
  void Claim(const IdemClaim& claim, RowBatch* rows);
  absl::Status Settle(IdemSettle settle, RowBatch* rows);

  void EndRound(RowBatch* rows);
  void Durable();

  uint64_t bytes() const { return total_bytes_; }
  size_t claims_in_memory() const { return live_.size(); }

 private:
  struct Live {
    uint32_t bucket = 0;
    size_t row_bytes = 0;
    uint64_t round = 0;  // claimed in; 0: in an earlier start
    Seq seq;
    std::string digest;
    std::unique_ptr<IdemRecord> answer;  // set: settled, not on the disk yet
  };
  struct Stored {
    uint32_t bucket;
    size_t row_bytes;
    IdemRecord record;
  };
  struct Bucket {
    uint64_t bytes = 0;
    bool touched = false;
  };
  static std::string LiveKey(AgentId agent, std::string_view key);
  absl::StatusOr<std::optional<Stored>> Find(AgentId agent, std::string_view key) const;
  absl::StatusOr<bool> MessageExists(AgentId agent, Seq seq) const;
  void Grow(uint32_t bucket, size_t more, size_t less);

  const Store* store_;
  const uint64_t max_bytes_;
  uint64_t round_ = 0;
  uint32_t bucket_ = 0;                 // of claims made now; never goes back
  std::map<uint32_t, Bucket> buckets_;  // those that hold rows
  uint64_t total_bytes_ = 0;
  absl::flat_hash_map<std::string, Live> live_;
  std::vector<std::string> settled_;  // keys of live_ with an answer
};

}  // namespace caxton::journal
