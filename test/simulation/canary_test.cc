// SPDX-License-Identifier: Apache-2.0
//
// A canary of minutes, run in milliseconds on the whole server, with crashes in its middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using supervisor::testing::EchoScript;
using supervisor::testing::ScriptedStep;

constexpr int64_t kSecond = kNanosPerSecond;

// Traps on every `n`th message, by its content.
supervisor::testing::Script TrapsEvery(int n) {
  return [n](const Revision&, const StepInput&, const Envelope& envelope) {
    ScriptedStep step;
    step.result.reply = Reply{Performative::kInform, envelope.content};
    if (std::stoi(envelope.content) % n == 0) {
      step.result = StepResult{.outcome = StepOutcome::kTrapped, .detail = "unreachable"};
    }
    return step;
  };
}

// Traps on the first run of every `n`th message, whichever revision runs it.
supervisor::testing::Script TrapsOnceEvery(int n, std::shared_ptr<std::set<std::string>> seen) {
  return [n, seen](const Revision&, const StepInput&, const Envelope& envelope) {
    ScriptedStep step;
    step.result.reply = Reply{Performative::kInform, envelope.content};
    if (std::stoi(envelope.content) % n == 0 && seen->insert(envelope.content).second) {
      step.result = StepResult{.outcome = StepOutcome::kTrapped, .detail = "unreachable"};
    }
    return step;
  };
}

class CanarySimulation : public ::testing::Test {
 protected:
  // `rate` requests a second for `seconds`, keys spread; all answers are kept.
  void Load(int64_t seconds, int rate = 20) {
    for (int64_t i = 0; i < seconds * rate; ++i) {
      const std::string n = StrCat(++sent_);
      callers_.push_back(server_.Request(SimServer::To("greeter", n, StrCat("key-", sent_ % 97))));
      server_.world.RunFor(kSecond / rate);
    }
  }
  void ExpectAllAnswered() {
    server_.world.RunFor(kSecond);
    for (size_t i = 0; i < callers_.size(); ++i) {
      ASSERT_TRUE(callers_[i]->ok()) << "message " << i + 1 << ": " << callers_[i]->answers;
      EXPECT_EQ(callers_[i]->answers, 1);
    }
  }
  deployment::DeploymentStatus Status() { return server_.Get("greeter")->status; }

  SimServer server_;
  int sent_ = 0;
  std::vector<std::shared_ptr<Caller>> callers_;
};

TEST_F(CanarySimulation, GoodVersionIsPromotedAcrossACrash) {
  const Digest one = server_.AddModule("greeter 1", EchoScript());
  const Digest two = server_.AddModule("greeter 2", EchoScript());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("greeter", one)).ok());
  ASSERT_TRUE(server_.Await("greeter", DeploymentState::kRunning));
  ASSERT_TRUE(server_
                  .Deploy(SimServer::Canary("greeter", two, "20:2m,50:3m",
                                            "error_rate > 1%, p99_latency > 100ms"))
                  .ok());
  Load(150);  // into the second stage
  ExpectAllAnswered();

  absl::StatusOr<DeploymentView> before = server_.Get("greeter");
  ASSERT_TRUE(before.ok());
  ASSERT_EQ(before->status.state, DeploymentState::kDeploying);
  ASSERT_EQ(before->status.stage, 1u);
  server_.Crash();
  server_.world.RunFor(3600 * kSecond);  // the server is down for an hour
  server_.Start();
  absl::StatusOr<DeploymentView> after = server_.Get("greeter");
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->status.state, DeploymentState::kDeploying);
  EXPECT_EQ(after->status.stage, before->status.stage);
  EXPECT_EQ(after->status.WeightPpm(), before->status.WeightPpm());
  EXPECT_LE(after->elapsed_ns, before->elapsed_ns);
  EXPECT_GE(after->elapsed_ns, before->elapsed_ns - kSecond);
  ASSERT_TRUE(after->numbers.has_value());
  EXPECT_EQ(after->numbers->candidate.runs, before->numbers->candidate.runs);
  EXPECT_EQ(after->numbers->stable.runs, before->numbers->stable.runs);
  for (size_t i = 0; i < before->numbers->tests.size(); ++i) {
    EXPECT_DOUBLE_EQ(after->numbers->tests[i].log_evidence, before->numbers->tests[i].log_evidence);
  }

  Load(160);
  ExpectAllAnswered();
  EXPECT_EQ(Status().state, DeploymentState::kRunning);
  EXPECT_EQ(server_.CheckCounters(), "");
}

