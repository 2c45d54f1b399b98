// SPDX-License-Identifier: Apache-2.0
//
// Journal: everything Caxton must not forget, in one Store, with one Committer.
//
// Lifecycle: Open checks the format version (a newer one is refused), the last synced sequence (a
// store that lost its tail is refused without accept_loss), raises the start count, and recounts
// the waiting rows; Recover* stream what was there, once, before the first Submit; then serve;
// Close (or destruction) after the strand has stopped. Thread rule: reads from any thread; writes
// through committer().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/journal/command_record.h"
#include "caxton/journal/committer.h"
#include "caxton/journal/records.h"
#include "caxton/journal/store.h"
#include "caxton/model/revision.h"

namespace caxton::journal {

struct JournalOptions {
  uint64_t disk_reserve_bytes;         // ingress stops below this much free disk
  uint64_t max_idem_bytes;             // idempotency records kept, all buckets
  uint64_t max_retained_bytes;         // per agent
  CommitObserver* observer = nullptr;  // outlives the journal; null: nobody asks
  JournalOptions();                    // the defaults of limits.h
};

// What the store held at Open, for the router and the controller. Values.
struct JournalImage {
  std::vector<AgentRecord> agents;
  std::map<AgentId, CounterRow> counters;
  std::vector<Revision> revisions;
  std::vector<RouteRecord> routes;
  std::vector<std::pair<DeploymentId, std::string>> deployments;  // oldest first
  DeploymentId last_deployment;  // given out so far, also where its row is gone
};

// With the row of each new deployment: no id is given out twice, also when its row is gone.
void PutLastDeployment(DeploymentId deployment, RowBatch* rows);

class Journal {
 public:
  // `store`, `executor` and `clock` outlive the journal. `fatal` must not return in production (it
  // ends the process: after a failed fsync nothing the process believes is certain).
  static absl::StatusOr<std::unique_ptr<Journal>> Open(
      Store* store, Executor* executor, const Clock* clock, JournalOptions options,
      std::function<void(const absl::Status&)> fatal);
  virtual ~Journal() = default;

  virtual Committer& committer() = 0;
  // How often this store was opened, from 1. The router makes Seqs from it: (start_count << 40) +
  // counter.
  virtual uint64_t start_count() const = 0;

  virtual absl::StatusOr<JournalImage> RecoverImage() const = 0;
  // Held first, then the inbox in (agent, seq) order.
  virtual absl::Status RecoverHeld(
      const std::function<void(AgentId, Seq, HeldRecord)>& each) const = 0;
  virtual absl::Status RecoverInbox(
      const std::function<void(AgentId, Seq, Envelope)>& each) const = 0;
  virtual absl::Status ScanEvidence(DeploymentId deployment,
                                    const std::function<void(const Observation&)>& each) const = 0;
  // In the order in which they were claimed.
  virtual absl::Status RecoverCommands(
      const std::function<void(uint64_t number, CommandRecord)>& each) const = 0;
  // What a shadow's comparison had seen when it was last recorded; nullopt: nothing yet.
  virtual absl::StatusOr<std::optional<std::string>> GetComparison(
      DeploymentId deployment) const = 0;
  // What the replay before traffic has shown; nullopt: nothing yet.
  virtual absl::StatusOr<std::optional<std::string>> GetHistory(DeploymentId deployment) const = 0;
  virtual absl::Status ScanDeadLetters(
      AgentId agent, Seq from,
      const std::function<bool(Seq, const DeadLetterRecord&)>& each) const = 0;
  virtual absl::StatusOr<DeadLetterRecord> GetDeadLetter(AgentId agent, Seq seq) const = 0;

  // Tails. Retention is switched per agent; rows are numbered from 1 in commit order and trimmed
  // from the oldest.
  virtual void SetRetention(AgentId agent, bool on) = 0;  // journaled; any thread
  // Rows from `cursor` on, until `each` returns false. Returns the first row kept (so a caller sees
  // a gap).
  virtual absl::StatusOr<uint64_t> ScanRetained(
      AgentId agent, uint64_t cursor,
      const std::function<bool(uint64_t, const RetainedRecord&)>& each) const = 0;
  // Called on the committer's strand after a round with retained rows of `agent` became durable.
  // Returns an id for UnwatchRetained. Any thread.
  virtual uint64_t WatchRetained(AgentId agent, std::function<void()> changed) = 0;
  virtual void UnwatchRetained(uint64_t id) = 0;

  virtual CounterRow Counters(AgentId agent) const = 0;  // of the last decided round; any thread
  virtual CounterRow TotalCounters() const = 0;          // over all agents, removed ones included
  // Ok, or RESOURCE_EXHAUSTED with reason DISK_RESERVE while the disk is below its reserve.
  virtual absl::Status IngressAllowed() const = 0;
};

}  // namespace caxton::journal
