// SPDX-License-Identifier: Apache-2.0
//
// Replays of history before traffic, with crashes in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"
#include "caxton/router/replay.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using deployment::EndCause;
using deployment::VerdictKind;
using supervisor::testing::EchoScript;
using supervisor::testing::ScriptedStep;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr int64_t kSecond = kNanosPerSecond;

class HistoryReplays : public ::testing::Test {
 protected:
  HistoryReplays() {
    stable_ = server_.AddModule("stable", EchoScript());
    good_ = server_.AddModule("good", EchoScript(kNanosPerMilli));
    other_ = server_.AddModule("other", [](auto&, auto&, const Envelope& envelope) {
      ScriptedStep step;
      step.result.reply = Reply{Performative::kInform, envelope.content + "!"};
      return step;
    });
    bad_ = server_.AddModule("bad", [](auto&, auto&, const Envelope& envelope) {
      ScriptedStep step;
      if (envelope.content == "7") {
        step.result.outcome = StepOutcome::kTrapped;
        step.result.detail = "wasm trap: unreachable";
      }
      return step;
    });
    EXPECT_TRUE(server_.Deploy(SimServer::Direct("agent", stable_)).ok());
    EXPECT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  }
  void Handle(int messages) {
    for (int i = 0; i < messages; ++i) {
      auto caller = server_.Request(SimServer::To("agent", StrCat(i), StrCat(i % 5)));
      server_.world.RunFor(10 * kNanosPerMilli);
      EXPECT_TRUE(caller->ok());
    }
  }
  static DeployRequest WithHistory(const Digest& module, int32_t history,
                                   const std::string& fail_on = "") {
    DeployRequest request = SimServer::Direct("agent", module);
    request.spec.history = history;
    if (!fail_on.empty()) request.spec.shadow_fail_on = *ParseConditions(fail_on);
    return request;
  }
  // Runs until the newest deployment has left VALIDATING.
  deployment::DeploymentStatus Deployed(DeployRequest request) {
    auto made = server_.Deploy(std::move(request));
    EXPECT_TRUE(made.ok()) << made.status();
    if (!made.ok()) return {};
    return Settled();
  }
  deployment::DeploymentStatus Settled() {
    const int64_t end_ns = server_.world.MonoNanos() + 300 * kSecond;
    do {
      server_.world.RunFor(kSecond);
    } while (server_.Get("agent")->status.state == DeploymentState::kValidating &&
             server_.world.MonoNanos() < end_ns);
    server_.world.RunFor(kSecond);
    return server_.Get("agent")->status;
  }
  // Steps that any revision but the first has run on the live path.
  int64_t LiveStepsOfCandidates() const {
    return std::count_if(server_.steps.begin(), server_.steps.end(), [](const auto& step) {
      return step.revision.number != RevisionNumber(1);
    });
  }
  void ExpectNothingLeftOver() {
    server_.world.RunFor(kSecond);
    for (const RevisionRef& ref : server_.supervisor->Running()) {
      EXPECT_FALSE(router::IsReplay(ref.number)) << ref.number.value();
    }
    EXPECT_EQ(server_.CheckCounters(), "");
  }

  SimServer server_;
  Digest stable_, good_, other_, bad_;
};

TEST_F(HistoryReplays, ValidationRunsTheLastMessagesToo) {
  Handle(60);
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", good_)).ok());
  server_.world.RunFor(kSecond);
  const std::vector<std::string>& recent = server_.validator->last_recent();
  ASSERT_THAT(recent, SizeIs(50));
  EXPECT_EQ(DecodeEnvelope(recent.front())->content, "10");
  EXPECT_EQ(DecodeEnvelope(recent.back())->content, "59");
  DeployRequest other = SimServer::Direct("other", good_);
  other.validate_only = true;
  ASSERT_TRUE(server_.Deploy(other).ok());
  EXPECT_THAT(server_.validator->last_recent(), SizeIs(0));
}

TEST_F(HistoryReplays, ACandidateThatFailsOnAKeptMessageNeverGetsTraffic) {
  Handle(50);
  const auto status = Deployed(WithHistory(bad_, 100));
  EXPECT_EQ(status.state, DeploymentState::kFailed);
  EXPECT_EQ(status.cause, EndCause::kHistory);
  EXPECT_EQ(status.history.kind, VerdictKind::kFailed);
  EXPECT_THAT(status.error,
              HasSubstr("1 of 50 (2%) messages that agent@1 handles fail on agent@2"));
  EXPECT_THAT(status.error, HasSubstr("wasm trap: unreachable"));
  const auto view = server_.Get("agent");
  ASSERT_TRUE(view->history.has_value());
  EXPECT_EQ(view->history->kept, 50);
  EXPECT_EQ(view->history->asked, 100);
  EXPECT_THAT(view->history->failures, SizeIs(1));
  Handle(5);
  EXPECT_EQ(LiveStepsOfCandidates(), 0);
  EXPECT_THAT(server_.Handled(server_.IdOf("agent")), SizeIs(55)) << "a replay commits nothing";
  ExpectNothingLeftOver();
}

