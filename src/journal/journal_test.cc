// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/journal.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "caxton/base/notification.h"
#include "caxton/base/random.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/thread_executor.h"
#include "caxton/base/wire.h"
#include "caxton/journal/limits.h"
#include "journal_fixture.h"

namespace caxton::journal {
namespace {

void WriteRow(testing::MemStore* store, Table table, std::string key, std::string value) {
  RowBatch rows;
  rows.Put(table, std::move(key), std::move(value));
  ASSERT_TRUE(store->Write(rows, Sync::kYes).ok());
}

TEST(Open, CountsItsStarts) {
  JournalHarness h;
  EXPECT_EQ(h.journal->start_count(), 1u);
  h.PowerCutAndReopen();
  EXPECT_EQ(h.journal->start_count(), 2u);
}

TEST(Open, RefusesANewerFormatAndChangesNothing) {
  JournalHarness h;
  h.Kill();
  std::string newer;
  ByteWriter(&newer).U32(kFormatVersion + 1);
  WriteRow(&h.store, Table::kMeta, "format", newer);
  const uint64_t writes = h.store.writes();
  const absl::Status status = h.TryOpen();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_TRUE(StrContains(StdView(status.message()),
                          StrCat("written by a newer Caxton (format ", kFormatVersion + 1,
                                 ", this one reads up to ", kFormatVersion, ")")))
      << status;
  EXPECT_FALSE(FixOf(status).empty());
  EXPECT_EQ(h.store.writes(), writes);
}

TEST(Open, RefusesAFormatFromBeforeTheFirstRelease) {
  JournalHarness h;
  h.Kill();
  std::string older;
  ByteWriter(&older).U32(kOldestFormatVersion - 1);
  WriteRow(&h.store, Table::kMeta, "format", older);
  const uint64_t writes = h.store.writes();
  const absl::Status status = h.TryOpen();
  EXPECT_EQ(ReasonOf(status), "JOURNAL_TOO_OLD");
  EXPECT_FALSE(FixOf(status).empty());
  EXPECT_EQ(h.store.writes(), writes);
}

TEST(Open, RefusesDamagedRows) {
  JournalHarness h;
  h.Kill();
  WriteRow(&h.store, Table::kMeta, "format", "x");
  EXPECT_TRUE(absl::IsDataLoss(h.TryOpen()));
  std::string format;
  ByteWriter(&format).U32(kFormatVersion);
  WriteRow(&h.store, Table::kMeta, "format", format);
  WriteRow(&h.store, Table::kCounters, AgentKey(kAgent), "garbage");
  const absl::Status status = h.TryOpen();
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_NE(status.message().find("agent 7"), absl::string_view::npos) << status;
}

TEST(Open, CountsTheWaitingRowsAgain) {
  JournalHarness h;
  h.Run(AcceptOp(Seq(1)));
  h.Run(AcceptOp(Seq(2)));
  h.Kill();
  // As a fault of ours would leave it: rows that no counter knows of.
  WriteRow(&h.store, Table::kInbox, MessageKey(kAgent, Seq(3)), EncodedEnvelope("x"));
  WriteRow(&h.store, Table::kHeld, MessageKey(kOther, Seq(4)), "held");
  h.Open();
  EXPECT_EQ(h.journal->Counters(kAgent).waiting, 3u);
  EXPECT_EQ(h.journal->Counters(kAgent).accepted, 3u);
  EXPECT_EQ(h.journal->Counters(kOther).waiting, 1u);
  EXPECT_EQ(h.journal->RecoverImage()->counters.at(kAgent).waiting, 3u);
}

TEST(Recover, StreamsWhatWasThere) {
  JournalHarness h;
  CommitOp op;
  AgentRecord agent{kAgent, "greeter", 3, false, false, 1};
  std::string bytes;
  Encode(agent, &bytes);
  op.rows.Put(Table::kAgents, AgentKey(kAgent), bytes);
  RouteRecord route;
  route.agent = kAgent;
  route.stable = RevisionNumber(2);
  bytes.clear();
  Encode(route, &bytes);
  op.rows.Put(Table::kRoutes, AgentKey(kAgent), bytes);
  Revision revision;
  revision.agent = "greeter";
  revision.ref = {kAgent, RevisionNumber(2)};
  bytes.clear();
  EncodeRevision(revision, &bytes);
  op.rows.Put(Table::kRevisions, RevisionKey(revision.ref), bytes);
  op.rows.Put(Table::kDeployments, DeploymentKey(DeploymentId(300)), "later");
  op.rows.Put(Table::kDeployments, DeploymentKey(DeploymentId(5)), "first");
  HeldRecord held;
  held.envelope = MakeEnvelope("held");
  bytes.clear();
  Encode(held, &bytes);
  op.rows.Put(Table::kHeld, MessageKey(kAgent, Seq(1)), bytes);
  h.Run(std::move(op));
  h.Run(AcceptOp(Seq(0x1'0000'0001)));
  h.Run(AcceptOp(Seq(2)));
  h.Run(AcceptOp(Seq(3), AgentId(1)));
  h.PowerCutAndReopen();

  const JournalImage image = *h.journal->RecoverImage();
  ASSERT_EQ(image.agents.size(), 1u);
  EXPECT_EQ(image.agents[0].name, "greeter");
  ASSERT_EQ(image.routes.size(), 1u);
  EXPECT_EQ(image.routes[0].stable, RevisionNumber(2));
  ASSERT_EQ(image.revisions.size(), 1u);
  ASSERT_EQ(image.deployments.size(), 2u);
  EXPECT_EQ(image.deployments[0].second, "first");
  std::vector<std::pair<AgentId, Seq>> order;
  ASSERT_TRUE(h.journal
                  ->RecoverInbox([&](AgentId a, Seq s, Envelope e) {
                    order.emplace_back(a, s);
                    EXPECT_EQ(e.content, "hello");
                  })
                  .ok());
  EXPECT_EQ(order, (std::vector<std::pair<AgentId, Seq>>{
                       {AgentId(1), Seq(3)}, {kAgent, Seq(2)}, {kAgent, Seq(0x1'0000'0001)}}));
  int seen = 0;
  ASSERT_TRUE(h.journal
                  ->RecoverHeld([&](AgentId, Seq, HeldRecord r) {
                    ++seen;
                    EXPECT_EQ(r.envelope.content, "held");
                  })
                  .ok());
  EXPECT_EQ(seen, 1);
}

TEST(Recover, ADamagedMessageIsNamed) {
  JournalHarness h;
  WriteRow(&h.store, Table::kInbox, MessageKey(kAgent, Seq(5)), "garbage");
  const absl::Status status = h.journal->RecoverInbox([](AgentId, Seq, Envelope) {});
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_NE(status.message().find("agent 7, message 5"), absl::string_view::npos) << status;
}

TEST(DeadLetters, AreListedAndFetched) {
  JournalHarness h;
  DeadLetterRecord dead;
  dead.envelope = MakeEnvelope("x");
  dead.cause = "rejected";
  std::string bytes;
  Encode(dead, &bytes);
  for (uint64_t seq : {3, 1, 2}) {
    CommitOp op;
    op.rows.Put(Table::kDead, MessageKey(kAgent, Seq(seq)), bytes);
    op.rows.Put(Table::kDead, MessageKey(kOther, Seq(seq)), bytes);
    h.Run(std::move(op));
  }
  std::vector<Seq> seen;
  ASSERT_TRUE(h.journal
                  ->ScanDeadLetters(kAgent, Seq(2),
                                    [&](Seq seq, const DeadLetterRecord& r) {
                                      EXPECT_EQ(r.cause, "rejected");
                                      seen.push_back(seq);
                                      return true;
                                    })
                  .ok());
  EXPECT_EQ(seen, (std::vector<Seq>{Seq(2), Seq(3)}));
  EXPECT_TRUE(h.journal->GetDeadLetter(kAgent, Seq(1)).ok());
  EXPECT_TRUE(absl::IsNotFound(h.journal->GetDeadLetter(kAgent, Seq(9)).status()));
}

CommitOp RetainOp(AgentId agent, uint64_t seq, size_t bytes = 10) {
  CommitOp op;
  RetainedRecord record;
  record.seq = Seq(seq);
  record.envelope = MakeEnvelope(std::string(bytes, 'x'));
  op.retain.emplace_back(agent, std::move(record));
  return op;
}

struct Tail {
  uint64_t first = 0;
  std::vector<uint64_t> numbers;
};
Tail ReadTail(const JournalHarness& h, AgentId agent, uint64_t cursor) {
  Tail tail;
  tail.first = *h.journal->ScanRetained(agent, cursor, [&](uint64_t n, const RetainedRecord&) {
    tail.numbers.push_back(n);
    return true;
  });
  return tail;
}

TEST(Retained, NothingIsKeptWhereRetentionIsOff) {
  JournalHarness h;
  h.Run(RetainOp(kAgent, 1));
  EXPECT_EQ(h.store.rows(Table::kRetained), 0u);
  EXPECT_TRUE(ReadTail(h, kAgent, 1).numbers.empty());
}

TEST(Retained, RowsAreNumberedAcrossRestartsAndSwitches) {
  JournalHarness h;
  h.journal->SetRetention(kAgent, true);
  h.Run(RetainOp(kAgent, 1));
  h.Run(RetainOp(kOther, 9));
  h.Run(RetainOp(kAgent, 2));
  EXPECT_EQ(ReadTail(h, kAgent, 1).numbers, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(ReadTail(h, kAgent, 2).numbers, (std::vector<uint64_t>{2}));
  h.PowerCutAndReopen();
  h.Run(RetainOp(kAgent, 3));
  EXPECT_EQ(ReadTail(h, kAgent, 1).numbers, (std::vector<uint64_t>{1, 2, 3}));
  h.journal->SetRetention(kAgent, false);
  h.Run(RetainOp(kAgent, 4));
  EXPECT_EQ(h.store.rows(Table::kRetained), 0u);
  EXPECT_EQ(ReadTail(h, kAgent, 1).first, 4u) << "the caller sees the gap";
  h.PowerCutAndReopen();
  h.journal->SetRetention(kAgent, true);
  h.Run(RetainOp(kAgent, 5));
  EXPECT_EQ(ReadTail(h, kAgent, 1).numbers, (std::vector<uint64_t>{4}));
}

TEST(Retained, TheSwitchIsJournaledAndShownInTheImage) {
  JournalHarness h;
  CommitOp op;
  std::string bytes;
  Encode(AgentRecord{kAgent, "greeter", 1, false, false, 1}, &bytes);
  op.rows.Put(Table::kAgents, AgentKey(kAgent), bytes);
  h.Run(std::move(op));
  EXPECT_FALSE(h.journal->RecoverImage()->agents[0].retain);
  h.journal->SetRetention(kAgent, true);
  h.world.RunReady();
  h.PowerCutAndReopen();
  EXPECT_TRUE(h.journal->RecoverImage()->agents[0].retain);
}

TEST(Retained, AnAgentRecordMaySwitchItOnAtOpen) {
  JournalHarness h;
  CommitOp op;
  std::string bytes;
  Encode(AgentRecord{kAgent, "greeter", 1, false, true, 1}, &bytes);
  op.rows.Put(Table::kAgents, AgentKey(kAgent), bytes);
  h.Run(std::move(op));
  h.KillAndReopen();
  h.Run(RetainOp(kAgent, 1));
  EXPECT_EQ(h.store.rows(Table::kRetained), 1u);
}

TEST(Retained, TheOldestAreTrimmed) {
  JournalOptions options;
  options.max_retained_bytes = 64 * 1024;
  JournalHarness h(options);
  h.journal->SetRetention(kAgent, true);
  for (uint64_t i = 1; i <= 200; ++i) h.Run(RetainOp(kAgent, i, 1000));
  size_t bytes = 0;
  ASSERT_TRUE(h.store
                  .Scan(Table::kRetained, "", EndOfTable(),
                        [&](std::string_view k, std::string_view v) {
                          bytes += k.size() + v.size();
                          return true;
                        })
                  .ok());
  EXPECT_LE(bytes, options.max_retained_bytes);
  EXPECT_GT(bytes, options.max_retained_bytes - options.max_retained_bytes / 16);
  const Tail tail = ReadTail(h, kAgent, 1);
  ASSERT_FALSE(tail.numbers.empty());
  EXPECT_EQ(tail.first, tail.numbers.front());
  EXPECT_EQ(tail.numbers.back(), 200u);
  EXPECT_EQ(tail.numbers.size(), 200u - tail.first + 1) << "no hole";
  EXPECT_EQ(h.store.rows(Table::kRetained), tail.numbers.size());
}

TEST(Retained, ARowBiggerThanTheBoundIsTrimmedByTheNext) {
  JournalOptions options;
  options.max_retained_bytes = 100;
  JournalHarness h(options);
  h.journal->SetRetention(kAgent, true);
  for (uint64_t i = 1; i <= 3; ++i) {
    h.Run(RetainOp(kAgent, i, 1000));
    EXPECT_EQ(ReadTail(h, kAgent, 1).numbers, (std::vector<uint64_t>{i}));
  }
}

TEST(Retained, WatchersAreCalledOnceTheRowsAreDurable) {
  JournalHarness h;
  h.journal->SetRetention(kAgent, true);
  h.world.RunReady();
  int calls = 0;
  const uint64_t id = h.journal->WatchRetained(kAgent, [&] {
    ++calls;
    EXPECT_FALSE(ReadTail(h, kAgent, 1).numbers.empty());
  });
  const uint64_t syncs = h.store.syncs();
  h.Run(RetainOp(kAgent, 1), /*ask_durable=*/false);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(h.store.syncs(), syncs + 1) << "a waiting tail is a reason to sync";
  h.Run(RetainOp(kOther, 1));
  EXPECT_EQ(calls, 1);
  h.journal->UnwatchRetained(id);
  h.Run(RetainOp(kAgent, 2), /*ask_durable=*/false);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(h.store.syncs(), syncs + 1) << "nobody waits";
  EXPECT_EQ(ReadTail(h, kAgent, 1).numbers, (std::vector<uint64_t>{1})) << "2 is not durable yet";
}

TEST(Ingress, StopsAtTheReserveAndComesBack) {
  JournalHarness h;
  EXPECT_TRUE(h.journal->IngressAllowed().ok());
  h.store.SetFreeBytes(h.options.disk_reserve_bytes);
  h.world.RunFor(kDiskCheckNanos);
  EXPECT_TRUE(h.journal->IngressAllowed().ok()) << "at the reserve, not below";
  h.store.SetFreeBytes(h.options.disk_reserve_bytes - 1);
  EXPECT_TRUE(h.journal->IngressAllowed().ok()) << "not looked at yet";
  h.world.RunFor(kDiskCheckNanos);
  const absl::Status status = h.journal->IngressAllowed();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(ReasonOf(status), "DISK_RESERVE");
  EXPECT_EQ(RetryAfterMsOf(status), 1000);
  h.store.SetFreeBytes(h.options.disk_reserve_bytes);
  h.world.RunFor(kDiskCheckNanos);
  EXPECT_TRUE(h.journal->IngressAllowed().ok());
}

TEST(Ingress, TheDiskIsLookedAtEveryFewRounds) {
  JournalHarness h;
  const uint64_t looks = h.store.free_bytes_calls();
  for (uint64_t i = 1; i < kDiskCheckRounds; ++i) h.Run(AcceptOp(Seq(i)));
  EXPECT_EQ(h.store.free_bytes_calls(), looks);
  h.store.SetFreeBytes(0);
  h.Run(AcceptOp(Seq(kDiskCheckRounds)));
  EXPECT_EQ(h.store.free_bytes_calls(), looks + 1);
  EXPECT_FALSE(h.journal->IngressAllowed().ok());
}

TEST(Ingress, StopsWhileTheStoreIsStalled) {
  JournalHarness h;
  h.store.SetStalled(true);
  EXPECT_EQ(ReasonOf(h.journal->IngressAllowed()), "STORE_STALLED");
  h.store.SetStalled(false);
  EXPECT_TRUE(h.journal->IngressAllowed().ok());
}

// Every call that may come from any thread, from several threads at once; for the thread sanitizer.
TEST(Threads, ShareTheJournal) {
  constexpr int kSubmitters = 3;
  constexpr uint64_t kOpsEach = 400;
  const SystemClock clock;
  testing::MemStore store;
  ThreadExecutor executor("committer", clock);
  auto journal = *Journal::Open(&store, &executor, &clock, {}, nullptr);
  journal->SetRetention(kAgent, true);
  std::atomic<uint64_t> durable = 0, called = 0;
  const uint64_t watcher = journal->WatchRetained(kAgent, [&] { ++called; });
  std::vector<std::thread> threads;
  for (int t = 0; t < kSubmitters; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 1; i <= kOpsEach; ++i) {
        const Seq seq((uint64_t(t) << 40) + i);
        CommitOp op = WithClaim(AcceptOp(seq), StrCat(t, "/", i), seq);
        op.retain = RetainOp(kAgent, i).retain;
        op.durable = [&] { ++durable; };
        journal->committer().Submit(std::move(op));
        if (i % 100 == 0) {
          const RevisionRef revision{kAgent, RevisionNumber(uint32_t(i))};
          journal->committer().Withdraw(revision, CommitOp());
        }
        if (i % 10 == 0) {
          EXPECT_LE(journal->Counters(kAgent).accepted, kSubmitters * kOpsEach);
          EXPECT_TRUE(journal->IngressAllowed().ok());
          const auto each = [](uint64_t, const RetainedRecord&) { return true; };
          EXPECT_TRUE(journal->ScanRetained(kAgent, i, each).ok());
          EXPECT_LE(journal->committer().durable_round(), kSubmitters * kOpsEach * 2);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Waited for before the strand is stopped: a stopping strand takes no further round.
  Notification done;
  journal->committer().Barrier([&] { done.Notify(); });
  done.WaitForNotification();
  executor.Stop();
  EXPECT_EQ(durable, kSubmitters * kOpsEach);
  EXPECT_EQ(journal->Counters(kAgent).waiting, kSubmitters * kOpsEach);
  EXPECT_GT(called, 0u);
  EXPECT_EQ(journal->committer().queued_bytes(), 0u);
  journal->UnwatchRetained(watcher);
}

// Power cuts at random moments: whatever was reported durable is there, and each step's rows are
// there together or not at all. Returns what is wrong.
std::string RunPowerCuts(uint64_t seed, bool lying_disk) {
  SeededRandom random(seed);
  JournalHarness h;
  h.store.IgnoreSync(lying_disk);
  std::vector<uint64_t> acked;
  uint64_t next = 1;
  for (int cut = 0; cut < 20; ++cut) {
    for (uint64_t bursts = random.Below(6); bursts > 0; --bursts) {
      for (uint64_t n = random.Below(40); n > 0; --n) {
        const uint64_t seq = next++;
        CommitOp op = AcceptOp(Seq(seq));
        op.rows.Put(Table::kHeld, MessageKey(kOther, Seq(seq)), "pair");
        op.counters.push_back({.agent = kOther, .accepted = 1, .waiting = 1});
        if (random.Below(3) != 0) op.durable = [&acked, seq] { acked.push_back(seq); };
        h.journal->committer().Submit(std::move(op));
      }
      if (random.Below(4) != 0) h.world.RunReady();
    }
    h.PowerCutAndReopen(random.Below(4));
    for (uint64_t seq : acked) {
      if (!h.Has(Table::kInbox, MessageKey(kAgent, Seq(seq)))) return StrCat("lost ", seq);
    }
    for (uint64_t seq = 1; seq < next; ++seq) {
      if (h.Has(Table::kInbox, MessageKey(kAgent, Seq(seq))) !=
          h.Has(Table::kHeld, MessageKey(kOther, Seq(seq)))) {
        return StrCat("torn ", seq);
      }
    }
    const CounterRow counters = h.journal->Counters(kAgent);
    if (counters.waiting != h.store.rows(Table::kInbox)) return "counters and rows disagree";
  }
  return "";
}

TEST(PowerCut, LosesNothingAcknowledged) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    EXPECT_EQ(RunPowerCuts(seed, /*lying_disk=*/false), "") << seed;
  }
}

TEST(PowerCut, TheTestNoticesAStoreThatIgnoresSync) {
  EXPECT_TRUE(StartsWith(RunPowerCuts(1, /*lying_disk=*/true), "lost "));
}

}  // namespace
}  // namespace caxton::journal
