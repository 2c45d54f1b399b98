// SPDX-License-Identifier: Apache-2.0
//
// Retention: handled messages kept for tails, per agent, numbered from 1 in commit order and
// trimmed from the oldest so that an agent's rows stay within max_bytes (plus at most one round's).
//
// Lifecycle: Load, then per round Append/Switch and EndRound; Durable once the round and all before
// it are on the disk: only then do readers see its rows. Thread rule: Scan, Watch and Unwatch from
// any thread, the rest on the committer's strand.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "caxton/journal/records.h"
#include "caxton/journal/store.h"
#include "meta_rows.h"

namespace caxton::journal {

class Retention final {
 public:
  Retention(const Store* store, uint64_t max_bytes) : store_(store), max_bytes_(max_bytes) {}

  absl::Status Load();

  bool on(AgentId agent) const;
  // Off drops the agent's rows; the numbers go on where they were.
  void Switch(AgentId agent, bool on, RowBatch* rows);
  void Append(AgentId agent, const RetainedRecord& record, RowBatch* rows);
  // Trims. Fails only where the store cannot be read.
  absl::Status EndRound(RowBatch* rows);
  // Whether somebody waits for rows of this round.
  bool Watched() const;
  // Shows the rows to readers and calls their watchers.
  void Durable();

  using Each = std::function<bool(uint64_t, const RetainedRecord&)>;
  absl::StatusOr<uint64_t> Scan(AgentId agent, uint64_t cursor, const Each& each) const;
  uint64_t Watch(AgentId agent, std::function<void()> changed);
  void Unwatch(uint64_t id);

 private:
  struct State {
    RetentionRow row;
    uint64_t round_first = 0;  // the first number given in this round
    bool touched = false;      // is in touched_
    bool unshown = false;      // is in unshown_
  };
  struct Shown {
    uint64_t first = 1;
    uint64_t next = 1;
  };
  struct Watcher {
    AgentId agent;
    std::function<void()> changed;
  };
  State& Touch(AgentId agent);
  absl::Status Trim(AgentId agent, State* state, RowBatch* rows) const;

  const Store* store_;
  const uint64_t max_bytes_;
  absl::flat_hash_map<AgentId, State> states_;  // strand
  std::vector<AgentId> touched_;                // strand: in this round
  std::vector<AgentId> unshown_;                // strand: since the last Durable

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  absl::flat_hash_map<AgentId, Shown> shown_;
  absl::flat_hash_map<uint64_t, Watcher> watchers_;
  uint64_t next_watcher_ = 1;
};

}  // namespace caxton::journal
