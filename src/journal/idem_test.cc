// SPDX-License-Identifier: Apache-2.0
//
// Idempotency keys, through the committer.
#include <gtest/gtest.h>

#include "caxton/base/status.h"
#include "caxton/journal/limits.h"
#include "journal_fixture.h"

namespace caxton::journal {
namespace {

constexpr int64_t kHour = 3600 * kNanosPerSecond;

TEST(Claim, TheFirstIsAcceptedAndRepeatsJoinIt) {
  JournalHarness h;
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)))->kind(), Kind::kAccepted);
  auto repeat = h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)));
  EXPECT_EQ(repeat->kind(), Kind::kRepeatPending);
  EXPECT_EQ(repeat->verdicts[0].seq, Seq(1));
  EXPECT_EQ(repeat->durable, 0);
  EXPECT_FALSE(h.Has(Table::kInbox, MessageKey(kAgent, Seq(2))));
  EXPECT_EQ(h.journal->Counters(kAgent).accepted, 1u);
}

TEST(Claim, SeesClaimsOfItsOwnRound) {
  JournalHarness h;
  auto first = h.Submit(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  auto same = h.Submit(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)));
  auto different = h.Submit(WithClaim(AcceptOp(Seq(3)), "k", Seq(3), "another"));
  auto other_key = h.Submit(WithClaim(AcceptOp(Seq(4)), "k2", Seq(4)));
  h.world.RunReady();
  EXPECT_EQ(first->kind(), Kind::kAccepted);
  EXPECT_EQ(same->kind(), Kind::kRepeatPending);
  EXPECT_EQ(same->verdicts[0].seq, Seq(1));
  EXPECT_EQ(different->kind(), Kind::kRepeatMismatch);
  EXPECT_EQ(other_key->kind(), Kind::kAccepted);
}

TEST(Claim, IsAnsweredAfterItIsSettled) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  h.Run(WithSettle(StepOp(Seq(1)), "k", Seq(1), "answer"));
  for (int reopened = 0; reopened < 2; ++reopened) {
    auto repeat = h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)));
    ASSERT_EQ(repeat->kind(), Kind::kRepeatDone);
    EXPECT_EQ(repeat->verdicts[0].seq, Seq(1));
    ASSERT_TRUE(repeat->verdicts[0].record.has_value());
    EXPECT_EQ(repeat->verdicts[0].record->reply->content, "answer");
    EXPECT_EQ(repeat->verdicts[0].record->digest, "digest") << "filled in from the claim";
    EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(3)), "k", Seq(3), "another"))->kind(),
              Kind::kRepeatMismatch);
    h.PowerCutAndReopen();
  }
}

TEST(Claim, IsAnsweredOnlyFromTheDisk) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  auto settled = h.Submit(WithSettle(StepOp(Seq(1)), "k", Seq(1), "answer"));
  auto repeat = h.Submit(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)));
  h.store.FailSyncs(absl::InternalError("fsync"));
  h.world.RunReady();
  EXPECT_EQ(settled->kind(), Kind::kAccepted);
  EXPECT_TRUE(repeat->verdicts.empty()) << "the answer is not on the disk";
}

TEST(Claim, ARepeatInTheRoundOfTheSettleWaitsForItsSync) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  // Nobody asked for a sync of the settling op; the repeat needs one.
  h.Submit(WithSettle(StepOp(Seq(1)), "k", Seq(1), "answer"), /*ask_durable=*/false);
  CommitOp op = WithClaim(AcceptOp(Seq(2)), "k", Seq(2));
  const uint64_t syncs = h.store.syncs();
  std::vector<Kind> kinds;
  op.decided = [&](const CommitVerdict& v) {
    kinds.push_back(v.kind);
    EXPECT_EQ(h.store.syncs(), syncs + 1);
  };
  h.journal->committer().Submit(std::move(op));
  h.world.RunReady();
  EXPECT_EQ(kinds, std::vector<Kind>{Kind::kRepeatDone});
}

