// SPDX-License-Identifier: Apache-2.0
//
// Committer: the one writer. It takes what is queued (at most kMaxRoundOps or kMaxRoundBytes),
// checks each op's preconditions in order, merges the accepted ones into one write with one fsync,
// and reports. The fsync is the batching window; only after a slow one does the next round wait, a
// fraction of it, for those that were just answered.
//
// Lifecycle: made by Journal on its strand; Submit until the journal closes.
// Thread rule: Submit, Withdraw, Barrier and queued_bytes from any thread; everything else runs on
// the strand. A failed write or fsync is fatal: `fatal` is called once and nothing is reported
// afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "caxton/journal/commit_op.h"

namespace caxton::journal {

// What others want to know of the committer's work. Called on its strand; must not block.
class CommitObserver {
 public:
  virtual ~CommitObserver() = default;
  // A round's write and fsync took this long.
  virtual void OnSync(int64_t /*duration_ns*/) {}
};

class Committer {
 public:
  virtual ~Committer() = default;

  // Queues `op`. Never blocks: the router admits against queued_bytes() before it makes promises.
  virtual void Submit(CommitOp op) = 0;

  // Fences `revision` at once - no step of it that is not yet decided will be accepted - and puts
  // `record` ahead of all that is queued. `record.durable` is called once the withdrawal is on the
  // disk. The fence holds for the life of the server: a revision's number is never used again.
  virtual void Withdraw(RevisionRef revision, CommitOp record) = 0;

  // `done` runs on the strand once everything submitted before is durable.
  virtual void Barrier(absl::AnyInvocable<void()> done) = 0;

  virtual size_t queued_bytes() const = 0;

  // Rounds whose writes are durable, and the round that takes what is submitted now: an op decided
  // in round r is durable once durable_round() >= r.
  virtual uint64_t deciding_round() const = 0;  // on the strand, inside `decided`
  // Whether that round is of a few ops only (kFewOps), so that `decided` may take some microseconds
  // without keeping many others waiting. On the strand, inside `decided`.
  virtual bool deciding_few() const = 0;
  virtual uint64_t durable_round() const = 0;  // any thread
};

}  // namespace caxton::journal