TEST_F(CanarySimulation, ElapsedTimeSurvivesAPowerCut) {
  const Digest one = server_.AddModule("greeter 1", EchoScript());
  const Digest two = server_.AddModule("greeter 2", EchoScript());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("greeter", one)).ok());
  ASSERT_TRUE(server_.Await("greeter", DeploymentState::kRunning));
  ASSERT_TRUE(server_.Deploy(SimServer::Canary("greeter", two, "20:10m", "error_rate > 1%")).ok());
  server_.world.RunFor(100 * kSecond);  // no traffic that would sync the journal
  absl::StatusOr<DeploymentView> before = server_.Get("greeter");
  server_.Crash(CrashKind::kPowerCut);
  server_.Start();
  absl::StatusOr<DeploymentView> after = server_.Get("greeter");
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->status.state, DeploymentState::kDeploying);
  EXPECT_LE(after->elapsed_ns, before->elapsed_ns);
  EXPECT_GE(after->elapsed_ns, before->elapsed_ns - kSecond);
}

TEST_F(CanarySimulation, BadVersionIsRolledBackAndNothingOfItCommitsAfterwards) {
  const Digest one = server_.AddModule("greeter 1", EchoScript());
  const Digest bad = server_.AddModule("greeter 2", TrapsEvery(5));
  size_t committed_before = 0;
  server_.on_transition = [&](const DeploymentView& view) {
    if (view.status.withdrawn) committed_before = server_.Handled(server_.IdOf("greeter")).size();
  };
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("greeter", one)).ok());
  ASSERT_TRUE(server_.Await("greeter", DeploymentState::kRunning));
  ASSERT_TRUE(
      server_.Deploy(SimServer::Canary("greeter", bad, "20:5m,50:5m", "error_rate > 1%")).ok());
  Load(60);
  ExpectAllAnswered();  // no sender saw an error
  const deployment::DeploymentStatus status = Status();
  EXPECT_EQ(status.state, DeploymentState::kRolledBack);
  EXPECT_EQ(status.verdict.kind, deployment::VerdictKind::kFailed);
  const auto handled = server_.Handled(server_.IdOf("greeter"));
  std::set<std::string> ids;
  for (const auto& row : handled) ids.insert(row.envelope.id);
  EXPECT_EQ(ids.size(), handled.size());
  EXPECT_EQ(handled.size(), callers_.size());
  ASSERT_GT(committed_before, 0u);
  for (size_t i = committed_before; i < handled.size(); ++i) {
    EXPECT_EQ(handled[i].revision, status.stable.number);
  }
  absl::StatusOr<Explanation> why = server_.Ask<Explanation>(
      [&](Done<Explanation> done) { server_.controller->Explain("greeter", std::move(done)); });
  ASSERT_TRUE(why.ok());
  EXPECT_TRUE(why->matches);

  server_.Crash();
  server_.Start();
  EXPECT_EQ(Status().state, DeploymentState::kRolledBack);
  callers_.clear();
  Load(5);
  ExpectAllAnswered();
}