TEST(Claim, ARepeatAfterAnUnsyncedSettleWaitsForASync) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  h.Run(WithSettle(StepOp(Seq(1)), "k", Seq(1), "answer"), /*ask_durable=*/false);
  const uint64_t syncs = h.store.syncs();
  auto repeat = h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)));
  EXPECT_EQ(repeat->kind(), Kind::kRepeatDone);
  EXPECT_EQ(h.store.syncs(), syncs + 1);
}

TEST(Claim, OfAnEarlierStartIsFoundAgain) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  h.KillAndReopen();
  auto repeat = h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)));
  EXPECT_EQ(repeat->kind(), Kind::kRepeatPending);
  EXPECT_EQ(repeat->verdicts[0].seq, Seq(1));
  h.Run(WithSettle(StepOp(Seq(1)), "k", Seq(1), "late"));
  repeat = h.Run(WithClaim(AcceptOp(Seq(3)), "k", Seq(3)));
  ASSERT_EQ(repeat->kind(), Kind::kRepeatDone);
  EXPECT_EQ(repeat->verdicts[0].record->reply->content, "late");
}

TEST(Claim, OfAHeldMessageStillCounts) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  CommitOp hold;
  hold.rows.Delete(Table::kInbox, MessageKey(kAgent, Seq(1)));
  hold.rows.Put(Table::kHeld, MessageKey(kAgent, Seq(1)), "held");
  h.Run(std::move(hold));
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)))->kind(), Kind::kRepeatPending);
  h.KillAndReopen();
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)))->kind(), Kind::kRepeatPending);
}

TEST(Claim, OfAMessageThatIsGoneIsNew) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  CommitOp purge;
  purge.rows.Delete(Table::kInbox, MessageKey(kAgent, Seq(1)));
  purge.counters.push_back({.agent = kAgent, .dropped = 1, .waiting = -1});
  h.Run(std::move(purge));
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)))->kind(), Kind::kAccepted);
  CommitOp again;
  again.rows.Delete(Table::kInbox, MessageKey(kAgent, Seq(2)));
  h.Run(std::move(again));
  h.KillAndReopen();
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(3)), "k", Seq(3)))->kind(), Kind::kAccepted);
}

TEST(Claim, AStepThatIsRefusedSettlesNothing) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  h.Run(WithGuard(WithSettle(StepOp(Seq(1)), "k", Seq(1), "no"), {kAgent, RevisionNumber(1)}, 1,
                  MakeCell(2)));
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)))->kind(), Kind::kRepeatPending);
}

TEST(Settle, GoesIntoTheBucketOfItsClaim) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  h.Run(WithClaim(AcceptOp(Seq(2)), "k2", Seq(2)));
  h.world.RunFor(3 * kHour);
  h.Run(WithSettle(StepOp(Seq(1)), "k", Seq(1), "answer"));
  EXPECT_EQ(h.store.rows(Table::kIdem), 2u) << "the claim's row was replaced";
  h.KillAndReopen();
  h.world.RunFor(kHour);
  h.Run(WithSettle(StepOp(Seq(2)), "k2", Seq(2), "answer"));
  EXPECT_EQ(h.store.rows(Table::kIdem), 2u);
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(3)), "k2", Seq(3)))->kind(), Kind::kRepeatDone);
}

TEST(Settle, OfARetriedDeadLetterReplacesTheAnswer) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  CommitOp dead;
  dead.settle = IdemSettle{kAgent, "k", {}};
  dead.settle->record.dead_lettered = true;
  h.Run(std::move(dead));
  auto repeat = h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)));
  ASSERT_EQ(repeat->kind(), Kind::kRepeatDone);
  EXPECT_TRUE(repeat->verdicts[0].record->dead_lettered);
  EXPECT_EQ(repeat->verdicts[0].record->seq, Seq(1));
  h.Run(WithSettle(StepOp(Seq(1)), "k", Seq(1), "at last"));
  repeat = h.Run(WithClaim(AcceptOp(Seq(3)), "k", Seq(3)));
  ASSERT_EQ(repeat->kind(), Kind::kRepeatDone);
  EXPECT_FALSE(repeat->verdicts[0].record->dead_lettered);
  EXPECT_EQ(repeat->verdicts[0].record->reply->content, "at last");
}

