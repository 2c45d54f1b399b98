// SPDX-License-Identifier: Apache-2.0
//
// GroupCommitter: the Committer over a Store. One round is one task of the strand: take what is
// queued up to the limits, decide each op in order, write the accepted ones as one batch, report.
//
// Lifecycle: Load before the first Submit. Rounds posted to the strand hold no reference: they do
// nothing once this is destroyed. Thread rule: as Committer; members below are grouped by who
// guards them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/journal/committer.h"
#include "caxton/journal/journal.h"
#include "counter_book.h"
#include "disk_reserve.h"
#include "evidence_log.h"
#include "idem_table.h"
#include "retention.h"

namespace caxton::journal {

class GroupCommitter final : public Committer, public std::enable_shared_from_this<GroupCommitter> {
 public:
  struct Parts {
    Store* store;
    Executor* executor;
    const Clock* clock;
    JournalOptions options;
    std::function<void(const absl::Status&)> fatal;
  };
  explicit GroupCommitter(Parts parts);

  absl::Status Load();

  void Submit(CommitOp op) override;
  void Withdraw(RevisionRef revision, CommitOp record) override;
  void Barrier(absl::AnyInvocable<void()> done) override;
  size_t queued_bytes() const override { return queued_bytes_.load(std::memory_order_relaxed); }
  uint64_t deciding_round() const override { return round_; }
  bool deciding_few() const override { return taken_.size() <= kFewOps; }
  uint64_t durable_round() const override { return durable_round_.load(std::memory_order_acquire); }

  // Journaled in the order of submission, with a sync of its own. Any thread.
  void SwitchRetention(AgentId agent, bool on);

  CounterBook& counters() { return counters_; }
  Retention& retention() { return retention_; }
  DiskReserve& reserve() { return reserve_; }

 private:
  struct Queued {
    CommitOp op;
    size_t bytes = 0;
    bool accepted = false;
    bool switches_retention = false;
    AgentId agent;  // switches_retention only
    bool on = false;
  };
  using FenceSet = absl::flat_hash_set<RevisionRef>;

  static size_t BytesOf(const CommitOp& op);
  void Enqueue(Queued queued, bool urgent);
  size_t Waiting() const { return urgent_.size() + queue_.size() - queue_head_; }  // under mutex_
  void PostRound();
  void Round();
  void ScheduleNext(size_t answered);
  void EndGathering(uint64_t gathering);
  void Take();
  absl::Status DecideAll();
  absl::Status Decide(Queued* queued);
  void Answer(CommitOp* op, IdemTable::Answer answer);
  absl::Status Merge(CommitOp* op);
  CommitVerdict::Kind CheckGuard(const StepGuard& guard);
  absl::Status WriteRound();
  void Report();
  void Fail(const absl::Status& status);

  const Parts parts_;
  DiskReserve reserve_;  // any thread

  std::atomic<size_t> queued_bytes_{0};
  std::atomic<uint64_t> durable_round_{0};
  std::atomic<uint64_t> fence_version_{0};

  std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Queued> urgent_;  // withdrawals: ahead of all the rest
  std::vector<Queued> queue_;
  size_t queue_head_ = 0;  // queue_[0, queue_head_) are taken
  bool posted_ = false;    // a round is on the strand, or will be when gathering ends
  // Gathering: until so many ops wait; 0: not gathering. Each has a number, so that the timer of
  // one that ended early does nothing.
  size_t gather_until_ = 0;
  uint64_t gathering_ = 0;
  FenceSet fences_;

  // On the strand only.
  CounterBook counters_;
  IdemTable idem_;
  EvidenceLog evidence_;
  Retention retention_;
  FenceSet seen_fences_;  // copy of fences_ as of seen_version_
  uint64_t seen_version_ = 0;
  uint64_t round_ = 0;
  uint64_t written_round_ = 0;  // the last that wrote rows
  uint64_t next_disk_check_ = kDiskCheckRounds;
  bool sync_ = false;  // of this round
  bool failed_ = false;
  int64_t sync_ns_ = 0;  // how long the last round's sync took
  std::vector<Queued> taken_;
  RowBatch batch_;
  // Repeats whose answer is in a round not on the disk yet.
  std::vector<std::pair<absl::AnyInvocable<void(const CommitVerdict&)>, CommitVerdict>> postponed_;
};

}  // namespace caxton::journal
