// SPDX-License-Identifier: Apache-2.0
//
// Kept messages and their replay, by a whole router.
#include "replays.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "caxton/base/strings.h"
#include "caxton/router/limits.h"
#include "router_fixture.h"

namespace caxton::router {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

const RevisionRef kStable{kAgent, ReplayOf(RevisionNumber(1))};
const RevisionRef kCandidate{kAgent, ReplayOf(RevisionNumber(2))};

class ReplaysTest : public RouterFixture {
 protected:
  ReplaysTest() : RouterFixture(Echo) {
    route_.stable = Prepare(kLive);
    Publish();
  }

  static ScriptedStep Echo(const Envelope& envelope) {
    ScriptedStep step;
    step.result.reply = Reply{Performative::kInform, envelope.content};
    step.result.sends.push_back({.to = "agent", .content = "again"});
    if (envelope.content == "again") step.result.sends.clear();
    return step;
  }
  void Request(const std::string& content, const std::string& key = "",
               Delivery delivery = Delivery::kDurable) {
    Envelope envelope;
    envelope.sender = "client:test";
    envelope.receiver = "agent";
    envelope.content = content;
    envelope.key = key;
    envelope.delivery = delivery;
    router_->Request(std::move(envelope), [](const Answer&) {});
    world_.RunFor(10 * kMilli);
  }
  std::vector<KeptMessage> Recent(size_t count) {
    std::optional<std::vector<KeptMessage>> got;
    router_->RecentMessages(kAgent, count,
                            [&got](std::vector<KeptMessage> kept) { got = std::move(kept); });
    world_.RunUntil([&got] { return got.has_value(); }, kSecond);
    return got.has_value() ? *std::move(got) : std::vector<KeptMessage>();
  }
  static std::vector<std::string> ContentsOf(const std::vector<KeptMessage>& kept) {
    std::vector<std::string> contents;
    for (const KeptMessage& message : kept) {
      contents.push_back(DecodeEnvelope(message.envelope)->content);
    }
    return contents;
  }
  void Replay(std::vector<KeptMessage> messages, int64_t limit_ns = 10 * kSecond) {
    ran_.clear();
    ReplayOrder order;
    order.deployment = DeploymentId(7);
    order.stable = Prepare(kStable);
    order.candidate = Prepare(kCandidate);
    order.messages = std::move(messages);
    order.limit_ns = limit_ns;
    order.compared = [this](const MirroredStep& step) {
      EXPECT_FALSE(end_.has_value()) << "after the end";
      compared_.push_back(step);
    };
    order.done = [this](ReplayEnd end) {
      EXPECT_FALSE(end_.has_value()) << "twice";
      end_ = end;
    };
    router_->Replay(std::move(order));
  }
  bool AwaitEnd(int64_t limit_ns = 20 * kSecond) {
    return world_.RunUntil([this] { return end_.has_value(); }, limit_ns);
  }

