// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/committer.h"

#include <gtest/gtest.h>

#include "caxton/journal/limits.h"
#include "journal_fixture.h"

namespace caxton::journal {
namespace {

const RevisionRef kRevision{kAgent, RevisionNumber(2)};

TEST(Committer, DecidesBeforeAndReportsAfterTheSync) {
  JournalHarness h;
  const uint64_t syncs = h.store.syncs();
  CommitOp op = AcceptOp(Seq(1));
  uint64_t syncs_at_decision = 0;
  bool row_at_decision = true;
  op.decided = [&](const CommitVerdict& v) {
    EXPECT_EQ(v.kind, Kind::kAccepted);
    syncs_at_decision = h.store.syncs();
    row_at_decision = h.Has(Table::kInbox, MessageKey(kAgent, Seq(1)));
    EXPECT_EQ(h.journal->committer().deciding_round(), h.journal->committer().durable_round() + 1);
  };
  bool durable = false;
  op.durable = [&] {
    durable = true;
    EXPECT_EQ(h.store.syncs(), syncs + 1);
    EXPECT_TRUE(h.Has(Table::kInbox, MessageKey(kAgent, Seq(1))));
    EXPECT_EQ(h.journal->committer().durable_round(), h.journal->committer().deciding_round());
  };
  h.journal->committer().Submit(std::move(op));
  EXPECT_FALSE(durable);
  h.world.RunReady();
  EXPECT_TRUE(durable);
  EXPECT_EQ(syncs_at_decision, syncs);
  EXPECT_FALSE(row_at_decision);
}

TEST(Committer, OneWriteAndOneSyncForAllThatIsQueued) {
  JournalHarness h;
  const uint64_t writes = h.store.writes();
  std::vector<std::shared_ptr<JournalHarness::Outcome>> outcomes;
  for (uint64_t i = 1; i <= 100; ++i) outcomes.push_back(h.Submit(AcceptOp(Seq(i))));
  h.world.RunReady();
  EXPECT_EQ(h.store.writes(), writes + 1);
  for (const auto& outcome : outcomes) EXPECT_EQ(outcome->durable, 1);
  ASSERT_EQ(h.log.size(), 200u);
  EXPECT_EQ(std::count(h.log.begin(), h.log.begin() + 100, "decided"), 100);
  EXPECT_EQ(h.journal->committer().queued_bytes(), 0u);
}

TEST(Committer, ARoundTakesAtMostItsOps) {
  JournalHarness h;
  const uint64_t writes = h.store.writes();
  for (uint64_t i = 1; i <= kMaxRoundOps; ++i) h.Submit(AcceptOp(Seq(i)));
  h.world.RunReady();
  EXPECT_EQ(h.store.writes(), writes + 1);
  for (uint64_t i = 1; i <= kMaxRoundOps + 1; ++i) h.Submit(AcceptOp(Seq(1000 + i)));
  h.world.RunReady();
  EXPECT_EQ(h.store.writes(), writes + 3);
}

TEST(Committer, ARoundTakesAtMostItsBytesButAlwaysOneOp) {
  JournalHarness h;
  const auto big = [](uint64_t seq, size_t bytes) {
    CommitOp op;
    op.rows.Put(Table::kInbox, MessageKey(kAgent, Seq(seq)), std::string(bytes, 'x'));
    return op;
  };
  const uint64_t writes = h.store.writes();
  h.Submit(big(1, kMaxRoundBytes * 2));
  h.Submit(big(2, kMaxRoundBytes * 2));
  h.world.RunReady();
  EXPECT_EQ(h.store.writes(), writes + 2);
  h.Submit(big(3, kMaxRoundBytes / 2 - 1024));
  h.Submit(big(4, kMaxRoundBytes / 2 - 1024));
  h.world.RunReady();
  EXPECT_EQ(h.store.writes(), writes + 3);
  h.Submit(big(5, kMaxRoundBytes / 2));
  h.Submit(big(6, kMaxRoundBytes / 2));
  h.world.RunReady();
  EXPECT_EQ(h.store.writes(), writes + 5);
}

TEST(Committer, OrderHoldsAcrossRounds) {
  JournalHarness h;
  std::vector<uint64_t> order;
  for (uint64_t i = 1; i <= 3 * kMaxRoundOps + 7; ++i) {
    CommitOp op = AcceptOp(Seq(i));
    op.durable = [&order, i] { order.push_back(i); };
    h.journal->committer().Submit(std::move(op));
    if (i % 300 == 0) h.world.RunFor(0);
  }
  h.world.RunReady();
  ASSERT_EQ(order.size(), 3 * kMaxRoundOps + 7);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(h.store.rows(Table::kInbox), order.size());
}

TEST(Committer, OtherTasksOfTheStrandGetTheirTurnBetweenRounds) {
  JournalHarness h;
  for (uint64_t i = 1; i <= 2 * kMaxRoundOps; ++i) h.Submit(AcceptOp(Seq(i)));
  size_t rows_seen = 0;
  h.strand->Post([&] { rows_seen = h.store.rows(Table::kInbox); });
  h.world.RunReady();
  EXPECT_EQ(rows_seen, kMaxRoundOps);
}

TEST(Committer, NoSyncWhereNobodyAskedForOne) {
  JournalHarness h;
  const uint64_t syncs = h.store.syncs();
  const uint64_t durable = h.journal->committer().durable_round();
  h.Run(AcceptOp(Seq(1)), /*ask_durable=*/false);
  EXPECT_EQ(h.store.syncs(), syncs);
  EXPECT_TRUE(h.Has(Table::kInbox, MessageKey(kAgent, Seq(1))));
  EXPECT_EQ(h.journal->committer().durable_round(), durable);
  h.Run(AcceptOp(Seq(2)));
  EXPECT_EQ(h.store.syncs(), syncs + 1);
  EXPECT_EQ(h.journal->committer().durable_round(), durable + 2);
}

TEST(Committer, UnsyncedRoundsAreBounded) {
  JournalHarness h;
  const uint64_t syncs = h.store.syncs();
  for (uint64_t i = 1; i < kMaxUnsyncedRounds; ++i) h.Run(AcceptOp(Seq(i)), false);
  EXPECT_EQ(h.store.syncs(), syncs);
  h.Run(AcceptOp(Seq(kMaxUnsyncedRounds)), false);
  EXPECT_EQ(h.store.syncs(), syncs + 1);
}

TEST(Committer, ABarrierMakesEarlierRoundsDurable) {
  JournalHarness h;
  h.Run(AcceptOp(Seq(1)), /*ask_durable=*/false);
  const uint64_t syncs = h.store.syncs();
  bool done = false;
  h.journal->committer().Barrier([&] { done = true; });
  h.world.RunReady();
  EXPECT_TRUE(done);
  EXPECT_EQ(h.store.syncs(), syncs + 1);
  h.PowerCutAndReopen();
  EXPECT_TRUE(h.Has(Table::kInbox, MessageKey(kAgent, Seq(1))));

  done = false;
  const uint64_t writes = h.store.writes();
  h.journal->committer().Barrier([&] { done = true; });
  h.world.RunReady();
  EXPECT_TRUE(done);
  EXPECT_EQ(h.store.writes(), writes) << "nothing was written since the last sync";
}

// A disk whose every sync takes `sync_ns`, and a clock that knows.
class SlowDisk final : public Store, public Clock {
 public:
  explicit SlowDisk(int64_t sync_ns) : sync_ns_(sync_ns) {}
  absl::Status Write(const RowBatch& batch, Sync sync) override {
    if (sync == Sync::kYes) now_ns_ += sync_ns_;
    if (sync == Sync::kYes && during_sync) {
      const std::function<void()> call = during_sync;  // it may clear the member
      call();
    }
    return rows_.Write(batch, sync);
  }
  absl::StatusOr<std::optional<std::string>> Get(Table table, std::string_view key) const override {
    return rows_.Get(table, key);
  }
  absl::Status Scan(Table table, std::string_view from, std::string_view to,
                    const Each& each) const override {
    return rows_.Scan(table, from, to, each);
  }
  absl::StatusOr<uint64_t> FreeBytes() const override { return rows_.FreeBytes(); }
  int64_t WallNanos() const override { return now_ns_; }
  int64_t MonoNanos() const override { return now_ns_; }
  uint64_t syncs() const { return rows_.syncs(); }

