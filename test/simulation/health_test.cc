// SPDX-License-Identifier: Apache-2.0
//
// The health of a candidate is part of every stage: warm-up, stages, pauses, cleanup window.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using deployment::EndCause;
using supervisor::testing::EchoScript;
using ::testing::HasSubstr;

constexpr int64_t kSecond = kNanosPerSecond;

class Health : public ::testing::Test {
 protected:
  Health() {
    for (int i = 0; i < 2; ++i) {
      modules_.push_back(server_.AddModule(StrCat("module ", i), EchoScript()));
    }
    DeployRequest request = SimServer::Direct("agent", modules_[0]);
    request.spec.cleanup_ns = 0;
    EXPECT_TRUE(server_.Deploy(request).ok());
    EXPECT_TRUE(server_.Await("agent", DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
    candidate_ = {server_.IdOf("agent"), RevisionNumber(2)};
  }
  // Of the second revision, from now on, also before it has workers.
  void Ill(bool ill) {
    server_.supervisor->SetHealth(candidate_, !ill, ill ? "health_check returned 7" : "");
  }
  void Deploy(const DeployRequest& request) { ASSERT_TRUE(server_.Deploy(request).ok()); }
  DeployRequest Direct() { return SimServer::Direct("agent", modules_[1]); }
  DeployRequest Canary() {
    return SimServer::Canary("agent", modules_[1], "10:10s,50:1h", "error_rate > 1%");
  }
  DeployRequest BlueGreen() {
    DeployRequest request = Direct();
    request.spec.strategy = Strategy::kBlueGreen;
    request.spec.stages = {{.kind = StageKind::kSwitch, .pause = true}};
    return request;
  }
  absl::Status Promote(bool full) {
    return server_
        .Ask<DeploymentView>([&](Done<DeploymentView> done) {
          server_.controller->Promote({.target = "agent", .full = full}, std::move(done));
        })
        .status();
  }
  deployment::DeploymentStatus Status() { return server_.Get("agent")->status; }
  uint32_t Serves() {
    auto caller = server_.Request(SimServer::To("agent", "hello"));
    server_.world.RunFor(100 * kNanosPerMilli);
    return caller->answer.has_value() ? caller->answer->revision.value() : 0;
  }

  SimServer server_;
  std::vector<Digest> modules_;
  RevisionRef candidate_;
};

TEST_F(Health, WhoIsIllWhenWarmGetsNoTraffic) {
  Ill(true);
  Deploy(Direct());
  server_.world.RunFor(10 * kSecond);
  EXPECT_EQ(Status().state, DeploymentState::kDeploying);
  EXPECT_EQ(Serves(), 1u);
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kRolledBack, 60 * kSecond));
  EXPECT_EQ(Status().cause, EndCause::kPrepare);
  EXPECT_THAT(Status().error, HasSubstr("not well at the end of warm_up"));
  EXPECT_THAT(Status().error, HasSubstr("health_check returned 7"));
  EXPECT_EQ(Serves(), 1u);
}

TEST_F(Health, WhoBecomesWellWithinWarmUpGoesOn) {
  Ill(true);
  Deploy(Direct());
  server_.world.RunFor(10 * kSecond);
  Ill(false);
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning, kSecond));
  EXPECT_EQ(Serves(), 2u);
}

TEST_F(Health, AStageDoesNotEndWellWhileItIsIll) {
  Deploy(Canary());
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kDeploying));
  for (int i = 0; i < 2'000; ++i) {
    (void)server_.Send(SimServer::To("agent", StrCat(i), StrCat("key ", i)));
  }
  server_.world.RunFor(5 * kSecond);
  ASSERT_EQ(Status().stage, 0u);
  Ill(true);
  server_.world.RunFor(10 * kSecond);
  EXPECT_EQ(Status().stage, 0u) << "its time is up, and it is ill";
  Ill(false);
  server_.world.RunFor(3 * kSecond);
  EXPECT_EQ(Status().stage, 1u);
}

TEST_F(Health, WhoStaysIllFailsItsStage) {
  Deploy(Canary());
  server_.world.RunFor(kSecond);
  Ill(true);
  server_.world.RunFor(kUnwellNs + 3 * kSecond);
  EXPECT_EQ(Status().state, DeploymentState::kRolledBack);
  EXPECT_THAT(Status().error, HasSubstr("its health check fails"));
}

TEST_F(Health, APauseIsNoExcuse) {
  Deploy(BlueGreen());
  server_.world.RunFor(kSecond);
  ASSERT_EQ(StageName(Status()), "preview");
  Ill(true);
  server_.world.RunFor(5 * kSecond);
  const absl::Status refused = Promote(false);
  EXPECT_EQ(ReasonOf(refused), "NOT_WELL") << refused;
  EXPECT_EQ(Status().state, DeploymentState::kDeploying);
  server_.world.RunFor(kUnwellNs);
  EXPECT_EQ(Status().state, DeploymentState::kRolledBack);
  EXPECT_EQ(Serves(), 1u);
}

TEST_F(Health, PromoteFullInsists) {
  Deploy(BlueGreen());
  server_.world.RunFor(kSecond);
  Ill(true);
  server_.world.RunFor(5 * kSecond);
  EXPECT_TRUE(Promote(true).ok());
  server_.world.RunFor(2 * kUnwellNs);
  EXPECT_EQ(Status().state, DeploymentState::kRunning) << "whoever skips the judge is in charge";
  EXPECT_EQ(Serves(), 2u);
}

TEST_F(Health, WhoFallsIllInTheCleanupWindowIsTakenBack) {
  Deploy(Direct());
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  server_.world.RunFor(100 * kSecond);
  Ill(true);
  server_.world.RunFor(kUnwellNs + 3 * kSecond);
  EXPECT_EQ(Status().state, DeploymentState::kRolledBack);
  EXPECT_EQ(Status().cause, EndCause::kPrepare);
  EXPECT_EQ(Serves(), 1u);
}

TEST_F(Health, TheWindowDoesNotCloseOverTheIll) {
  Deploy(Direct());
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  server_.world.RunFor(290 * kSecond);
  Ill(true);
  server_.world.RunFor(20 * kSecond);
  EXPECT_FALSE(Status().finalized) << "its 300 s are over, and it is ill";
  server_.world.RunFor(kUnwellNs);
  EXPECT_EQ(Status().state, DeploymentState::kRolledBack);
}

TEST_F(Health, OfACandidateIsToldBesideStables) {
  Deploy(Canary());
  server_.world.RunFor(kSecond);
  Ill(true);
  auto agent = server_.Ask<AgentView>(
      [&](Done<AgentView> done) { server_.controller->GetAgent("agent", std::move(done)); });
  ASSERT_TRUE(agent.ok()) << agent.status();
  EXPECT_TRUE(agent->stable_workers->healthy);
  EXPECT_FALSE(agent->candidate_workers->healthy);
}

}  // namespace
}  // namespace caxton::controller::testing