  std::vector<MirroredStep> compared_;
  std::optional<ReplayEnd> end_;
};

TEST_F(ReplaysTest, WhatWasHandledIsKeptInOrder) {
  scripts_[kLive] = [](const Envelope& envelope) {
    ScriptedStep step;
    if (envelope.content == "bad") step.result.outcome = StepOutcome::kAgentRejected;
    return step;
  };
  for (const char* content : {"a", "b", "bad", "c"}) Request(content, content);
  Request("volatile", "", Delivery::kVolatile);
  EXPECT_THAT(ContentsOf(Recent(10)), ::testing::ElementsAre("a", "b", "c", "volatile"))
      << "over all shards";
  EXPECT_THAT(ContentsOf(Recent(2)), ::testing::ElementsAre("c", "volatile"));
}

TEST_F(ReplaysTest, WhatIsKeptDoesNotCountAsWaiting) {
  const auto load = router_->Routes()->Find(kAgent)->load;
  Request("a");
  EXPECT_FALSE(Recent(9).empty());
  EXPECT_EQ(load->waiting_messages.load(), 0);
  EXPECT_EQ(load->waiting_bytes.load(), 0);
}

TEST_F(ReplaysTest, ARemovedAgentsMessagesAreForgotten) {
  Request("a");
  router_->DiscardWaiting(kAgent, RemoveMode::kPurge, [] {});
  router_->Forget(kAgent);
  world_.RunFor(kSecond);
  EXPECT_THAT(Recent(9), IsEmpty());
}

TEST_F(ReplaysTest, BothRunTheSameAndNothingIsCommitted) {
  Request("a", "key");
  Request("b");
  world_.RunFor(kSecond);
  const std::vector<Ran> live = ran_;
  const journal::CounterRow before = journal_->TotalCounters();
  Replay(Recent(10));
  ASSERT_TRUE(AwaitEnd());
  world_.RunFor(kSecond);
  ASSERT_THAT(live, SizeIs(4)) << "a and b, and what each sends";
  EXPECT_THAT(ran_, SizeIs(8));
  EXPECT_THAT(compared_, SizeIs(4));
  EXPECT_EQ(end_->lost + end_->unrun, 0);
  for (const Ran& ran : ran_) {
    EXPECT_NE(ran.revision, kLive);
    const auto first = std::find_if(live.begin(), live.end(), [&](const Ran& one) {
      return one.envelope.id == ran.envelope.id;
    });
    ASSERT_NE(first, live.end());
    EXPECT_EQ(first->input.seq, ran.input.seq);
    EXPECT_EQ(first->input.time_ns, ran.input.time_ns);
    EXPECT_EQ(first->input.seed, ran.input.seed);
    EXPECT_EQ(first->input.has_key, ran.input.has_key);
  }
  EXPECT_EQ(journal_->TotalCounters().accepted, before.accepted);
  EXPECT_EQ(journal_->TotalCounters().completed, before.completed);
}

TEST_F(ReplaysTest, AStepThatKillsItsWorkerTwiceHasFailed) {
  for (int i = 0; i < 20; ++i) Request(StrCat(i));
  scripts_[kCandidate] = [](const Envelope& envelope) {
    ScriptedStep step = Echo(envelope);
    step.crash = envelope.content == "7";
    return step;
  };
  Replay(Recent(1000));
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(end_->lost, 0);
  ASSERT_THAT(compared_, SizeIs(40));
  int failed = 0;
  for (const MirroredStep& step : compared_) {
    EXPECT_EQ(step.live.outcome, StepOutcome::kHandled);
    failed += step.shadow.outcome != StepOutcome::kHandled;
    if (step.shadow.outcome == StepOutcome::kHandled) continue;
    EXPECT_EQ(step.shadow.outcome, StepOutcome::kTrapped);
    EXPECT_THAT(step.shadow.detail, ::testing::HasSubstr("the worker died"));
  }
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(std::count_if(ran_.begin(), ran_.end(),
                          [](const Ran& ran) {
                            return ran.revision == kCandidate && ran.envelope.content == "7";
                          }),
            kReplayKills);
}

TEST_F(ReplaysTest, WhatIsNotRunInTimeIsTold) {
  for (int i = 0; i < 50; ++i) Request("again");
  scripts_[kCandidate] = [](const Envelope& envelope) {
    ScriptedStep step = Echo(envelope);
    step.duration_ns = 100 * kMilli;
    return step;
  };
  Replay(Recent(1000), kSecond);
  ASSERT_TRUE(AwaitEnd(kSecond + kMilli));
  EXPECT_GT(compared_.size(), 5u);
  EXPECT_EQ(static_cast<int64_t>(compared_.size()) + end_->unrun, 50);
  const size_t then = compared_.size();
  world_.RunFor(10 * kSecond);
  EXPECT_EQ(compared_.size(), then) << "what comes later is nobody's";
}

TEST_F(ReplaysTest, AStoppedReplayTellsNothingMore) {
  for (int i = 0; i < 50; ++i) Request("again");
  Replay(Recent(1000));
  world_.RunUntil([this] { return compared_.size() > 3; }, kSecond);
  router_->StopReplay(DeploymentId(7));
  router_->StopReplay(DeploymentId(8));
  world_.RunFor(kMilli);
  const size_t then = compared_.size();
  world_.RunFor(20 * kSecond);
  EXPECT_EQ(compared_.size(), then);
  EXPECT_FALSE(end_.has_value());
  end_.reset();
  Replay(Recent(5));
  EXPECT_TRUE(AwaitEnd()) << "the next one of the deployment is its own";
}

TEST_F(ReplaysTest, AWorkerWithoutRoomIsAskedAgain) {
  for (int i = 0; i < 10; ++i) Request("again");
  Replay(Recent(1000));
  supervisor_->SetNoRoom(kCandidate, true);
  world_.RunFor(kSecond);
  EXPECT_FALSE(end_.has_value());
  supervisor_->SetNoRoom(kCandidate, false);
  EXPECT_TRUE(AwaitEnd());
  EXPECT_THAT(compared_, SizeIs(10));
}

TEST_F(ReplaysTest, WhatCannotBeReadIsLost) {
  Replay({KeptMessage{Seq(1), 1, "not an envelope"}});
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(end_->lost, 1);
  EXPECT_THAT(compared_, IsEmpty());
}

}  // namespace
}  // namespace caxton::router
