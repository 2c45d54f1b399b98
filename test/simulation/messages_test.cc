// SPDX-License-Identifier: Apache-2.0
//
// What becomes of single messages: order, retries, dead letters, candidates, idempotency,
// deadlines, deferred replies, removal, restart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"
#include "caxton/router/limits.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using supervisor::testing::EchoScript;
using supervisor::testing::ScriptedStep;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kMilli = kNanosPerMilli;
constexpr int64_t kSecond = kNanosPerSecond;

// Steps do what their message's content says.
ScriptedStep Obey(const Envelope& envelope, std::map<std::string, int>& runs) {
  const std::string& what = envelope.content;
  const int run = ++runs[what];
  ScriptedStep step;
  step.result.reply = Reply{Performative::kInform, what};
  if (what.starts_with("fail") || (what.starts_with("once") && run == 1)) {
    step.result = StepResult{.outcome = StepOutcome::kTrapped, .detail = "unreachable"};
  } else if (what.starts_with("reject")) {
    step.result = StepResult{.outcome = StepOutcome::kAgentRejected, .agent_code = 2};
  } else if (what.starts_with("slow")) {
    step.duration_ns = 200 * kMilli;
  } else if (what.starts_with("kill")) {
    step.crash = true;
  } else if (what.starts_with("later")) {
    step.result.reply.reset();
    OutgoingMessage answer;
    answer.to = envelope.sender;
    answer.in_reply_to = envelope.reply_with;
    answer.content = "here";
    step.result.sends.push_back(std::move(answer));
  } else if (what.starts_with("fan")) {
    for (const char* content : {"one", "two"}) {
      step.result.sends.push_back(OutgoingMessage{.to = "agent", .content = content});
    }
  } else if (what.starts_with("to nobody")) {
    step.result.sends.push_back(OutgoingMessage{.to = "nobody", .content = "x"});
  }
  return step;
}

class Messages : public ::testing::Test {
 protected:
  Messages() {
    obeys_ = server_.AddModule("obeys", [this](const Revision&, const StepInput&,
                                               const Envelope& e) { return Obey(e, runs_); });
  }
  void Start(OnPoison on_poison = OnPoison::kHold, int attempts = 3, int instances = 1) {
    DeployRequest request = SimServer::Direct("agent", obeys_);
    request.overrides.max_attempts = attempts;
    request.overrides.instances = instances;
    request.overrides.on_poison = on_poison;
    request.spec.cleanup_ns = 0;
    ASSERT_TRUE(server_.Deploy(request).ok());
    ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  }
  // A canary of all keys.
  void StartCandidate(supervisor::testing::Script script) {
    const Digest module = server_.AddModule("candidate", std::move(script));
    ASSERT_TRUE(
        server_.Deploy(SimServer::Canary("agent", module, "99.9:10m", "error_rate > 90%")).ok());
    ASSERT_TRUE(server_.Await("agent", DeploymentState::kDeploying));
    server_.world.RunFor(kSecond);
  }
  std::shared_ptr<Caller> Request(const std::string& content, const std::string& key = "") {
    return server_.Request(SimServer::To("agent", content, key));
  }
  std::shared_ptr<Caller> Send(const std::string& content, const std::string& key = "") {
    return server_.Send(SimServer::To("agent", content, key));
  }
  std::vector<std::string> Order() {
    std::vector<std::string> contents;
    for (const auto& row : server_.Handled(server_.IdOf("agent"))) {
      contents.push_back(row.envelope.content);
    }
    return contents;
  }
  std::vector<journal::DeadLetterRecord> Dead() {
    return server_.DeadLetters(server_.IdOf("agent"));
  }
  void TearDown() override { EXPECT_EQ(server_.CheckCounters(), ""); }

  std::map<std::string, int> runs_;
  SimServer server_;
  Digest obeys_;
};

