// SPDX-License-Identifier: Apache-2.0
//
// The router with a shadow.
#include "mirror.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "caxton/base/strings.h"
#include "caxton/router/limits.h"
#include "router_fixture.h"

namespace caxton::router {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr RevisionRef kStable{kAgent, RevisionNumber(1)};
constexpr RevisionRef kShadow{kAgent, RevisionNumber(2)};
constexpr RevisionRef kSecondary{kAgent, RevisionNumber(3)};

class MirrorTest : public RouterFixture {
 protected:
  MirrorTest() : RouterFixture(Echo) {
    route_.salt = {1, 2, 3};
    route_.stable = Prepare(kStable);
  }

  static ScriptedStep Echo(const Envelope& envelope) {
    ScriptedStep step;
    step.result.reply = Reply{Performative::kInform, envelope.content};
    step.result.fuel = 100;
    return step;
  }
  static ScriptedStep Trap(const Envelope&) {
    return {.result = {.outcome = StepOutcome::kTrapped, .detail = "unreachable"}};
  }

  void PublishShadow(bool secondary = false, uint32_t ppm = kFullWeightPpm) {
    route_.shadow = Prepare(kShadow);
    if (secondary) route_.secondary = Prepare(kSecondary);
    route_.mirror_ppm = ppm;
    route_.mirrored = DeploymentId(7);
    Publish();
  }
  void PublishWithoutShadow() {
    route_.shadow = {};
    route_.secondary = {};
    route_.mirror_ppm = 0;
    route_.mirrored = {};
    Publish();
  }
  static Envelope To(const std::string& content, const std::string& key = "") {
    Envelope envelope;
    envelope.sender = "client:test";
    envelope.receiver = "agent";
    envelope.content = content;
    envelope.content_type = "text/plain";
    envelope.key = key;
    return envelope;
  }
  void Request(Envelope envelope) {
    router_->Request(std::move(envelope), [this](Answer answer) { answers_.push_back(answer); });
  }
  int64_t Answered() const {
    int64_t ok = 0;
    for (const Answer& answer : answers_) ok += answer.status.ok();
    return ok;
  }
  std::vector<Ran> RunsOf(RevisionRef revision) const {
    std::vector<Ran> runs;
    for (const Ran& ran : ran_) {
      if (ran.revision == revision) runs.push_back(ran);
    }
    return runs;
  }

  std::vector<Answer> answers_;
  std::vector<StepEvent> steps_;
  std::map<RevisionRef, int> log_lines_;
  std::vector<MirroredStep> mirrored_;
  std::map<std::pair<DeploymentId, MirrorFate>, int64_t> fates_;
  int64_t dropped() { return fates_[{DeploymentId(7), MirrorFate::kDropped}]; }
  int64_t lost() { return fates_[{DeploymentId(7), MirrorFate::kLost}]; }