TEST_F(HistoryReplays, DifferencesAreToldAndOnlyFailOnMakesThemFail) {
  Handle(20);
  auto status = Deployed(WithHistory(other_, 10));
  EXPECT_EQ(status.state, DeploymentState::kRunning);
  EXPECT_EQ(status.history.kind, VerdictKind::kSuccessful);
  auto view = server_.Get("agent");
  EXPECT_EQ(view->history->kept, 10);
  EXPECT_EQ(view->history->comparison.differing, 10);
  ASSERT_THAT(view->history->comparison.places, SizeIs(1));
  const analysis::ShadowSample& sample = view->history->comparison.places[0].samples[0];
  EXPECT_EQ(sample.live + "!", sample.shadow);
  ExpectNothingLeftOver();
  ASSERT_TRUE(server_.Rollback({.target = "agent"}).ok());
  status = Deployed(WithHistory(other_, 10, "differs > 1%"));
  EXPECT_EQ(status.state, DeploymentState::kFailed);
  EXPECT_THAT(status.error, HasSubstr("differs > 1%: 10 of 10"));
}

TEST_F(HistoryReplays, FailOnMayAllowFailures) {
  Handle(50);
  EXPECT_EQ(Deployed(WithHistory(bad_, 100, "error_rate > 5%")).state, DeploymentState::kRunning);
}

TEST_F(HistoryReplays, EveryStrategyReplaysFirst) {
  Handle(50);
  DeployRequest canary = SimServer::Canary("agent", bad_, "5:10m", "error_rate > 1%");
  canary.spec.history = 50;
  EXPECT_EQ(Deployed(canary).cause, EndCause::kHistory);
  DeployRequest shadow = WithHistory(bad_, 50);
  shadow.spec.strategy = Strategy::kShadow;
  EXPECT_EQ(Deployed(shadow).cause, EndCause::kHistory);
  DeployRequest blue_green = WithHistory(bad_, 50);
  blue_green.spec.strategy = Strategy::kBlueGreen;
  EXPECT_EQ(Deployed(blue_green).cause, EndCause::kHistory);
  canary.module = good_;
  EXPECT_EQ(Deployed(canary).state, DeploymentState::kDeploying);
  EXPECT_EQ(server_.Get("agent")->history->comparison.equal, 50);
  EXPECT_EQ(LiveStepsOfCandidates(), 0);
  Handle(50);
  EXPECT_EQ(server_.CheckCounters(), "");
}

TEST_F(HistoryReplays, NothingKeptIsSaidAndItGoesOn) {
  const auto status = Deployed(WithHistory(bad_, 100));
  EXPECT_EQ(status.state, DeploymentState::kRunning);
  EXPECT_EQ(status.history.kind, VerdictKind::kInconclusive);
  EXPECT_THAT(status.history.text, HasSubstr("0 of 100 asked were there"));
}

TEST_F(HistoryReplays, AFirstDeploymentHasNothingToCompareWith) {
  DeployRequest first = WithHistory(good_, 100);
  first.agent = "new";
  auto made = server_.Deploy(first);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->view.status.plan.history, 0);
  EXPECT_THAT(made->view.status.plan.notes,
              ::testing::Contains(HasSubstr("history is not replayed")));
  EXPECT_TRUE(server_.Await("new", DeploymentState::kRunning));
}

// Wherever the server dies: the replay is made again with what is there, or its outcome is on
// record. A candidate gets traffic only with a verdict that is written down.
TEST_F(HistoryReplays, CutShortAnywhereItIsDecidedOnce) {
  for (const CrashKind kind : {CrashKind::kKill, CrashKind::kPowerCut}) {
    int passed = 0;
    for (int64_t cut_ms = 0; cut_ms <= 120; cut_ms += 4) {
      SCOPED_TRACE(cut_ms);
      SimServer server;
      const Digest one = server.AddModule("one", EchoScript());
      const Digest two = server.AddModule("two", EchoScript(2 * kNanosPerMilli));
      ASSERT_TRUE(server.Deploy(SimServer::Direct("agent", one)).ok());
      ASSERT_TRUE(server.Await("agent", DeploymentState::kRunning));
      for (int i = 0; i < 30; ++i) server.Request(SimServer::To("agent", StrCat(i)));
      server.world.RunFor(kSecond);
      DeployRequest request = SimServer::Direct("agent", two);
      request.spec.history = 30;
      ASSERT_TRUE(server.Deploy(request).ok());
      server.world.RunFor(cut_ms * kNanosPerMilli);
      server.Crash(kind);
      server.Start();
      server.world.RunFor(60 * kSecond);
      const auto view = server.Get("dep-2");
      ASSERT_TRUE(view.ok());
      EXPECT_EQ(view->status.state, DeploymentState::kRunning);
      ASSERT_TRUE(view->history.has_value());
      if (view->status.history.kind == VerdictKind::kSuccessful) {
        ++passed;
        EXPECT_EQ(view->history->comparison.compared, 30) << "decided before the cut";
      } else {
        EXPECT_EQ(view->status.history.kind, VerdictKind::kInconclusive);
        EXPECT_THAT(view->status.history.text, HasSubstr("0 of 30 asked were there"));
      }
      for (const RevisionRef& ref : server.supervisor->Running()) {
        EXPECT_FALSE(router::IsReplay(ref.number));
      }
      EXPECT_EQ(server.CheckCounters(), "");
    }
    EXPECT_GT(passed, 0);
    EXPECT_LT(passed, 31);
  }
}