TEST_F(Messages, OfOneKeyRunInOrderAndOthersBesideThem) {
  Start(OnPoison::kHold, 3, /*instances=*/2);
  Send("slow 1", "a");
  Send("quick 2", "a");
  Send("quick 3", "b");
  server_.world.RunFor(kSecond);
  EXPECT_THAT(Order(), ElementsAre("quick 3", "slow 1", "quick 2"));
}

TEST_F(Messages, FailingHoldsItsKeyUntilItIsADeadLetter) {
  Start();
  auto failing = Request("fail", "a");
  auto behind = Request("ok", "a");
  server_.world.RunFor(50 * kMilli);
  EXPECT_EQ(server_.store.rows(journal::Table::kHeld), 1u);
  EXPECT_EQ(behind->answers, 0);
  server_.world.RunFor(2 * kSecond);
  EXPECT_EQ(failing->code(), absl::StatusCode::kAborted);
  EXPECT_TRUE(behind->ok());
  ASSERT_THAT(Dead(), SizeIs(1));
  EXPECT_EQ(Dead()[0].cause, "max_attempts");
  EXPECT_THAT(Dead()[0].attempts, SizeIs(3));
}

TEST_F(Messages, SkippedPoisonIsOvertaken) {
  Start(OnPoison::kSkip);
  auto failing = Request("once", "a");
  auto behind = Request("ok", "a");
  server_.world.RunFor(50 * kMilli);
  EXPECT_TRUE(behind->ok());
  EXPECT_EQ(failing->answers, 0);
  server_.world.RunFor(kSecond);
  EXPECT_TRUE(failing->ok());
  EXPECT_THAT(Order(), ElementsAre("ok", "once"));
}

TEST_F(Messages, RejectedIsADeadLetterAtOnceAndCanBeRetried) {
  Start();
  auto rejected = Request("reject");
  server_.world.RunFor(10 * kMilli);
  EXPECT_EQ(rejected->code(), absl::StatusCode::kAborted);
  EXPECT_EQ(runs_["reject"], 1);
  ASSERT_THAT(Dead(), SizeIs(1));
  EXPECT_EQ(Dead()[0].cause, "rejected");
  // Twice at once: one message only.
  const AgentId agent = server_.IdOf("agent");
  Seq seq;
  ASSERT_TRUE(server_.journal
                  ->ScanDeadLetters(agent, Seq(),
                                    [&](Seq s, const journal::DeadLetterRecord&) {
                                      seq = s;
                                      return true;
                                    })
                  .ok());
  std::vector<absl::Status> done;
  for (int i = 0; i < 2; ++i) {
    server_.router->RetryDeadLetter(agent, seq, [&](absl::Status s) { done.push_back(s); });
  }
  server_.world.RunFor(100 * kMilli);
  ASSERT_THAT(done, SizeIs(2));
  EXPECT_EQ(done[0].code(), absl::StatusCode::kAborted);  // the second is told first
  EXPECT_TRUE(done[1].ok());
  EXPECT_EQ(runs_["reject"], 2);
  EXPECT_THAT(Dead(), SizeIs(1));
}

TEST_F(Messages, FailedOnACandidateRunAtOnceOnStable) {
  Start();
  StartCandidate([](const Revision&, const StepInput&, const Envelope&) {
    return ScriptedStep{.result = {.outcome = StepOutcome::kTrapped, .detail = "unreachable"}};
  });
  server_.observations.clear();
  auto good = Request("ok", "a");
  server_.world.RunFor(10 * kMilli);
  ASSERT_TRUE(good->ok());  // the sender sees nothing of it
  EXPECT_EQ(good->answer->revision, RevisionNumber(1));
  ASSERT_THAT(server_.observations, SizeIs(1));
  EXPECT_EQ(server_.observations[0].arm, Arm::kCandidate);
  EXPECT_EQ(server_.observations[0].verdict, RunVerdict::kBad);

  auto poison = Request("reject", "a");
  server_.world.RunFor(10 * kMilli);
  EXPECT_EQ(poison->code(), absl::StatusCode::kAborted);
  ASSERT_THAT(server_.observations, SizeIs(2));  // the message's own fault
  EXPECT_EQ(server_.observations[1].verdict, RunVerdict::kShared);
}

