// SPDX-License-Identifier: Apache-2.0
#include "recent_messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/router/limits.h"

namespace caxton::router {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr AgentId kOne{1};
constexpr AgentId kTwo{2};

KeptMessage Message(uint64_t seq, size_t bytes = 10) {
  return {Seq(seq), static_cast<int64_t>(seq), std::string(bytes, 'x')};
}
std::vector<uint64_t> SeqsOf(const std::vector<KeptMessage>& messages) {
  std::vector<uint64_t> seqs;
  for (const KeptMessage& message : messages) seqs.push_back(message.seq.value());
  return seqs;
}

TEST(RecentMessages, TellsTheLastBySeq) {
  RecentMessages kept(1);
  for (uint64_t seq : {3, 1, 2, 5}) kept.Keep(kOne, Message(seq));
  kept.Keep(kTwo, Message(4));
  EXPECT_THAT(SeqsOf(kept.Last(kOne, 3)), ElementsAre(1, 2, 5)) << "handled last";
  EXPECT_THAT(SeqsOf(kept.Last(kOne, 100)), ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(SeqsOf(kept.Last(kTwo, 100)), ElementsAre(4));
  EXPECT_THAT(kept.Last(AgentId(3), 100), IsEmpty());
  EXPECT_THAT(kept.Last(kOne, 0), IsEmpty());
}

TEST(RecentMessages, AMessageThatIsTooLargeIsNotKept) {
  RecentMessages kept(1);
  kept.Keep(kOne, Message(1, kMaxKeptMessageBytes + 1));
  EXPECT_EQ(kept.size(), 0u);
  kept.Keep(kOne, Message(2, kMaxKeptMessageBytes));
  EXPECT_THAT(SeqsOf(kept.Last(kOne, 9)), ElementsAre(2));
}

TEST(RecentMessages, TheOldestOfAnAgentGoBeyondItsCount) {
  RecentMessages kept(1);
  for (uint64_t seq = 1; seq <= kMaxKeptPerAgent; ++seq) kept.Keep(kOne, Message(seq));
  EXPECT_THAT(kept.Last(kOne, 2 * kMaxKeptPerAgent), SizeIs(kMaxKeptPerAgent));
  kept.Keep(kOne, Message(kMaxKeptPerAgent + 1));
  EXPECT_THAT(kept.Last(kOne, 2 * kMaxKeptPerAgent), SizeIs(kMaxKeptPerAgent));
  EXPECT_EQ(kept.Last(kOne, kMaxKeptPerAgent)[0].seq, Seq(2));
}

TEST(RecentMessages, TheOldestOfAnAgentGoBeyondItsBytes) {
  constexpr size_t kShards = 4;
  constexpr size_t kBytes = kMaxKeptMessageBytes - kKeptOverheadBytes;
  constexpr size_t kFit = kMaxKeptBytesPerAgent / kShards / kMaxKeptMessageBytes;
  RecentMessages kept(kShards);
  kept.Keep(kTwo, Message(1));
  for (uint64_t seq = 1; seq <= kFit; ++seq) kept.Keep(kOne, Message(seq, kBytes));
  EXPECT_THAT(kept.Last(kOne, 1000), SizeIs(kFit));
  kept.Keep(kOne, Message(kFit + 1, 1));
  EXPECT_THAT(kept.Last(kOne, 1000), SizeIs(kFit));
  EXPECT_EQ(kept.Last(kOne, 1000)[0].seq, Seq(2));
  EXPECT_THAT(kept.Last(kTwo, 1000), SizeIs(1)) << "another agent's stay";
}

TEST(RecentMessages, TheOldestOfAllGoBeyondTheServersBytes) {
  constexpr size_t kShards = 4;
  constexpr size_t kBytes = kMaxKeptMessageBytes - kKeptOverheadBytes;
  constexpr uint64_t kFit = kMaxKeptBytes / kShards / kMaxKeptMessageBytes;
  RecentMessages kept(kShards);
  // Each agent keeps two, so that none is at a limit of its own.
  for (uint64_t seq = 0; seq < kFit; ++seq) {
    kept.Keep(AgentId(static_cast<uint32_t>(seq / 2)), Message(seq, kBytes));
  }
  EXPECT_EQ(kept.size(), kFit);
  EXPECT_EQ(kept.bytes(), kMaxKeptBytes / kShards);
  kept.Keep(AgentId(9999), Message(kFit, kBytes));
  EXPECT_EQ(kept.bytes(), kMaxKeptBytes / kShards);
  EXPECT_THAT(SeqsOf(kept.Last(AgentId(0), 9)), ElementsAre(1)) << "its oldest went";
  EXPECT_THAT(SeqsOf(kept.Last(AgentId(1), 9)), ElementsAre(2, 3));
  // One small message more makes room for itself only.
  kept.Keep(AgentId(0), Message(kFit + 1, 1));
  EXPECT_THAT(SeqsOf(kept.Last(AgentId(0), 9)), ElementsAre(kFit + 1));
}

TEST(RecentMessages, AForgottenAgentLeavesNothing) {
  RecentMessages kept(1);
  for (uint64_t seq = 1; seq <= 3; ++seq) kept.Keep(kOne, Message(seq));
  kept.Keep(kTwo, Message(4));
  kept.Forget(kOne);
  kept.Forget(AgentId(7));
  EXPECT_THAT(kept.Last(kOne, 9), IsEmpty());
  EXPECT_EQ(kept.size(), 1u);
  kept.Forget(kTwo);
  EXPECT_EQ(kept.bytes(), 0u);
}

}  // namespace
}  // namespace caxton::router
