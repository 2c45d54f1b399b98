// SPDX-License-Identifier: Apache-2.0
//
// CommitOp: one atomic change, handed to the committer. Its preconditions are checked in commit
// order, on the committer's strand; only if all hold do its rows go into the round's write. Built
// by the router (accept, step, hold, dead letter) and the controller (records, withdrawal).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "caxton/journal/records.h"
#include "caxton/journal/store.h"

namespace caxton::journal {

// The current ticket of one message: the router stores a new one at each dispatch, which revokes
// the older.
using TicketCell = std::shared_ptr<std::atomic<uint64_t>>;

// A step may commit only if its revision is not withdrawn and its ticket is still its message's.
struct StepGuard {
  RevisionRef revision;
  Ticket ticket;
  TicketCell current;
};

// Claims an idempotency key for the message of this op (which also puts the message's row).
struct IdemClaim {
  AgentId agent;
  std::string key;
  std::string digest;
  Seq seq;
};

// Settles an earlier claim in the same batch as the step that answers it. Whatever ends a message
// that had a key (step, dead letter, drop, expiry) settles it. An empty record.digest is filled in
// from the claim.
struct IdemSettle {
  AgentId agent;
  std::string key;
  IdemRecord record;  // done = true
};

// Balanced: accepted = completed + dead + dropped + waiting (the committer asserts it, and that no
// row goes below 0).
struct CounterDelta {
  AgentId agent;
  int32_t accepted = 0, completed = 0, dead = 0, dropped = 0, waiting = 0, retries = 0;
};

struct CommitVerdict {
  enum class Kind : uint8_t {
    kAccepted,        // its rows are in this round's write
    kWithdrawn,       // guard: the revision was withdrawn
    kStaleTicket,     // guard: another dispatch or commit took the message
    kRepeatPending,   // claim: the same message waits already, as `seq`
    kRepeatDone,      // claim: it is done; `record` (durable) is its answer
    kRepeatMismatch,  // claim: the key was used for another message
    kRefused,         // claim: no room for idempotency records (`status`)
  };
  Kind kind = Kind::kAccepted;
  Seq seq;
  std::optional<IdemRecord> record;
  absl::Status status;
};

struct CommitOp {
  std::optional<StepGuard> guard;
  std::optional<IdemClaim> claim;
  std::optional<IdemSettle> settle;
  RowBatch rows;
  std::vector<CounterDelta> counters;
  std::vector<Observation> evidence;  // numbered per deployment by the committer
  std::vector<std::pair<AgentId, RetainedRecord>>
      retain;  // numbered per agent, dropped where retention is off

  // Called on the committer's strand, in commit order, before the write. Must not block. May be
  // empty. One verdict comes later: kRepeatDone is told only once the row it quotes is on the disk.
  absl::AnyInvocable<void(const CommitVerdict&)> decided;
  // Called on the committer's strand once the op is on the disk; only after kAccepted. May be
  // empty; an op without it asks for no fsync of its own (it becomes durable with the next that
  // does).
  absl::AnyInvocable<void()> durable;
};

}  // namespace caxton::journal