TEST_F(Messages, ThatKillsACandidateTwiceRunsOnStable) {
  Start();
  int kills = 0;
  StartCandidate([&kills](const Revision&, const StepInput&, const Envelope&) {
    ++kills;
    return ScriptedStep{.crash = true};
  });
  server_.observations.clear();
  auto caller = Request("ok", "a");
  server_.world.RunFor(kSecond);
  EXPECT_TRUE(caller->ok());
  EXPECT_EQ(kills, 2);
  ASSERT_THAT(server_.observations, SizeIs(1));
  EXPECT_EQ(server_.observations[0].verdict, RunVerdict::kBad);
}

TEST_F(Messages, IdempotentRequestHasOneEffectAndOneAnswer) {
  Start();
  Envelope envelope = SimServer::To("agent", "slow");
  envelope.idempotency_key = "key";
  auto first = server_.Request(envelope);
  server_.world.RunFor(10 * kMilli);
  auto joined = server_.Request(envelope);
  server_.world.RunFor(kSecond);
  auto after = server_.Request(envelope);
  server_.world.RunFor(kSecond);
  server_.Crash(CrashKind::kPowerCut);
  server_.Start();
  server_.world.RunFor(kSecond);
  auto restarted = server_.Request(envelope);
  server_.world.RunFor(kSecond);
  for (const auto& caller : {first, joined, after, restarted}) {
    ASSERT_TRUE(caller->ok());
    EXPECT_EQ(caller->answer->reply->content, "slow");
    EXPECT_EQ(caller->answer->message_id, first->answer->message_id);
    EXPECT_EQ(caller->answer->duplicate, caller != first);
  }
  EXPECT_EQ(runs_["slow"], 1);
  envelope.content = "other";
  auto other = server_.Request(envelope);
  server_.world.RunFor(kSecond);
  EXPECT_EQ(other->code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(Messages, ARepeatOfWhatEndedUnhandledIsToldTheSameAgain) {
  Start();
  Envelope late = SimServer::To("agent", "ok", "a");
  Send("slow", "a");
  late.idempotency_key = "late";
  late.deadline_ns = server_.world.WallNanos() + kMilli;
  Envelope bad = SimServer::To("agent", "reject");
  bad.idempotency_key = "bad";
  for (const Envelope& envelope : {late, bad}) {
    auto first = server_.Request(envelope);
    server_.world.RunFor(kSecond);
    server_.Crash(CrashKind::kPowerCut);
    server_.Start();
    server_.world.RunFor(kSecond);
    auto again = server_.Request(envelope);
    server_.world.RunFor(kSecond);
    ASSERT_EQ(again->answers, 1);
    EXPECT_EQ(again->code(), first->code());
    EXPECT_EQ(ReasonOf(again->answer->status), ReasonOf(first->answer->status));
    EXPECT_EQ(again->answer->status.message(), first->answer->status.message());
    EXPECT_EQ(FixOf(again->answer->status), FixOf(first->answer->status));
  }
}

TEST_F(Messages, WhatHasExpiredAlreadyIsNotAccepted) {
  Start();
  Envelope envelope = SimServer::To("agent", "ok");
  const auto refused = [&] {
    auto caller = server_.Send(envelope);
    server_.world.RunFor(kSecond);
    return caller->code() == absl::StatusCode::kDeadlineExceeded &&
           FieldOf(caller->answer->status) == "deadline";
  };
  const journal::CounterRow before = server_.journal->TotalCounters();
  for (int64_t deadline_ns : {int64_t{1}, server_.world.WallNanos()}) {
    envelope.deadline_ns = deadline_ns;
    EXPECT_TRUE(refused()) << deadline_ns;
  }
  // With a key it may be a repeat, for as long as answers are kept.
  envelope.idempotency_key = "k";
  EXPECT_FALSE(refused());
  envelope.deadline_ns = server_.world.WallNanos() - router::kRepeatsAfterDeadlineNs;
  envelope.idempotency_key = "another";
  EXPECT_TRUE(refused());
  EXPECT_EQ(server_.journal->TotalCounters().accepted, before.accepted + 1);
  EXPECT_EQ(server_.CheckCounters(), "");
}

TEST_F(Messages, ARetriedDeadLetterAnswersRepeatsWithItsReply) {
  Start();
  Envelope envelope = SimServer::To("agent", "reject");
  envelope.idempotency_key = "key";
  auto first = server_.Request(envelope);
  server_.world.RunFor(kSecond);
  EXPECT_EQ(first->code(), absl::StatusCode::kAborted);
  // Another module handles it.
  const Digest mended = server_.AddModule("mended", supervisor::testing::EchoScript());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", mended)).ok());
  server_.world.RunFor(kSecond);
  const AgentId agent = server_.IdOf("agent");
  Seq seq;
  ASSERT_TRUE(server_.journal
                  ->ScanDeadLetters(agent, Seq(),
                                    [&](Seq s, const journal::DeadLetterRecord&) {
                                      seq = s;
                                      return true;
                                    })
                  .ok());
  server_.router->RetryDeadLetter(agent, seq, [](const absl::Status& s) { EXPECT_TRUE(s.ok()); });
  server_.world.RunFor(kSecond);
  auto again = server_.Request(envelope);
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(again->ok()) << again->answer->status;
  EXPECT_EQ(again->answer->reply->content, "reject");
  EXPECT_TRUE(again->answer->duplicate);
}

TEST_F(Messages, DeferredReplyAnswersTheCallerAndWhoeverJoined) {
  Start();
  Envelope envelope = SimServer::To("agent", "later");
  envelope.idempotency_key = "key";
  auto first = server_.Request(envelope);
  auto joined = server_.Request(envelope);
  server_.world.RunFor(kSecond);
  for (const auto& caller : {first, joined}) {
    ASSERT_TRUE(caller->ok()) << caller->answer->status;
    EXPECT_EQ(caller->answers, 1);
    EXPECT_EQ(caller->answer->reply->content, "here");
  }
}

TEST_F(Messages, ToNobodyIsADeadLetterOfItsSender) {
  Start();
  EXPECT_TRUE(Request("to nobody") != nullptr);
  server_.world.RunFor(10 * kMilli);
  ASSERT_THAT(Dead(), SizeIs(1));
  EXPECT_EQ(Dead()[0].cause, "unknown_receiver");
}

TEST_F(Messages, ExpireBeforeTheirTurnHoweverMany) {
  Start();
  Send("slow", "a");
  std::vector<std::shared_ptr<Caller>> callers;
  constexpr int kMany = 20'000;
  for (int i = 0; i < kMany; ++i) {
    Envelope envelope = SimServer::To("agent", "ok", "a");
    envelope.deadline_ns = server_.world.WallNanos() + 100 * kMilli;
    callers.push_back(server_.Request(std::move(envelope)));
  }
  server_.world.RunFor(kSecond);
  for (const auto& caller : callers) {
    ASSERT_EQ(caller->code(), absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_EQ(server_.journal->TotalCounters().dropped, static_cast<uint64_t>(kMany));
}

TEST_F(Messages, RefusedAboveWhatMayWait) {
  Start();
  server_.router->Routes()
      ->Find(std::string_view("agent"))
      ->load->waiting_messages.store(router::kMaxWaitingPerAgent);
  EXPECT_EQ(Send("ok")->code(), absl::StatusCode::kResourceExhausted);
  server_.router->Routes()->Find(std::string_view("agent"))->load->waiting_messages.store(0);
  server_.router->Routes()
      ->Find(std::string_view("agent"))
      ->load->waiting_bytes.store(router::kMaxWaitingBytesPerAgent);
  EXPECT_EQ(Send("ok")->code(), absl::StatusCode::kResourceExhausted);
  server_.router->Routes()->Find(std::string_view("agent"))->load->waiting_bytes.store(0);
  EXPECT_EQ(server_.Send(SimServer::To("agnet", "ok"))->code(), absl::StatusCode::kNotFound);
  auto accepted = Send("ok");
  server_.world.RunFor(kMilli);
  EXPECT_TRUE(accepted->ok());
}

TEST_F(Messages, HeldAndWaitingSurviveARestartInOrder) {
  Start(OnPoison::kHold, /*attempts=*/10);
  Send("once", "a");
  server_.world.RunFor(5 * kMilli);
  Send("second", "a");
  Send("third", "a");
  server_.world.RunFor(5 * kMilli);
  server_.Crash(CrashKind::kPowerCut);
  server_.Start();
  server_.world.RunFor(2 * kSecond);
  EXPECT_THAT(Order(), ElementsAre("once", "second", "third"));
}

TEST_F(Messages, ThatWereExecutingWhenTheServerDiedRunAlone) {
  Start(OnPoison::kHold, 3, 1);
  Send("slow 1");
  Send("quick 2");
  server_.world.RunFor(50 * kMilli);
  server_.Crash();
  server_.Start();
  server_.world.RunFor(2 * kSecond);
  EXPECT_THAT(Order(), ::testing::UnorderedElementsAre("slow 1", "quick 2"));
}

TEST_F(Messages, StopAcceptingKeepsWhatHasARowForTheNextStart) {
  Start();
  auto running = Request("slow 1", "a");
  Send("second", "a");
  server_.world.RunFor(10 * kMilli);
  server_.router->StopAccepting();
  EXPECT_EQ(Send("third", "a")->code(), absl::StatusCode::kUnavailable);
  server_.world.RunFor(kSecond);
  EXPECT_TRUE(running->ok());
  EXPECT_EQ(server_.router->Running(), 0);
  EXPECT_THAT(Order(), ElementsAre("slow 1"));
  server_.Crash();
  server_.Start();
  server_.world.RunFor(kSecond);
  EXPECT_THAT(Order(), ElementsAre("slow 1", "second"));
}

TEST_F(Messages, ARollbackRunsThemOnTheRestoredRevision) {
  Start();
  StartCandidate(EchoScript(500 * kMilli));
  auto running = Request("one", "a");
  auto queued = Request("two", "a");
  server_.world.RunFor(10 * kMilli);
  EXPECT_EQ(running->answers, 0);
  auto rolled_back = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(rolled_back.ok()) << rolled_back.status();
  EXPECT_EQ(rolled_back->to, "agent@1");
  server_.world.RunFor(100 * kMilli);
  for (const auto& caller : {running, queued}) {
    ASSERT_TRUE(caller->ok());
    EXPECT_EQ(caller->answer->revision, RevisionNumber(1));
  }
}

TEST_F(Messages, HeldOnesAreTriedAtOnceOnANewerRevision) {
  Start(OnPoison::kHold, /*attempts=*/10);
  auto failing = Request("fail", "a");
  server_.world.RunFor(20 * kSecond);  // its next try is many seconds away
  EXPECT_EQ(failing->answers, 0);
  const Digest mended = server_.AddModule("mended", EchoScript());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", mended)).ok());
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(failing->ok());
  EXPECT_EQ(failing->answer->revision, RevisionNumber(2));
}

TEST_F(Messages, OverItsQuotaAnAgentMayNotMultiplyThem) {
  Start();
  auto& origin = server_.router->Routes()->Find(std::string_view("agent"))->load->origin_bytes;
  origin.store(router::kOriginQuotaBytes + 1);
  auto over = Request("fan");
  server_.world.RunFor(10 * kMilli);
  EXPECT_EQ(over->code(), absl::StatusCode::kAborted);
  ASSERT_THAT(Dead(), SizeIs(1));
  EXPECT_EQ(Dead()[0].cause, "quota");
  origin.store(0);
  EXPECT_TRUE(Request("fan") != nullptr);
  server_.world.RunFor(10 * kMilli);
  EXPECT_THAT(Order(), ::testing::UnorderedElementsAre("fan", "one", "two"));
  EXPECT_EQ(origin.load(), 0);
}

class Removal : public Messages, public ::testing::WithParamInterface<router::RemoveMode> {};

TEST_P(Removal, EndsWhatWaits) {
  const router::RemoveMode mode = GetParam();
  Start();
  const AgentId agent = server_.IdOf("agent");
  auto running = Request("slow 1", "a");
  Send("second", "a");
  Send("fail", "b");
  server_.world.RunFor(50 * kMilli);
  auto removed = server_.Remove("agent", mode);
  if (mode == router::RemoveMode::kRefuseIfWaiting) {
    EXPECT_EQ(removed.status().code(), absl::StatusCode::kFailedPrecondition);
    return;
  }
  ASSERT_TRUE(removed.ok()) << removed.status();
  server_.world.RunFor(kSecond);
  EXPECT_EQ(running->answers, 1);
  EXPECT_EQ(Send("ok")->code(), absl::StatusCode::kNotFound);
  const journal::CounterRow counters = server_.journal->Counters(agent);
  EXPECT_EQ(counters.waiting, 0u);
  EXPECT_THAT(server_.supervisor->Running(), IsEmpty());
  if (mode == router::RemoveMode::kDrain) {
    EXPECT_EQ(counters.completed, 2u);
  } else if (mode == router::RemoveMode::kDeadLetter) {
    EXPECT_EQ(removed->dead_lettered, 3);
  } else {
    EXPECT_EQ(removed->dropped, 3);
  }
  server_.Crash();
  server_.Start();
  EXPECT_FALSE(server_.IdOf("agent").valid());
}

TEST_P(Removal, CutShortGoesOnAfterARestart) {
  const router::RemoveMode mode = GetParam();
  if (mode == router::RemoveMode::kRefuseIfWaiting) return;
  for (int64_t cut_us : {0, 50, 100, 200, 500, 1000, 5000, 50'000}) {
    SCOPED_TRACE(cut_us);
    SimServer server;
    const Digest module = server.AddModule("module", supervisor::testing::EchoScript(kSecond));
    ASSERT_TRUE(server.Deploy(SimServer::Direct("agent", module)).ok());
    ASSERT_TRUE(server.Await("agent", deployment::DeploymentState::kRunning));
    const AgentId agent = server.IdOf("agent");
    for (int i = 0; i < 20; ++i) server.Send(SimServer::To("agent", StrCat(i), "a"));
    server.world.RunFor(100 * kMilli);
    server.controller->RemoveAgent("agent", mode, {}, [](const auto&) {});
    server.world.RunFor(cut_us * kNanosPerMicro);
    server.Crash(CrashKind::kKill);
    server.Start();
    server.world.RunFor(120 * kSecond);
    if (server.IdOf("agent").valid()) {
      // It had not been recorded: nothing of it has happened.
      const journal::CounterRow counters = server.journal->Counters(agent);
      EXPECT_EQ(counters.completed, 20u);
    } else {
      EXPECT_EQ(server.journal->Counters(agent).waiting, 0u);
      EXPECT_THAT(server.supervisor->Running(), IsEmpty());
    }
    EXPECT_EQ(server.CheckCounters(), "");
  }
}

INSTANTIATE_TEST_SUITE_P(EachMode, Removal,
                         ::testing::Values(router::RemoveMode::kRefuseIfWaiting,
                                           router::RemoveMode::kDrain,
                                           router::RemoveMode::kDeadLetter,
                                           router::RemoveMode::kPurge));

}  // namespace
}  // namespace caxton::controller::testing