// The same code on both arms, failing now and then. What no ordinary retry follows, because it is
// volatile or has no attempt left, must count for stable as it does for the candidate: else every
// good version is rolled back by the comparison.
TEST_F(CanarySimulation, FailuresWithoutRetryCountForBothArmsAlike) {
  auto seen = std::make_shared<std::set<std::string>>();
  const Digest one = server_.AddModule("greeter 1", TrapsOnceEvery(40, seen));
  const Digest two = server_.AddModule("greeter 2", TrapsOnceEvery(40, seen));
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("greeter", one)).ok());
  ASSERT_TRUE(server_.Await("greeter", DeploymentState::kRunning));
  ASSERT_TRUE(server_.Deploy(SimServer::Canary("greeter", two, "20:5m", "error_rate > 50%")).ok());
  for (int i = 0; i < 4000; ++i) {
    Envelope envelope = SimServer::To("greeter", StrCat(++sent_), "");
    envelope.delivery = Delivery::kVolatile;
    callers_.push_back(server_.Request(std::move(envelope)));
    server_.world.RunFor(kSecond / 20);
  }
  ExpectAllAnswered();
  EXPECT_EQ(Status().state, DeploymentState::kDeploying) << Status().verdict.text;
  absl::StatusOr<DeploymentView> view = server_.Get("greeter");
  ASSERT_TRUE(view.ok());
  ASSERT_TRUE(view->numbers.has_value());
  EXPECT_EQ(view->numbers->stable.bad + view->numbers->candidate.bad, 100);
  EXPECT_GT(view->numbers->stable.bad, view->numbers->candidate.bad);
  EXPECT_EQ(view->numbers->stable.shared + view->numbers->candidate.shared, 0);
}

// Stable fails everything, its retries too, so that nothing of it can be compared: the end of the
// stages promotes what works.
TEST_F(CanarySimulation, ABrokenStableDoesNotBlockItsFix) {
  const Digest broken = server_.AddModule("greeter 1", TrapsEvery(1));
  const Digest fix = server_.AddModule("greeter 2", EchoScript());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("greeter", broken)).ok());
  ASSERT_TRUE(server_.Await("greeter", DeploymentState::kRunning));
  DeployRequest request = SimServer::Canary("greeter", fix, "20:1m,50:1m", "error_rate > 1%");
  request.spec.promote = PromoteWhen::kEarly;
  ASSERT_TRUE(server_.Deploy(std::move(request)).ok());
  server_.world.RunFor(kSecond);
  ASSERT_EQ(Status().state, DeploymentState::kDeploying);
  auto load = [this](int64_t seconds) {
    for (int64_t i = 0; i < 20 * seconds && Status().state == DeploymentState::kDeploying; ++i) {
      server_.Send(SimServer::To("greeter", StrCat(++sent_)));
      server_.world.RunFor(kSecond / 20);
    }
  };
  load(50);
  EXPECT_EQ(Status().stage, 0u) << "nothing speaks for an early end of it";
  const absl::StatusOr<DeploymentView> view = server_.Get("greeter");
  ASSERT_TRUE(view->numbers.has_value());
  EXPECT_GT(view->numbers->stable.shared, 500);
  EXPECT_EQ(view->numbers->stable.bad, 0);
  load(90);
  EXPECT_EQ(Status().state, DeploymentState::kRunning) << Status().verdict.text;
  EXPECT_EQ(Status().verdict.kind, deployment::VerdictKind::kSuccessful);
}

// Beside the configured share: of the stage, not of all of them together.
TEST_F(CanarySimulation, TheObservedShareIsKeptByStage) {
  const Digest one = server_.AddModule("greeter 1", EchoScript());
  const Digest two = server_.AddModule("greeter 2", EchoScript());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("greeter", one)).ok());
  ASSERT_TRUE(server_.Await("greeter", DeploymentState::kRunning));
  ASSERT_TRUE(
      server_.Deploy(SimServer::Canary("greeter", two, "10:1m,80:3m", "error_rate > 50%")).ok());
  for (int i = 0; i < 2400; ++i) {
    server_.Send(SimServer::To("greeter", StrCat(++sent_)));
    server_.world.RunFor(kSecond / 20);
  }
  ASSERT_EQ(Status().stage, 1u);
  server_.Crash();
  server_.Start();
  server_.world.RunFor(kSecond);
  const auto got = server_.Get("greeter")->numbers->by_weight;
  ASSERT_EQ(got.size(), 2u);
  EXPECT_NEAR(static_cast<double>(got[0].candidate) / static_cast<double>(got[0].all), 0.1, 0.04);
  EXPECT_NEAR(static_cast<double>(got[1].candidate) / static_cast<double>(got[1].all), 0.8, 0.05);
}

}  // namespace
}  // namespace caxton::controller::testing
