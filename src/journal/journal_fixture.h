// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the journal share: a Journal over MemStore on a simulated strand, and short
// ways to make ops.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "caxton/base/assert.h"
#include "caxton/base/testing/sim_world.h"
#include "caxton/journal/journal.h"
#include "caxton/journal/testing/mem_store.h"

namespace caxton::journal {

using Kind = CommitVerdict::Kind;

inline constexpr AgentId kAgent{7};
inline constexpr AgentId kOther{8};

inline Envelope MakeEnvelope(const std::string& content) {
  Envelope e;
  e.id = "m";
  e.receiver = "greeter";
  e.content = content;
  return e;
}

inline std::string EncodedEnvelope(const std::string& content) {
  std::string bytes;
  EncodeEnvelope(MakeEnvelope(content), &bytes);
  return bytes;
}

// A message comes in.
inline CommitOp AcceptOp(Seq seq, AgentId agent = kAgent) {
  CommitOp op;
  op.rows.Put(Table::kInbox, MessageKey(agent, seq), EncodedEnvelope("hello"));
  op.counters.push_back({.agent = agent, .accepted = 1, .waiting = 1});
  return op;
}

// A message that waits is handled.
inline CommitOp StepOp(Seq seq, AgentId agent = kAgent) {
  CommitOp op;
  op.rows.Delete(Table::kInbox, MessageKey(agent, seq));
  op.counters.push_back({.agent = agent, .completed = 1, .waiting = -1});
  return op;
}

inline CommitOp WithClaim(CommitOp op, const std::string& key, Seq seq,
                          const std::string& digest = "digest") {
  op.claim = IdemClaim{kAgent, key, digest, seq};
  return op;
}

inline CommitOp WithSettle(CommitOp op, const std::string& key, Seq seq, const std::string& reply) {
  op.settle = IdemSettle{kAgent, key, {}};
  op.settle->record.seq = seq;
  op.settle->record.reply = Reply{Performative::kInform, reply};
  return op;
}

inline CommitOp WithGuard(CommitOp op, RevisionRef revision, uint64_t ticket, TicketCell cell) {
  op.guard = StepGuard{revision, Ticket(ticket), std::move(cell)};
  return op;
}

inline TicketCell MakeCell(uint64_t ticket) {
  return std::make_shared<std::atomic<uint64_t>>(ticket);
}

class JournalHarness {
 public:
  explicit JournalHarness(JournalOptions o = {}) : options(o) { Open(); }

  void Open() {
    absl::Status status = TryOpen();
    CAXTON_ASSERT(status.ok(), std::string(status.message()));
  }
  absl::Status TryOpen() {
    absl::StatusOr<std::unique_ptr<Journal>> opened =
        Journal::Open(&store, strand, &world, options,
                      [this](const absl::Status& status) { fatals.push_back(status); });
    if (!opened.ok()) return opened.status();
    journal = *std::move(opened);
    return absl::OkStatus();
  }
  // kill -9: what is queued is gone, what was written is there.
  void Kill() {
    world.Crash(strand);
    journal.reset();
  }
  void KillAndReopen() {
    Kill();
    Open();
  }
  void PowerCutAndReopen(size_t survivors = 0) {
    Kill();
    store.PowerCut(survivors);
    Open();
  }

  // What became of an op: filled in as its callbacks come.
  struct Outcome {
    std::vector<CommitVerdict> verdicts;
    int durable = 0;
    Kind kind() const {
      CAXTON_ASSERT(verdicts.size() == 1, "decided exactly once");
      return verdicts[0].kind;
    }
  };
  std::shared_ptr<Outcome> Submit(CommitOp op, bool ask_durable = true) {
    auto outcome = std::make_shared<Outcome>();
    Watch(&op, outcome, ask_durable);
    journal->committer().Submit(std::move(op));
    return outcome;
  }
  void Watch(CommitOp* op, const std::shared_ptr<Outcome>& outcome, bool ask_durable) {
    op->decided = [outcome, this](const CommitVerdict& v) {
      outcome->verdicts.push_back(v);
      log.push_back("decided");
    };
    if (!ask_durable) return;
    op->durable = [outcome, this] {
      ++outcome->durable;
      log.push_back("durable");
    };
  }
  std::shared_ptr<Outcome> Run(CommitOp op, bool ask_durable = true) {
    auto outcome = Submit(std::move(op), ask_durable);
    world.RunReady();
    return outcome;
  }

  bool Has(Table table, const std::string& key) const {
    absl::StatusOr<std::optional<std::string>> row = store.Get(table, key);
    return row.ok() && row->has_value();
  }

  caxton::testing::SimWorld world;
  Executor* strand = world.NewExecutor();
  testing::MemStore store;
  JournalOptions options;
  std::unique_ptr<Journal> journal;
  std::vector<absl::Status> fatals;
  std::vector<std::string> log;
};

}  // namespace caxton::journal
