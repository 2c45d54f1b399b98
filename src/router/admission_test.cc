// SPDX-License-Identifier: Apache-2.0
//
// What refuses messages at the door, at the edge of each limit, by a whole router.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "caxton/base/status.h"
#include "caxton/router/limits.h"
#include "router_fixture.h"

namespace caxton::router {
namespace {

using ::testing::HasSubstr;

constexpr AgentId kOther{2};

class AdmissionTest : public RouterFixture {
 protected:
  AdmissionTest() : RouterFixture(Reject) {
    route_.stable = Prepare(kLive);
    Publish();
  }
  static ScriptedStep Reject(const Envelope& envelope) {
    ScriptedStep step;
    if (envelope.content == "bad") step.result.outcome = StepOutcome::kAgentRejected;
    if (envelope.content == "lost") step.result.sends.push_back({.to = "nobody", .content = "x"});
    return step;
  }
  static Envelope To(const std::string& agent, std::string content) {
    Envelope envelope;
    envelope.sender = "client:test";
    envelope.receiver = agent;
    envelope.content = std::move(content);
    return envelope;
  }
  void PublishOther() {
    AgentRoute other = route_;
    other.id = kOther;
    other.name = "other";
    other.load = std::make_shared<AgentLoad>();
    router_->Publish(std::make_shared<AgentRoute>(other));
  }
  absl::Status Send(std::string content, const std::string& agent = "agent") {
    std::optional<absl::Status> answer;
    router_->Send(To(agent, std::move(content)), [&answer](const Answer& a) { answer = a.status; });
    world_.RunFor(10 * kMilli);
    return answer.value_or(absl::UnknownError("no answer"));
  }
  // As if so many had come and become dead letters.
  void CountDead(int32_t count) {
    journal::CommitOp op;
    op.counters.push_back({.agent = kAgent, .accepted = count, .dead = count});
    journal_->committer().Submit(std::move(op));
    world_.RunFor(kMilli);
  }
};

TEST_F(AdmissionTest, AnAgentFullOfDeadLettersTakesNoMessageUntilTheyAreDealtWith) {
  CountDead(static_cast<int32_t>(kMaxDeadLettersPerAgent) - 2);
  EXPECT_TRUE(Send("bad").ok());
  EXPECT_TRUE(Send("bad").ok()) << "one below the limit, until it has died";
  const absl::Status refused = Send("good");
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(ReasonOf(refused), "DEAD_LETTERS_FULL");
  EXPECT_THAT(FixOf(refused), HasSubstr("caxton dlq retry --agent agent"));

  std::optional<Seq> dead;
  ASSERT_TRUE(journal_
                  ->ScanDeadLetters(kAgent, Seq(),
                                    [&dead](Seq seq, const journal::DeadLetterRecord&) {
                                      dead = seq;
                                      return false;
                                    })
                  .ok());
  std::optional<absl::Status> dropped;
  router_->DropDeadLetter(kAgent, *dead, [&dropped](absl::Status s) { dropped = std::move(s); });
  world_.RunFor(10 * kMilli);
  ASSERT_TRUE(dropped.has_value() && dropped->ok());
  EXPECT_TRUE(Send("good").ok());
  const journal::CounterRow sum = journal_->Counters(kAgent);
  EXPECT_EQ(sum.accepted, sum.completed + sum.dead + sum.dropped + sum.waiting);
}

TEST_F(AdmissionTest, WhatCouldNotBeDeliveredCounts) {
  CountDead(static_cast<int32_t>(kMaxDeadLettersPerAgent) - 1);
  EXPECT_TRUE(Send("lost").ok());
  EXPECT_EQ(ReasonOf(Send("good")), "DEAD_LETTERS_FULL");
}

TEST_F(AdmissionTest, WhatAnEarlierServerLeftCountsForItsAgentAlone) {
  CountDead(static_cast<int32_t>(kMaxDeadLettersPerAgent));
  Publish();  // as at a start
  PublishOther();
  EXPECT_EQ(ReasonOf(Send("good")), "DEAD_LETTERS_FULL");
  EXPECT_TRUE(Send("good", "other").ok());
}

TEST_F(AdmissionTest, AFullJournalQueueRefuses) {
  PublishOther();  // or one agent's waiting bytes would be the limit that is met
  world_.RunFor(kMilli);
  constexpr size_t kBytes = 1 << 20;
  constexpr size_t kMessages = kMaxJournalQueueBytes / kBytes + 1;
  size_t accepted = 0;
  for (size_t i = 0; i < kMessages; ++i) {
    router_->Send(To(i % 2 == 0 ? "agent" : "other", std::string(kBytes, 'x')),
                  [&accepted](const Answer& answer) { accepted += answer.status.ok() ? 1 : 0; });
  }
  // The shards take them, one task each; the committer's turn comes after these.
  for (size_t i = 0; i < kMessages; ++i) world_.RunNext();
  EXPECT_GT(journal_->committer().queued_bytes(), kMaxJournalQueueBytes);
  absl::Status why;
  router_->Send(To("agent", "x"), [&why](const Answer& answer) { why = answer.status; });
  EXPECT_TRUE(absl::IsResourceExhausted(why)) << why;
  EXPECT_THAT(std::string(why.message()), HasSubstr("the journal's queue is full"));
  world_.RunFor(kSecond);
  EXPECT_EQ(accepted, kMessages) << "what was taken is acknowledged";
  EXPECT_TRUE(Send("good").ok());
}

}  // namespace
}  // namespace caxton::router