TEST_F(HistoryReplays, ADecidedFailureAndItsReportSurviveAPowerCut) {
  Handle(50);
  const auto before = Deployed(WithHistory(bad_, 100));
  const auto report = server_.Get("agent")->history;
  server_.Crash(CrashKind::kPowerCut);
  server_.Start();
  server_.world.RunFor(kSecond);
  EXPECT_EQ(server_.Get("agent")->status, before);
  EXPECT_EQ(server_.Get("agent")->history, report);
  auto explained = server_.Ask<Explanation>(
      [&](Done<Explanation> done) { server_.controller->Explain("agent", std::move(done)); });
  ASSERT_TRUE(explained.ok()) << explained.status();
  EXPECT_TRUE(explained->matches);
  EXPECT_EQ(explained->recomputed, before.history);
  EXPECT_EQ(explained->evidence, 50);
}

TEST_F(HistoryReplays, AnAbortEndsItsWorkersToo) {
  Handle(50);
  const Digest slow = server_.AddModule("slow", EchoScript(500 * kNanosPerMilli));
  ASSERT_TRUE(server_.Deploy(WithHistory(slow, 50)).ok());
  server_.world.RunFor(kSecond);
  EXPECT_EQ(server_.Get("agent")->status.state, DeploymentState::kValidating);
  EXPECT_THAT(server_.supervisor->Running(), SizeIs(3));
  auto aborted = server_.Ask<DeploymentView>(
      [&](Done<DeploymentView> done) { server_.controller->Abort("agent", {}, std::move(done)); });
  ASSERT_TRUE(aborted.ok()) << aborted.status();
  server_.world.RunFor(kSecond);
  EXPECT_EQ(server_.Get("agent")->status.state, DeploymentState::kRolledBack);
  ExpectNothingLeftOver();
  EXPECT_EQ(Deployed(WithHistory(good_, 50)).state, DeploymentState::kRunning);
}

TEST_F(HistoryReplays, AnAgentThatIsRemovedMeanwhileLeavesNothing) {
  Handle(50);
  const Digest slow = server_.AddModule("slow", EchoScript(500 * kNanosPerMilli));
  ASSERT_TRUE(server_.Deploy(WithHistory(slow, 50)).ok());
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(server_.Remove("agent", router::RemoveMode::kPurge).ok());
  server_.world.RunFor(kSecond);
  EXPECT_THAT(server_.supervisor->Running(), ::testing::IsEmpty());
}

// The part that was run in time decides; the rest is told.
TEST_F(HistoryReplays, ItHasADeadline) {
  Handle(50);
  const Digest slow = server_.AddModule("slow", EchoScript(9 * kSecond));
  DeployRequest request = WithHistory(slow, 50);
  request.overrides.deadline_ns = 10 * kSecond;
  const auto status = Deployed(request);
  EXPECT_EQ(status.state, DeploymentState::kRunning);
  EXPECT_THAT(status.history.text, HasSubstr("not run: the time was up"));
  const auto report = server_.Get("agent")->history;
  EXPECT_GT(report->comparison.compared, 0);
  EXPECT_EQ(report->comparison.compared + report->unrun, 50);
}

TEST_F(HistoryReplays, WorkersThatDoNotStartFailIt) {
  Handle(5);
  // The first replay's of dep-2.
  server_.supervisor->FailPrepare(
      {server_.IdOf("agent"), router::ReplayOf(RevisionNumber((2 << 1) | 1))},
      absl::InternalError("no worker"));
  const auto status = Deployed(WithHistory(good_, 5));
  EXPECT_EQ(status.state, DeploymentState::kFailed);
  EXPECT_THAT(status.error, HasSubstr("no worker"));
  EXPECT_THAT(status.error, HasSubstr("To fix"));
  ExpectNothingLeftOver();
}

}  // namespace
}  // namespace caxton::controller::testing
