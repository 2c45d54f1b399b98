// SPDX-License-Identifier: Apache-2.0
//
// The controller's commands, its queue, and deployments cut short by a crash in each state.
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

constexpr int64_t kSecond = kNanosPerSecond;

class Deployments : public ::testing::Test {
 protected:
  Deployments() {
    for (int i = 0; i < 4; ++i) {
      modules_.push_back(server_.AddModule(StrCat("module ", i), EchoScript()));
    }
  }
  // A direct deployment, through its cleanup window unless `window`.
  void Direct(size_t module, bool window = false) {
    DeployRequest request = SimServer::Direct("agent", modules_[module]);
    request.spec.cleanup_ns = window ? 60 * kSecond : 0;
    ASSERT_TRUE(server_.Deploy(request).ok());
    ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
  }
  DeploymentView Canary(size_t module, QueuePolicy queue = QueuePolicy::kWait) {
    DeployRequest request =
        SimServer::Canary("agent", modules_[module], "10:1m,50:1m", "error_rate > 1%");
    request.spec.queue = queue;
    auto made = server_.Deploy(request);
    EXPECT_TRUE(made.ok()) << made.status();
    server_.world.RunFor(kSecond);
    return made.ok() ? made->view : DeploymentView{};
  }
  deployment::DeploymentStatus Status(const std::string& target = "agent") {
    auto view = server_.Get(target);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? view->status : deployment::DeploymentStatus{};
  }
  absl::StatusOr<DeploymentView> Promote(const std::string& from, bool full = false) {
    return server_.Ask<DeploymentView>([&](Done<DeploymentView> done) {
      server_.controller->Promote({"agent", from, full, {}}, std::move(done));
    });
  }
  // The revision that answers a request.
  uint32_t Serving() {
    auto caller = server_.Request(SimServer::To("agent", "hello"));
    server_.world.RunFor(100 * kNanosPerMilli);
    EXPECT_TRUE(caller->ok());
    return caller->answer.has_value() ? caller->answer->revision.value() : 0;
  }
  void Restart() {
    server_.Crash(CrashKind::kPowerCut);
    server_.Start();
    server_.world.RunFor(kSecond);
  }

  SimServer server_;
  std::vector<Digest> modules_;
};

TEST_F(Deployments, TheSameContentIsNotDeployedTwice) {
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", modules_[0])).ok());
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  auto same = server_.Deploy(SimServer::Direct("agent", modules_[0]));
  ASSERT_TRUE(same.ok());
  EXPECT_TRUE(same->already_running);
}