 private:
  void OnStep(const StepEvent& event) override { steps_.push_back(event); }
  void OnLog(RevisionRef revision, const std::vector<LogLine>& lines) override {
    log_lines_[revision] += static_cast<int>(lines.size());
  }
  void OnMirrored(const MirroredStep& step) override { mirrored_.push_back(step); }
  void OnMirrorFate(DeploymentId deployment, MirrorFate fate, int64_t count) override {
    fates_[{deployment, fate}] += count;
  }
};

TEST_F(MirrorTest, ACopyRunsWithTheClockAndTheRandomSeedOfTheLiveStep) {
  PublishShadow(/*secondary=*/true);
  Request(To("hello", "key"));
  world_.RunFor(kSecond);
  const std::vector<Ran> live = RunsOf(kStable);
  ASSERT_THAT(live, SizeIs(1));
  for (RevisionRef revision : {kShadow, kSecondary}) {
    const std::vector<Ran> copies = RunsOf(revision);
    ASSERT_THAT(copies, SizeIs(1));
    EXPECT_EQ(copies[0].input.time_ns, live[0].input.time_ns);
    EXPECT_EQ(copies[0].input.seed, live[0].input.seed);
    EXPECT_TRUE(copies[0].input.has_key);
    EXPECT_NE(copies[0].input.ticket, live[0].input.ticket);
    std::string there, here;
    EncodeEnvelope(copies[0].envelope, &there);
    EncodeEnvelope(live[0].envelope, &here);
    EXPECT_EQ(there, here);
  }
  ASSERT_THAT(mirrored_, SizeIs(1));
  EXPECT_EQ(mirrored_[0].deployment, DeploymentId(7));
  EXPECT_EQ(mirrored_[0].message_id, answers_[0].message_id);
  EXPECT_EQ(mirrored_[0].content_type, "text/plain");
  ASSERT_TRUE(mirrored_[0].secondary.has_value());
  for (const MirrorSide* side :
       {&mirrored_[0].live, &mirrored_[0].shadow, &*mirrored_[0].secondary}) {
    EXPECT_EQ(side->outcome, StepOutcome::kHandled);
    ASSERT_TRUE(side->reply.has_value());
    EXPECT_EQ(side->reply->content, "hello");
    EXPECT_EQ(side->fuel, 100u);
    EXPECT_GT(side->latency_ns, 0);
    EXPECT_GT(side->run_ns, 0);
  }
  EXPECT_THAT(fates_, IsEmpty());
}

TEST_F(MirrorTest, NothingAShadowDoesIsCommitted) {
  auto sends = [](const char* content) {
    return [content](const Envelope& envelope) {
      ScriptedStep step;
      step.result.reply = Reply{Performative::kInform, content};
      if (envelope.content == "go") {
        step.result.sends.push_back(OutgoingMessage{.to = "agent", .content = content});
      }
      return step;
    };
  };
  scripts_[kStable] = sends("from stable");
  scripts_[kShadow] = sends("from shadow");
  scripts_[kSecondary] = sends("from secondary");
  route_.load->retain = true;
  journal_->SetRetention(kAgent, true);
  PublishShadow(/*secondary=*/true);
  Request(To("go"));
  world_.RunFor(kSecond);
  ASSERT_THAT(answers_, SizeIs(1));
  EXPECT_EQ(answers_[0].reply->content, "from stable");
  // The message and the one that stable sent, and no other.
  const journal::CounterRow counters = journal_->TotalCounters();
  EXPECT_EQ(counters.accepted, 2u);
  EXPECT_EQ(counters.completed, 2u);
  EXPECT_EQ(counters.waiting, 0u);
  EXPECT_EQ(counters.dead, 0u);
  std::vector<std::string> handled;
  ASSERT_TRUE(journal_
                  ->ScanRetained(kAgent, 1,
                                 [&](uint64_t, const journal::RetainedRecord& row) {
                                   handled.push_back(row.envelope.content);
                                   return true;
                                 })
                  .ok());
  EXPECT_THAT(handled, ::testing::ElementsAre("go", "from stable"));
  ASSERT_THAT(mirrored_, SizeIs(2));
  EXPECT_EQ(mirrored_[0].shadow.sends.at(0).content, "from shadow");
  EXPECT_EQ(mirrored_[0].live.sends.at(0).content, "from stable");
}

TEST_F(MirrorTest, TheSecondRunOfStableComesBeforeTheShadowAsOftenAsAfterIt) {
  PublishShadow(/*secondary=*/true);
  for (int i = 0; i < 400; ++i) {
    Request(To("x"));
    world_.RunFor(10 * kMilli);
  }
  std::set<std::string> seen;
  int secondary_first = 0;
  for (const Ran& ran : ran_) {
    if (ran.revision == kStable || !seen.insert(ran.envelope.id).second) continue;
    secondary_first += ran.revision == kSecondary;
  }
  EXPECT_THAT(mirrored_, SizeIs(400));
  EXPECT_GT(secondary_first, 150);
  EXPECT_LT(secondary_first, 250);
}

TEST_F(MirrorTest, AFullQueueDropsAndCountsAndTheLivePathGoesOn) {
  PublishShadow();
  supervisor_->SetNoRoom(kShadow, true);
  constexpr int64_t kMore = 50;
  for (int64_t i = 0; i < kMaxMirroredPerAgent + kMore; ++i) {
    Request(To("x"));
    world_.RunFor(kMilli);
  }
  EXPECT_EQ(Answered(), kMaxMirroredPerAgent + kMore);
  EXPECT_EQ(dropped(), kMore);
  EXPECT_EQ(route_.load->mirrored_messages.load(), kMaxMirroredPerAgent);
  EXPECT_EQ(route_.load->waiting_messages.load(), 0);
  EXPECT_THAT(mirrored_, IsEmpty());
  supervisor_->SetNoRoom(kShadow, false);
  world_.RunFor(kSecond);
  EXPECT_THAT(mirrored_, SizeIs(kMaxMirroredPerAgent));
  EXPECT_EQ(route_.load->mirrored_messages.load(), 0);
  EXPECT_EQ(route_.load->mirrored_bytes.load(), 0);
  Request(To("x"));
  world_.RunFor(kSecond);
  EXPECT_THAT(mirrored_, SizeIs(kMaxMirroredPerAgent + 1));
  EXPECT_EQ(dropped(), kMore);
}

TEST_F(MirrorTest, SoDoesOneThatIsFullOfBytes) {
  PublishShadow();
  supervisor_->SetNoRoom(kShadow, true);
  scripts_[kStable] = [](const Envelope&) {
    ScriptedStep step;
    step.result.reply = Reply{};
    return step;
  };
  const std::string megabytes(4'000'000, 'x');
  for (int i = 0; i < 6; ++i) {
    Request(To(megabytes));
    world_.RunFor(kMilli);
  }
  EXPECT_EQ(Answered(), 6);
  EXPECT_EQ(dropped(), 2);
  EXPECT_LE(route_.load->mirrored_bytes.load(), kMaxMirroredBytesPerAgent);
}

TEST_F(MirrorTest, AShadowGetsNoMoreAtOnceThanItsWindow) {
  PublishShadow();
  scripts_[kShadow] = [](const Envelope& envelope) {
    ScriptedStep step = Echo(envelope);
    step.duration_ns = 100 * kMilli;
    return step;
  };
  for (int i = 0; i < 100; ++i) Request(To("x"));
  world_.RunFor(50 * kMilli);
  EXPECT_EQ(Answered(), 100);
  EXPECT_EQ(supervisor_->Dispatched(kShadow), kMirrorWindow);
  world_.RunFor(60 * kSecond);
  EXPECT_THAT(mirrored_, SizeIs(100));
}

TEST_F(MirrorTest, AShadowThatTrapsOnEverythingDoesNotTouchSenders) {
  PublishShadow();
  scripts_[kShadow] = Trap;
  for (int i = 0; i < 200; ++i) Request(To("x", StrCat("key", i % 5)));
  world_.RunFor(10 * kSecond);
  EXPECT_EQ(Answered(), 200);
  EXPECT_EQ(journal_->TotalCounters().completed, 200u);
  EXPECT_EQ(journal_->TotalCounters().retries, 0u);
  EXPECT_THAT(mirrored_, SizeIs(200));
  for (const MirroredStep& step : mirrored_) {
    EXPECT_EQ(step.live.outcome, StepOutcome::kHandled);
    EXPECT_EQ(step.shadow.outcome, StepOutcome::kTrapped);
    EXPECT_EQ(step.shadow.detail, "unreachable");
  }
  EXPECT_THAT(steps_, SizeIs(200));
  EXPECT_THAT(steps_, Each(::testing::Field(&StepEvent::revision, kStable)));
  EXPECT_EQ(route_.shadow.load->failed.load(), 0u);
}

TEST_F(MirrorTest, ASampleIsDrawnByTheMessage) {
  PublishShadow(/*secondary=*/false, kFullWeightPpm / 4);
  for (int i = 0; i < 2000; ++i) Request(To("x"));
  world_.RunFor(10 * kSecond);
  EXPECT_EQ(Answered(), 2000);
  EXPECT_GT(mirrored_.size(), 400u);
  EXPECT_LT(mirrored_.size(), 600u);
  for (const MirroredStep& step : mirrored_) EXPECT_TRUE(route_.Mirrors(step.message_id));
  EXPECT_THAT(fates_, IsEmpty());
}

TEST_F(MirrorTest, WhatWasOnAWorkerOfTheShadowThatDiesIsLost) {
  PublishShadow();
  scripts_[kShadow] = [](const Envelope& envelope) {
    ScriptedStep step = Echo(envelope);
    step.duration_ns = 100 * kMilli;
    return step;
  };
  for (int i = 0; i < 3; ++i) Request(To("x"));
  world_.RunFor(50 * kMilli);
  supervisor_->Kill(kShadow);
  world_.RunFor(kSecond);
  EXPECT_EQ(Answered(), 3);
  EXPECT_EQ(lost(), 3);
  EXPECT_THAT(mirrored_, IsEmpty());
  EXPECT_EQ(route_.load->mirrored_messages.load(), 0);
  Request(To("x"));
  world_.RunFor(kSecond);
  EXPECT_THAT(mirrored_, SizeIs(1));
}

TEST_F(MirrorTest, AHungShadowCostsItsOwnWorkerOnly) {
  PublishShadow();
  scripts_[kShadow] = [](const Envelope&) { return ScriptedStep{.hang = true}; };
  Request(To("x"));
  world_.RunFor(60 * kSecond);
  EXPECT_EQ(Answered(), 1);
  EXPECT_EQ(lost(), 1);
}

TEST_F(MirrorTest, TheDeadlineOfTheShadowsOwnRevisionHolds) {
  PublishShadow();
  route_.shadow = Prepare(kSecondary, /*deadline_ns=*/20 * kMilli);
  Publish();
  scripts_[kSecondary] = [](const Envelope& envelope) {
    ScriptedStep step = Echo(envelope);
    step.duration_ns = 100 * kMilli;
    return step;
  };
  Request(To("x"));
  world_.RunFor(kSecond);
  ASSERT_THAT(mirrored_, SizeIs(1));
  EXPECT_EQ(mirrored_[0].shadow.outcome, StepOutcome::kDeadline);
  EXPECT_EQ(mirrored_[0].shadow.latency_ns, 20 * kMilli);
}

TEST_F(MirrorTest, ARouteWithoutTheShadowDropsWhatIsQueued) {
  PublishShadow();
  supervisor_->SetNoRoom(kShadow, true);
  for (int i = 0; i < 10; ++i) Request(To("x"));
  world_.RunFor(kSecond);
  PublishWithoutShadow();
  world_.RunFor(kSecond);
  EXPECT_EQ(lost(), 10);
  EXPECT_EQ(route_.load->mirrored_messages.load(), 0);
  supervisor_->SetNoRoom(kShadow, false);
  world_.RunFor(kSecond);
  EXPECT_EQ(supervisor_->Dispatched(kShadow), 0u);
  Request(To("x"));
  world_.RunFor(kSecond);
  EXPECT_EQ(Answered(), 11);
  EXPECT_THAT(mirrored_, IsEmpty());
}

TEST_F(MirrorTest, AndDiscardsWhatRuns) {
  PublishShadow(/*secondary=*/true);
  for (RevisionRef revision : {kShadow, kSecondary}) {
    scripts_[revision] = [](const Envelope& envelope) {
      ScriptedStep step = Echo(envelope);
      step.duration_ns = 300 * kMilli;
      return step;
    };
  }
  for (int i = 0; i < 10; ++i) Request(To("x"));
  world_.RunFor(100 * kMilli);
  PublishWithoutShadow();
  world_.RunFor(10 * kSecond);
  EXPECT_EQ(Answered(), 10);
  EXPECT_EQ(lost(), 10);
  EXPECT_THAT(mirrored_, IsEmpty());
  EXPECT_LE(RunsOf(kShadow).size() + RunsOf(kSecondary).size(), 2u);
}

TEST_F(MirrorTest, AnotherDeploymentsShadowInheritsNothing) {
  PublishShadow();
  supervisor_->SetNoRoom(kShadow, true);
  for (int i = 0; i < 5; ++i) Request(To("old"));
  world_.RunFor(kSecond);
  route_.shadow = Prepare(kSecondary);
  route_.mirrored = DeploymentId(8);
  Publish();
  Request(To("new"));
  world_.RunFor(kSecond);
  EXPECT_EQ(lost(), 5);
  ASSERT_THAT(mirrored_, SizeIs(1));
  EXPECT_EQ(mirrored_[0].deployment, DeploymentId(8));
  EXPECT_EQ(mirrored_[0].live.reply->content, "new");
}

TEST_F(MirrorTest, AFailedFirstRunIsMirroredOnceAndRetriesAreNot) {
  PublishShadow();
  int runs = 0;
  scripts_[kStable] = [&runs](const Envelope& envelope) {
    return ++runs == 1 ? Trap(envelope) : Echo(envelope);
  };
  Request(To("x"));
  world_.RunFor(10 * kSecond);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(Answered(), 1);
  ASSERT_THAT(mirrored_, SizeIs(1));
  EXPECT_EQ(mirrored_[0].live.outcome, StepOutcome::kTrapped);
  EXPECT_EQ(mirrored_[0].live.detail, "unreachable");
  EXPECT_EQ(mirrored_[0].shadow.outcome, StepOutcome::kHandled);
}

TEST_F(MirrorTest, APinnedMessageAndOneThatMayKillWorkersAreNotMirrored) {
  PublishShadow();
  int runs = 0;
  scripts_[kStable] = [&runs](const Envelope& envelope) {
    ScriptedStep step = Echo(envelope);
    step.crash = envelope.content == "kill" && ++runs == 1;
    return step;
  };
  Envelope pinned = To("pinned");
  pinned.pinned = kStable.number;
  Request(pinned);
  Request(To("kill"));
  world_.RunFor(10 * kSecond);
  EXPECT_EQ(Answered(), 2);
  EXPECT_THAT(mirrored_, IsEmpty());
}

TEST_F(MirrorTest, AVolatileMessageIsMirroredToo) {
  PublishShadow();
  Envelope envelope = To("x");
  envelope.delivery = Delivery::kVolatile;
  Request(envelope);
  world_.RunFor(kSecond);
  EXPECT_EQ(Answered(), 1);
  ASSERT_THAT(mirrored_, SizeIs(1));
  EXPECT_EQ(mirrored_[0].live.reply->content, "x");
}

TEST_F(MirrorTest, LinesOfTheShadowAreLoggedAndThoseOfTheSecondRunAreNot) {
  PublishShadow(/*secondary=*/true);
  for (RevisionRef revision : {kStable, kShadow, kSecondary}) {
    scripts_[revision] = [](const Envelope& envelope) {
      ScriptedStep step = Echo(envelope);
      step.result.logs.push_back({.text = "line"});
      return step;
    };
  }
  Request(To("x"));
  world_.RunFor(kSecond);
  for (RevisionRef revision : {kStable, kShadow, kSecondary}) {
    router_->OnLog(revision, {{.text = "outside of steps"}});
  }
  EXPECT_EQ(log_lines_[kStable], 2);
  EXPECT_EQ(log_lines_[kShadow], 2);
  EXPECT_EQ(log_lines_[kSecondary], 0);
}

TEST_F(MirrorTest, WithoutAStrandForItNothingIsMirrored) {
  RouterDeps deps{.journal = journal_.get(), .clock = &world_, .random = &random_};
  deps.shards = {world_.NewExecutor()};
  router::RouterObserver silent;
  deps.observer = &silent;
  router_ = Router::Make(std::move(deps));
  supervisor_->SetSink(router_.get());
  PublishShadow();
  Request(To("x"));
  world_.RunFor(kSecond);
  EXPECT_EQ(Answered(), 1);
  EXPECT_EQ(supervisor_->Dispatched(kShadow), 0u);
}

}  // namespace
}  // namespace caxton::router
