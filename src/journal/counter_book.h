// SPDX-License-Identifier: Apache-2.0
//
// CounterBook: one CounterRow per agent, kept in memory and written once per agent and round, in
// the batch whose rows it counts.
//
// Thread rule: Get from any thread, everything else on the committer's strand (or before it
// starts).
#pragma once

#include <mutex>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "caxton/journal/commit_op.h"

namespace caxton::journal {

class CounterBook final {
 public:
  // Before the first round.
  absl::Status Load(const Store& store);

  void Apply(const CounterDelta& delta);
  // Appends the rows of the agents touched since the last call, and shows them to Get.
  void EndRound(RowBatch* rows);
  // Recovery found `waiting` messages of `agent`. If the row says otherwise it is set right, with
  // the sum kept, and false is returned.
  bool Reconcile(AgentId agent, uint64_t waiting);

  CounterRow Get(AgentId agent) const;
  CounterRow Total() const;  // of all agents, at one moment
  // Agents with a row. Before the first round only.
  std::vector<AgentId> agents() const;

 private:
  struct Entry {
    CounterRow row;
    bool touched = false;
  };
  absl::flat_hash_map<AgentId, Entry> entries_;  // strand
  std::vector<AgentId> touched_;                 // strand

  mutable std::mutex mutex_;
  absl::flat_hash_map<AgentId, CounterRow> shown_;  // guarded by mutex_
};

}  // namespace caxton::journal