TEST_F(Deployments, LabelNamesOneRevision) {
  DeployRequest request = SimServer::Direct("agent", modules_[0]);
  request.label = "1.0";
  ASSERT_TRUE(server_.Deploy(request).ok());
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  request.module = modules_[1];
  EXPECT_EQ(server_.Deploy(request).status().code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(Deployments, RejectedModuleChangesNothing) {
  Direct(0);
  server_.validator->Reject(modules_[1], "NOT_WASM", "it is not a module");
  Canary(1);
  EXPECT_EQ(Status().state, DeploymentState::kFailed);
  EXPECT_THAT(Status().error, ::testing::HasSubstr("it is not a module"));
  EXPECT_EQ(Serving(), 1u);
  server_.supervisor->FailPrepare({server_.IdOf("agent"), RevisionNumber(3)},
                                  absl::InternalError("no worker"));
  Canary(2);
  EXPECT_EQ(Status().state, DeploymentState::kRolledBack);
  EXPECT_EQ(Status().cause, EndCause::kPrepare);
  EXPECT_EQ(Serving(), 1u);
}

TEST_F(Deployments, LostNativeCodeIsMadeAgain) {
  Direct(0);
  server_.supervisor->FailPrepare({server_.IdOf("agent"), RevisionNumber(2)},
                                  absl::NotFoundError("not in the cache"));
  const int before = server_.validator->validated();
  Direct(1);
  EXPECT_EQ(server_.validator->validated(), before + 2);
  EXPECT_EQ(Serving(), 2u);
}

TEST_F(Deployments, PromoteNamesTheStageItLeaves) {
  Direct(0);
  Canary(1);
  EXPECT_EQ(Promote("canary 50%").status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Promote("canary 10%").ok());
  ASSERT_TRUE(Promote("canary 10%").ok());  // a repeat
  EXPECT_EQ(Status().stage, 1u);
  ASSERT_TRUE(Promote("", /*full=*/true).ok());
  EXPECT_EQ(Status().state, DeploymentState::kRunning);
  EXPECT_EQ(Serving(), 2u);
}

TEST_F(Deployments, PauseStopsTheClockThroughARestart) {
  Direct(0);
  Canary(1);
  auto paused = server_.Ask<DeploymentView>(
      [&](Done<DeploymentView> done) { server_.controller->Pause("agent", {}, std::move(done)); });
  ASSERT_TRUE(paused.ok());
  Restart();
  server_.world.RunFor(600 * kSecond);
  EXPECT_EQ(Status().stage, 0u);
  EXPECT_EQ(server_.Get("agent")->elapsed_ns, paused->elapsed_ns);
  ASSERT_TRUE(server_
                  .Ask<DeploymentView>([&](Done<DeploymentView> done) {
                    server_.controller->Resume("agent", {}, std::move(done));
                  })
                  .ok());
  auto aborted = server_.Ask<DeploymentView>(
      [&](Done<DeploymentView> done) { server_.controller->Abort("agent", {}, std::move(done)); });
  ASSERT_TRUE(aborted.ok());
  EXPECT_EQ(aborted->status.state, DeploymentState::kRolledBack);
  EXPECT_EQ(Serving(), 1u);
}

TEST_F(Deployments, QueueKeepsTheNewestAndSurvivesACrash) {
  Direct(0);
  Canary(1);
  const DeploymentView second = Canary(2);
  const DeploymentView third = Canary(3);
  EXPECT_EQ(Status(deployment::DeploymentName(second.status.id)).state,
            DeploymentState::kRolledBack);
  EXPECT_EQ(Status(deployment::DeploymentName(second.status.id)).cause, EndCause::kSuperseded);
  EXPECT_TRUE(Status(deployment::DeploymentName(third.status.id)).queued);
  DeployRequest refuse = SimServer::Canary("agent", modules_[2], "10:1m", "error_rate > 1%");
  refuse.spec.queue = QueuePolicy::kRefuse;
  EXPECT_EQ(server_.Deploy(refuse).status().code(), absl::StatusCode::kFailedPrecondition);
  Restart();
  ASSERT_TRUE(Promote("", /*full=*/true).ok());
  server_.world.RunFor(5 * kSecond);
  EXPECT_EQ(Status(deployment::DeploymentName(third.status.id)).state, DeploymentState::kDeploying);
}

TEST_F(Deployments, ReplaceAbortsTheOneUnderWay) {
  Direct(0);
  const DeploymentView first = Canary(1);
  Canary(2, QueuePolicy::kReplace);
  server_.world.RunFor(kSecond);
  EXPECT_EQ(Status(deployment::DeploymentName(first.status.id)).state,
            DeploymentState::kRolledBack);
  EXPECT_EQ(Status().state, DeploymentState::kDeploying);
}

TEST_F(Deployments, RollbackIsWarmInTheWindowAndARedeploymentAfterwards) {
  Direct(0);
  Direct(1, /*window=*/true);
  auto warm = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(warm.ok()) << warm.status();
  EXPECT_EQ(warm->to, "agent@1");
  EXPECT_EQ(Serving(), 1u);
  // Named once more: a repeat.
  auto repeat = server_.Rollback({.target = "dep-2"});
  ASSERT_TRUE(repeat.ok()) << repeat.status();
  EXPECT_EQ(repeat->view.status.id, DeploymentId(2));
  Direct(2);
  server_.world.RunFor(10 * kSecond);
  auto redeployed = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(redeployed.ok()) << redeployed.status();
  EXPECT_EQ(redeployed->from, "agent@3");
  EXPECT_EQ(Serving(), 4u);
  EXPECT_EQ(server_.Rollback({.target = "agent", .to = RevisionNumber(2)}).status().code(),
            absl::StatusCode::kFailedPrecondition);  // it was withdrawn
}

TEST_F(Deployments, NothingToRestore) {
  Direct(0);
  EXPECT_EQ(server_.Rollback({.target = "agent"}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(Deployments, RollbackOfTheWindowBesideANewerDeployment) {
  Direct(0);
  Direct(1, /*window=*/true);
  server_.validator->SetDelay(5 * kSecond);
  DeployRequest third = SimServer::Canary("agent", modules_[2], "10:1m", "error_rate > 1%");
  ASSERT_TRUE(server_.Deploy(third).ok());  // validates; the second one's window is open
  auto back = server_.Rollback({.target = "dep-2"});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(Status("dep-3").state, DeploymentState::kValidating);
  ASSERT_TRUE(server_.Await("dep-3", DeploymentState::kDeploying));
  server_.world.RunFor(kSecond);
  // It takes over from what serves, not from what was withdrawn.
  EXPECT_EQ(Status("dep-3").stable.number, RevisionNumber(1));
  auto abort = server_.Ask<DeploymentView>(
      [&](Done<DeploymentView> done) { server_.controller->Abort("dep-3", {}, std::move(done)); });
  ASSERT_TRUE(abort.ok());
  EXPECT_EQ(Serving(), 1u);
}

TEST_F(Deployments, CandidateThatDoesNotStayUpFailsItsStage) {
  Direct(0);
  Canary(1);
  server_.supervisor->SetHealth({server_.IdOf("agent"), RevisionNumber(2)}, false, "code 3");
  server_.world.RunFor(kUnwellNs + 5 * kSecond);
  EXPECT_EQ(Status().state, DeploymentState::kRolledBack);
  EXPECT_EQ(Status().cause, EndCause::kPrepare);
  EXPECT_THAT(Status().error, ::testing::HasSubstr("code 3"));
}

TEST_F(Deployments, OldOnesAreForgottenBesideOneThatServes) {
  Direct(0);
  server_.validator->Reject(modules_[1], "NOT_WASM", "it is not a module");
  for (size_t i = 0; i < kMaxDeploymentsPerAgent + 20; ++i) {
    ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", modules_[1])).ok());
    server_.world.RunFor(kSecond);
  }
  auto all = server_.Ask<std::vector<DeploymentView>>([&](Done<std::vector<DeploymentView>> done) {
    server_.controller->ListDeployments("agent", std::move(done));
  });
  ASSERT_TRUE(all.ok());
  EXPECT_LE(all->size(), kMaxDeploymentsPerAgent);
  EXPECT_EQ(all->back().status.id, DeploymentId(1));
  Restart();
  EXPECT_EQ(Serving(), 1u);
}

TEST_F(Deployments, RemovedWhileOneIsUnderWayAnswersEverybody) {
  Direct(0);
  Canary(1);
  auto removed = server_.Remove("agent", router::RemoveMode::kPurge);
  ASSERT_TRUE(removed.ok()) << removed.status();
  server_.world.RunFor(10 * kSecond);
  EXPECT_TRUE(server_.supervisor->Running().empty());
  EXPECT_FALSE(server_.Get("dep-2").ok());
}

TEST_F(Deployments, WhatLooksLikeOneIsNoAgent) {
  Direct(0);
  EXPECT_TRUE(server_.Get("dep-1").ok());
  for (const char* name : {"dep-0", "dep-01", "dep-17"}) {
    EXPECT_EQ(ReasonOf(server_.Get(name).status()), "NO_SUCH_DEPLOYMENT") << name;
  }
  for (const char* name : {"dep-", "dep-x", "nobody"}) {
    EXPECT_EQ(ReasonOf(server_.Get(name).status()), "NO_SUCH_AGENT") << name;
  }
}

TEST_F(Deployments, WatchersSeeTransitionsUntilTheyLeave) {
  Direct(0);
  Canary(1);
  std::vector<DeploymentState> seen;
  auto id = server_.Ask<uint64_t>([&](Done<uint64_t> done) {
    server_.controller->Watch(
        "agent",
        [&](const DeploymentView& view, bool transition) {
          if (transition) seen.push_back(view.status.state);
        },
        [](const absl::Status&) { FAIL() << "it is there all the time"; }, std::move(done));
  });
  ASSERT_TRUE(id.ok());
  ASSERT_TRUE(Promote("", /*full=*/true).ok());
  server_.world.RunFor(kSecond);
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.front(), DeploymentState::kDeploying);
  EXPECT_EQ(seen.back(), DeploymentState::kRunning);
  server_.controller->Unwatch(*id);
  server_.world.RunFor(kSecond);
  const size_t before = seen.size();
  server_.world.RunFor(600 * kSecond);
  EXPECT_EQ(seen.size(), before);
}

// A power cut after every few milliseconds of a whole deployment: it always ends, and well.
TEST_F(Deployments, CutShortAnywhereComeToTheirEnd) {
  for (int64_t cut_ms : {0, 1, 5, 9, 10, 11, 12, 14, 15, 16, 17, 20, 900, 2000, 2500, 4500, 9000}) {
    SCOPED_TRACE(cut_ms);
    SimServer server;
    const Digest one = server.AddModule("one", EchoScript());
    const Digest two = server.AddModule("two", EchoScript());
    ASSERT_TRUE(server.Deploy(SimServer::Direct("agent", one)).ok());
    ASSERT_TRUE(server.Await("agent", DeploymentState::kRunning));
    DeployRequest request = SimServer::Canary("agent", two, "20:2s,50:2s", "error_rate > 1%");
    request.spec.on_inconclusive = OnInconclusive::kPromote;
    request.spec.cleanup_ns = 3 * kSecond;
    ASSERT_TRUE(server.Deploy(request).ok());
    server.world.RunFor(cut_ms * kNanosPerMilli);
    server.Crash(CrashKind::kPowerCut);
    server.Start();
    server.world.RunFor(60 * kSecond);
    const deployment::DeploymentStatus status = server.Get("dep-2")->status;
    EXPECT_EQ(status.state, DeploymentState::kRunning);
    EXPECT_TRUE(status.finalized);
    EXPECT_EQ(server.Get("dep-1")->status.state, DeploymentState::kDraining);
    EXPECT_THAT(server.supervisor->Running(),
                ::testing::ElementsAre(status.candidate));  // nothing is left over
  }
}

}  // namespace
}  // namespace caxton::controller::testing