  std::function<void()> during_sync;

 private:
  testing::MemStore rows_;
  int64_t sync_ns_;
  int64_t now_ns_ = 0;
};

class SyncTimes final : public CommitObserver {
 public:
  void OnSync(int64_t duration_ns) override { times.push_back(duration_ns); }
  std::vector<int64_t> times;
};

TEST(Observer, IsToldHowLongEachSyncTook) {
  caxton::testing::SimWorld world;
  SlowDisk disk(3 * kNanosPerMilli);
  SyncTimes observer;
  JournalOptions options;
  options.observer = &observer;
  auto journal = *Journal::Open(&disk, world.NewExecutor(), &disk, options, nullptr);
  journal->committer().Submit(AcceptOp(Seq(1)));  // nobody waits for the disk
  world.RunReady();
  EXPECT_TRUE(observer.times.empty());
  CommitOp op = AcceptOp(Seq(2));
  op.durable = [] {};
  journal->committer().Submit(std::move(op));
  world.RunReady();
  EXPECT_EQ(observer.times, std::vector<int64_t>{3 * kNanosPerMilli});
}

struct ClosedLoop {
  uint64_t syncs_at_once = 0;  // without waiting for those that were answered
  uint64_t syncs_in_the_end = 0;
};
// Two groups of clients: one waits for a sync, the other comes while it runs; then the first comes
// back.
ClosedLoop RunClosedLoop(int64_t sync_ns, size_t group) {
  caxton::testing::SimWorld world;
  SlowDisk disk(sync_ns);
  auto journal = *Journal::Open(&disk, world.NewExecutor(), &disk, {}, nullptr);
  uint64_t next = 1;
  const auto submit = [&] {
    for (size_t i = 0; i < group; ++i) {
      CommitOp op = AcceptOp(Seq(next++));
      op.durable = [] {};
      journal->committer().Submit(std::move(op));
    }
  };
  submit();
  disk.during_sync = [&] {
    disk.during_sync = nullptr;
    submit();
  };
  const uint64_t before = disk.syncs();
  ClosedLoop loop;
  world.RunReady();
  loop.syncs_at_once = disk.syncs() - before;
  submit();
  world.RunReady();
  loop.syncs_in_the_end = disk.syncs() - before;
  return loop;
}

TEST(Gathering, OnASlowDiskTwoGroupsBecomeOne) {
  const ClosedLoop slow = RunClosedLoop(4 * kNanosPerMilli, 32);
  EXPECT_EQ(slow.syncs_at_once, 1u);
  EXPECT_EQ(slow.syncs_in_the_end, 2u);
  const ClosedLoop fast = RunClosedLoop(kGatherFromNanos, 32);
  EXPECT_EQ(fast.syncs_at_once, 2u);
  EXPECT_EQ(fast.syncs_in_the_end, 3u);
  EXPECT_EQ(RunClosedLoop(4 * kNanosPerMilli, kMinGatherOps / 2 - 1).syncs_at_once, 2u)
      << "few are not worth a wait";
  EXPECT_EQ(RunClosedLoop(4 * kNanosPerMilli, kMinGatherOps / 2).syncs_at_once, 1u);
  EXPECT_EQ(RunClosedLoop(4 * kNanosPerMilli, kMaxRoundOps).syncs_at_once, 2u)
      << "a full round waits for nobody";
}

TEST(Gathering, EndsByItselfAndForAWithdrawal) {
  caxton::testing::SimWorld world;
  SlowDisk disk(5 * kNanosPerMilli);
  auto journal = *Journal::Open(&disk, world.NewExecutor(), &disk, {}, nullptr);
  uint64_t next = 1;
  int durable = 0;
  const auto submit = [&] {
    CommitOp op = AcceptOp(Seq(next++));
    op.durable = [&] { ++durable; };
    journal->committer().Submit(std::move(op));
  };
  for (int i = 0; i < 20; ++i) submit();
  world.RunReady();
  EXPECT_EQ(durable, 20);
  submit();  // of those answered one comes back
  world.RunReady();
  EXPECT_EQ(durable, 20);
  world.RunFor(kNanosPerMilli);
  EXPECT_EQ(durable, 21) << "a quarter of the excess over 1 ms";

  for (int i = 0; i < 20; ++i) submit();
  world.RunFor(kMaxGatherNanos);
  for (int i = 0; i < 20; ++i) submit();
  world.RunReady();
  const int before = durable;
  submit();
  CommitOp record;
  bool withdrawn = false;
  record.durable = [&] { withdrawn = true; };
  journal->committer().Withdraw(kRevision, std::move(record));
  world.RunReady();
  EXPECT_TRUE(withdrawn) << "a withdrawal waits for nobody";
  EXPECT_EQ(durable, before + 1);
}

TEST(Guard, ATicketCommitsOnce) {
  JournalHarness h;
  h.Run(AcceptOp(Seq(1)));
  TicketCell cell = MakeCell(5);
  auto first = h.Submit(WithGuard(StepOp(Seq(1)), kRevision, 5, cell));
  auto second = h.Submit(WithGuard(StepOp(Seq(1)), kRevision, 5, cell));
  h.world.RunReady();
  EXPECT_EQ(first->kind(), Kind::kAccepted);
  EXPECT_EQ(second->kind(), Kind::kStaleTicket);
  EXPECT_EQ(second->durable, 0);
  EXPECT_EQ(cell->load(), 0u);
  EXPECT_EQ(h.journal->Counters(kAgent).completed, 1u);
}

TEST(Guard, DispatchingAgainRevokesTheOlderTicket) {
  JournalHarness h;
  h.Run(AcceptOp(Seq(1)));
  TicketCell cell = MakeCell(6);
  EXPECT_EQ(h.Run(WithGuard(StepOp(Seq(1)), kRevision, 5, cell))->kind(), Kind::kStaleTicket);
  EXPECT_EQ(cell->load(), 6u) << "a refused step leaves the newer ticket alone";
  EXPECT_EQ(h.Run(WithGuard(StepOp(Seq(1)), kRevision, 6, cell))->kind(), Kind::kAccepted);
  EXPECT_EQ(h.Run(WithGuard(CommitOp(), kRevision, 0, MakeCell(0)))->kind(), Kind::kStaleTicket);
}

TEST(Fence, RefusesWhatIsNotDecidedYet) {
  JournalHarness h;
  h.Run(AcceptOp(Seq(1)));
  h.Run(AcceptOp(Seq(2)));
  EXPECT_EQ(h.Run(WithGuard(StepOp(Seq(1)), kRevision, 1, MakeCell(1)))->kind(), Kind::kAccepted);
  TicketCell cell = MakeCell(2);
  auto queued = h.Submit(WithGuard(StepOp(Seq(2)), kRevision, 2, cell));
  h.journal->committer().Withdraw(kRevision, CommitOp());
  h.world.RunReady();
  EXPECT_EQ(queued->kind(), Kind::kWithdrawn);
  EXPECT_EQ(cell->load(), 2u);
  EXPECT_TRUE(h.Has(Table::kInbox, MessageKey(kAgent, Seq(2))));

  // Other revisions are not touched, and the message runs on one of them.
  const RevisionRef stable{kAgent, RevisionNumber(1)};
  cell->store(3);
  EXPECT_EQ(h.Run(WithGuard(StepOp(Seq(2)), stable, 3, cell))->kind(), Kind::kAccepted);
}

TEST(Fence, HoldsInsideARound) {
  JournalHarness h;
  h.Run(AcceptOp(Seq(1)));
  CommitOp first = AcceptOp(Seq(2));
  first.decided = [&](const CommitVerdict&) {
    h.journal->committer().Withdraw(kRevision, CommitOp());
  };
  h.journal->committer().Submit(std::move(first));
  auto second = h.Submit(WithGuard(StepOp(Seq(1)), kRevision, 1, MakeCell(1)));
  h.world.RunReady();
  EXPECT_EQ(second->kind(), Kind::kWithdrawn);
}

TEST(Fence, TheRecordGoesAheadOfAllThatIsQueued) {
  JournalHarness h;
  std::vector<std::string> order;
  for (uint64_t i = 1; i <= kMaxRoundOps + 1; ++i) {
    CommitOp op = AcceptOp(Seq(i));
    op.decided = [&](const CommitVerdict&) { order.push_back("accept"); };
    h.journal->committer().Submit(std::move(op));
  }
  CommitOp record;
  record.rows.Put(Table::kRoutes, AgentKey(kAgent), "route");
  record.decided = [&](const CommitVerdict&) { order.push_back("withdraw"); };
  bool durable = false;
  record.durable = [&] {
    durable = true;
    EXPECT_LT(h.store.rows(Table::kInbox), kMaxRoundOps + 1) << "in the first round";
  };
  h.journal->committer().Withdraw(kRevision, std::move(record));
  h.world.RunReady();
  EXPECT_TRUE(durable);
  ASSERT_FALSE(order.empty());
  EXPECT_EQ(order.front(), "withdraw");
  EXPECT_EQ(order.size(), kMaxRoundOps + 2);
}

TEST(Counters, TheSumHoldsAndSurvives) {
  JournalHarness h;
  for (uint64_t i = 1; i <= 5; ++i) h.Submit(AcceptOp(Seq(i)));
  h.Submit(AcceptOp(Seq(6), kOther));
  h.Submit(StepOp(Seq(1)));
  CommitOp dead;
  dead.rows.Delete(Table::kInbox, MessageKey(kAgent, Seq(2)));
  dead.counters.push_back({.agent = kAgent, .dead = 1, .waiting = -1, .retries = 2});
  h.Submit(std::move(dead));
  CommitOp dropped;
  dropped.rows.Delete(Table::kInbox, MessageKey(kAgent, Seq(3)));
  dropped.counters.push_back({.agent = kAgent, .dropped = 1, .waiting = -1});
  h.Submit(std::move(dropped));
  const uint64_t rows = h.store.rows(Table::kCounters);
  h.world.RunReady();
  EXPECT_EQ(h.store.rows(Table::kCounters), rows + 2) << "one row per agent";
  for (int reopened = 0; reopened < 2; ++reopened) {
    const CounterRow c = h.journal->Counters(kAgent);
    EXPECT_EQ(c.accepted, 5u);
    EXPECT_EQ(c.completed, 1u);
    EXPECT_EQ(c.dead, 1u);
    EXPECT_EQ(c.dropped, 1u);
    EXPECT_EQ(c.waiting, 2u);
    EXPECT_EQ(c.retries, 2u);
    EXPECT_EQ(h.journal->Counters(kOther).waiting, 1u);
    h.PowerCutAndReopen();
  }
}

TEST(Counters, ARefusedOpCountsNothing) {
  JournalHarness h;
  h.Run(AcceptOp(Seq(1)));
  h.Run(WithGuard(StepOp(Seq(1)), kRevision, 1, MakeCell(9)));
  EXPECT_EQ(h.journal->Counters(kAgent).completed, 0u);
  EXPECT_EQ(h.journal->Counters(kAgent).waiting, 1u);
}

TEST(CountersDeathTest, WhatDoesNotBalanceStopsTheProcess) {
  JournalHarness h;
  CommitOp op;
  op.counters.push_back({.agent = kAgent, .accepted = 1});
  h.Submit(std::move(op));
  EXPECT_DEATH(h.world.RunReady(), "balance");
}

TEST(CountersDeathTest, BelowZeroStopsTheProcess) {
  JournalHarness h;
  h.Submit(StepOp(Seq(1)));
  EXPECT_DEATH(h.world.RunReady(), "below zero");
}

Observation MakeObservation(uint64_t deployment, int64_t at_ms) {
  Observation o;
  o.deployment = DeploymentId(deployment);
  o.at_ms = at_ms;
  return o;
}

TEST(Evidence, IsNumberedPerDeploymentAcrossRestarts) {
  JournalHarness h;
  const auto add = [&](uint64_t deployment, int64_t at_ms) {
    CommitOp op;
    op.evidence.push_back(MakeObservation(deployment, at_ms));
    h.Run(std::move(op));
  };
  int64_t at = 0;
  for (int restart = 0; restart < 4; ++restart) {
    for (int i = 0; i <= restart * 2; ++i) add(1, ++at);
    add(2, 1);
    h.KillAndReopen();
  }
  for (int64_t n = 1; n <= at; ++n) {
    EXPECT_TRUE(h.Has(Table::kEvidence, EvidenceKey(DeploymentId(1), uint64_t(n)))) << n;
  }
  EXPECT_EQ(h.store.rows(Table::kEvidence), size_t(at) + 4);
  std::vector<int64_t> seen;
  ASSERT_TRUE(
      h.journal
          ->ScanEvidence(DeploymentId(1), [&](const Observation& o) { seen.push_back(o.at_ms); })
          .ok());
  ASSERT_EQ(seen.size(), size_t(at));
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(Failure, AFailedWriteIsFatalOnceAndNothingIsReported) {
  JournalHarness h;
  h.store.FailWrites(absl::UnavailableError("no"));
  auto outcome = h.Run(AcceptOp(Seq(1)));
  EXPECT_EQ(outcome->durable, 0);
  ASSERT_EQ(h.fatals.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(h.fatals[0]));
  h.store.Heal();
  auto later = h.Run(AcceptOp(Seq(2)));
  EXPECT_TRUE(later->verdicts.empty());
  EXPECT_EQ(later->durable, 0);
  EXPECT_EQ(h.fatals.size(), 1u);
}

TEST(Failure, AFailedSyncIsFatal) {
  JournalHarness h;
  h.store.FailSyncs(absl::InternalError("fsync: Input/output error"));
  EXPECT_EQ(h.Run(AcceptOp(Seq(1)), /*ask_durable=*/false)->durable, 0);
  EXPECT_TRUE(h.fatals.empty());
  EXPECT_EQ(h.Run(AcceptOp(Seq(2)))->durable, 0);
  EXPECT_EQ(h.fatals.size(), 1u);
}

TEST(Lifecycle, ARoundThatOutlivesTheJournalDoesNothing) {
  JournalHarness h;
  auto outcome = h.Submit(AcceptOp(Seq(1)));
  h.journal.reset();
  h.world.RunReady();
  EXPECT_TRUE(outcome->verdicts.empty());
}

}  // namespace
}  // namespace caxton::journal