TEST(Buckets, AreKeptADayAndDroppedWhole) {
  JournalHarness h;
  for (const char* key : {"a", "b"}) {
    h.Run(WithClaim(AcceptOp(Seq(1)), key, Seq(1)));
    h.Run(WithSettle(StepOp(Seq(1)), key, Seq(1), "answer"));
  }
  h.world.RunFor(kIdemHoursKept * kHour);
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(2)), "a", Seq(2)))->kind(), Kind::kRepeatDone);
  EXPECT_EQ(h.store.rows(Table::kIdem), 2u);
  h.world.RunFor(kHour);
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(3)), "a", Seq(3)))->kind(), Kind::kAccepted);
  EXPECT_EQ(h.store.rows(Table::kIdem), 1u);
}

TEST(Buckets, AClaimThatWaitsLongerThanADayIsStillAnswered) {
  JournalHarness h;
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  h.world.RunFor((kIdemHoursKept + 2) * kHour);
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(2)), "k", Seq(2)))->kind(), Kind::kRepeatPending);
  h.Run(WithSettle(StepOp(Seq(1)), "k", Seq(1), "slow"));
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(3)), "k", Seq(3)))->kind(), Kind::kRepeatDone);
  EXPECT_EQ(h.store.rows(Table::kIdem), 1u);
}

TEST(Buckets, WhenFullClaimsAreRefusedAndNothingIsEvicted) {
  JournalOptions options;
  // Row: 8 + 1 bytes of key; format, done, seq, digest with its length, dead_lettered, reply flag:
  // 1+1+8+4+6+1+1.
  options.max_idem_bytes = 2 * (9 + 22);
  JournalHarness h(options);
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(1)), "a", Seq(1)))->kind(), Kind::kAccepted);
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(2)), "b", Seq(2)))->kind(), Kind::kAccepted);
  for (int reopened = 0; reopened < 2; ++reopened) {
    auto refused = h.Run(WithClaim(AcceptOp(Seq(3)), "c", Seq(3)));
    ASSERT_EQ(refused->kind(), Kind::kRefused);
    EXPECT_TRUE(absl::IsResourceExhausted(refused->verdicts[0].status));
    EXPECT_EQ(ReasonOf(refused->verdicts[0].status), "IDEMPOTENCY_FULL");
    EXPECT_FALSE(FixOf(refused->verdicts[0].status).empty());
    EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(4)), "a", Seq(4)))->kind(), Kind::kRepeatPending);
    h.KillAndReopen();
  }
  // Unkeyed messages are not concerned, and answers are always taken.
  EXPECT_EQ(h.Run(AcceptOp(Seq(5)))->kind(), Kind::kAccepted);
  h.Run(WithSettle(StepOp(Seq(1)), "a", Seq(1), std::string(1000, 'x')));
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(6)), "a", Seq(6)))->kind(), Kind::kRepeatDone);
  // Room comes back with the hour.
  h.world.RunFor((kIdemHoursKept + 1) * kHour);
  EXPECT_EQ(h.Run(WithClaim(AcceptOp(Seq(7)), "c", Seq(7)))->kind(), Kind::kAccepted);
}

TEST(Buckets, AClockSetBackChangesNothing) {
  JournalHarness h;
  h.world.RunFor(2 * kHour);
  h.Run(WithClaim(AcceptOp(Seq(1)), "k", Seq(1)));
  h.Run(WithSettle(StepOp(Seq(1)), "k", Seq(1), "answer"));
  // A new world starts two hours earlier, on the same store.
  caxton::testing::SimWorld earlier;
  Executor* strand = earlier.NewExecutor();
  auto journal = *Journal::Open(&h.store, strand, &earlier, {}, nullptr);
  std::vector<Kind> kinds;
  for (const char* key : {"k", "new"}) {
    CommitOp op = WithClaim(AcceptOp(Seq(2)), key, Seq(2));
    op.decided = [&](const CommitVerdict& v) { kinds.push_back(v.kind); };
    journal->committer().Submit(std::move(op));
  }
  earlier.RunReady();
  EXPECT_EQ(kinds, (std::vector<Kind>{Kind::kRepeatDone, Kind::kAccepted}));
}

}  // namespace
}  // namespace caxton::journal
