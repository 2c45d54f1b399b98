// SPDX-License-Identifier: Apache-2.0
//
// Who waits for what: places among the deployments under way, records, and the validator's queue.
// Whoever ends, by whatever way, hands on what others wait for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/controller/testing/sim_server.h"
#include "caxton/deployment/limits.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using deployment::EndCause;
using supervisor::testing::EchoScript;
using validation::testing::MakeReport;

constexpr int64_t kSecond = kNanosPerSecond;

// A server with one place.
class Waiting : public ::testing::Test {
 protected:
  Waiting() : server_({.max_deployments = 1}) {
    for (int i = 0; i < 6; ++i) {
      modules_.push_back(server_.AddModule(StrCat("module ", i), EchoScript()));
    }
  }
  void Serve(const std::string& agent, size_t module) {
    DeployRequest request = SimServer::Direct(agent, modules_[module]);
    request.spec.cleanup_ns = 0;
    ASSERT_TRUE(server_.Deploy(request).ok());
    ASSERT_TRUE(server_.Await(agent, DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
  }
  // Takes the place and keeps it.
  void Canary(const std::string& agent, size_t module) {
    ASSERT_TRUE(
        server_.Deploy(SimServer::Canary(agent, modules_[module], "10:1h", "error_rate > 1%"))
            .ok());
    ASSERT_TRUE(server_.Await(agent, DeploymentState::kDeploying));
    server_.world.RunFor(kSecond);
  }
  bool Abort(const std::string& target) {
    return server_
        .Ask<DeploymentView>([&](Done<DeploymentView> done) {
          server_.controller->Abort(target, {}, std::move(done));
        })
        .ok();
  }
  deployment::DeploymentStatus Status(const std::string& target) {
    auto view = server_.Get(target);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? view->status : deployment::DeploymentStatus{};
  }
  // The validator has room for this module, or its queue is full.
  void SetFull(size_t module, bool full) {
    if (!full) return server_.validator->SetReport(modules_[module], MakeReport(modules_[module]));
    server_.validator->SetReport(
        modules_[module],
        WithRetryAfterMs(absl::ResourceExhaustedError("64 validations wait already"), 1000));
  }
  bool Runs(const std::string& agent) {
    return server_.Await(agent, DeploymentState::kRunning, 60 * kSecond);
  }

  SimServer server_;
  std::vector<Digest> modules_;
};

// ---- groups

TEST_F(Waiting, AGroupLargerThanTheServersPlacesTakesOne) {
  Serve("a", 0);
  Serve("b", 1);
  ASSERT_TRUE(
      server_.Group({SimServer::Direct("a", modules_[2]), SimServer::Direct("b", modules_[3])})
          .ok());
  EXPECT_TRUE(Runs("a"));
  EXPECT_TRUE(Runs("b"));
  Serve("c", 4);  // the place is free again
}

TEST_F(Waiting, AGroupWaitsAndStartsAsOne) {
  Serve("a", 0);
  Canary("c", 1);  // a first deployment has no stages: it serves
  Canary("c", 2);
  ASSERT_TRUE(
      server_.Group({SimServer::Direct("a", modules_[2]), SimServer::Direct("b", modules_[3])})
          .ok());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("d", modules_[4])).ok());
  server_.world.RunFor(10 * kSecond);
  EXPECT_EQ(server_.Get("a")->place_in_queue, 1u);
  EXPECT_EQ(server_.Get("b")->place_in_queue, 1u) << "the group's place is one";
  EXPECT_EQ(server_.Get("d")->place_in_queue, 2u);
  server_.Crash(CrashKind::kPowerCut);
  server_.Start();
  server_.world.RunFor(kSecond);
  EXPECT_TRUE(Status("a").queued);
  EXPECT_TRUE(Status("b").queued);
  EXPECT_EQ(server_.Get("b")->place_in_queue, server_.Get("a")->place_in_queue);
  ASSERT_TRUE(Abort("c"));
  EXPECT_TRUE(Runs("a"));
  EXPECT_TRUE(Runs("b"));
  EXPECT_TRUE(Runs("d"));
}

TEST_F(Waiting, AGroupThatEndsGivesItsPlaceAwayOnce) {
  Serve("a", 0);
  Serve("b", 1);
  server_.validator->SetDelay(5 * kSecond);
  ASSERT_TRUE(
      server_.Group({SimServer::Direct("a", modules_[2]), SimServer::Direct("b", modules_[3])})
          .ok());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("c", modules_[4])).ok());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("d", modules_[5])).ok());
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(Abort("a"));
  server_.world.RunFor(kSecond);
  EXPECT_EQ(Status("b").cause, EndCause::kGroup);
  EXPECT_FALSE(Status("c").queued);
  EXPECT_TRUE(Status("d").queued) << "one place, not one for each of the group";
  EXPECT_TRUE(Runs("c"));
  EXPECT_TRUE(Runs("d"));
}

TEST_F(Waiting, AGroupHasAsManyAgentsAsTheLimitSays) {
  std::vector<DeployRequest> requests;
  for (size_t i = 0; i < kMaxGroup; ++i) {
    requests.push_back(SimServer::Direct(StrCat("agent-", i), modules_[0]));
  }
  requests.push_back(SimServer::Direct("one-more", modules_[0]));
  EXPECT_EQ(ReasonOf(server_.Group(requests).status()), "GROUP_SIZE");
  requests.pop_back();
  ASSERT_TRUE(server_.Group(requests).ok());
  for (const DeployRequest& request : requests) EXPECT_TRUE(Runs(request.agent));
}

// ---- removed agents

TEST_F(Waiting, ARemovedAgentsPlaceIsTaken) {
  Serve("a", 0);
  Canary("a", 1);
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("b", modules_[2])).ok());
  server_.world.RunFor(10 * kSecond);
  ASSERT_TRUE(Status("b").queued);
  ASSERT_TRUE(server_.Remove("a", router::RemoveMode::kPurge).ok());
  EXPECT_TRUE(Runs("b"));
}

TEST_F(Waiting, ARemovedAgentLeavesTheQueueToTheOthers) {
  Serve("a", 0);
  Serve("b", 1);
  Canary("a", 2);
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("b", modules_[3])).ok());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("c", modules_[4])).ok());
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(server_.Remove("b", router::RemoveMode::kPurge).ok());
  EXPECT_EQ(server_.Get("c")->place_in_queue, 1u);
  ASSERT_TRUE(Abort("a"));
  EXPECT_TRUE(Runs("c"));
}

// ---- commands

TEST_F(Waiting, AsManyCommandsAsTheLimitSaysWaitForARecord) {
  Serve("a", 0);
  Canary("a", 1);  // dep-2
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("a", modules_[2])).ok());
  size_t done = 0;
  std::vector<std::string> refused;
  const auto answer = [&](const absl::Status& status) {
    ++done;
    if (!status.ok()) refused.push_back(ReasonOf(status));
  };
  const auto pause = [&] {
    server_.controller->Pause("dep-2", {}, [&](const auto& got) { answer(got.status()); });
  };
  // The record of the first is on its way to the disk.
  for (size_t i = 0; i < 1 + kMaxWaitingCommands; ++i) pause();
  server_.world.RunFor(kSecond);
  EXPECT_EQ(done, 1 + kMaxWaitingCommands);
  EXPECT_THAT(refused, ::testing::IsEmpty());

  ASSERT_TRUE(server_
                  .Ask<DeploymentView>([&](Done<DeploymentView> resumed) {
                    server_.controller->Resume("dep-2", {}, std::move(resumed));
                  })
                  .ok());
  for (size_t i = 0; i < 1 + kMaxWaitingCommands; ++i) pause();
  pause();
  // Of the queued one's name, but it is the other that is rolled back.
  server_.controller->Rollback({.target = "dep-3"}, [&](const auto& got) { answer(got.status()); });
  server_.world.RunFor(kSecond);
  EXPECT_EQ(done, 2 * (1 + kMaxWaitingCommands) + 2);
  EXPECT_THAT(refused, ::testing::ElementsAre("TOO_MANY_COMMANDS", "TOO_MANY_COMMANDS"));
  EXPECT_EQ(Status("dep-2").state, DeploymentState::kDeploying);
}

// ---- the validator's queue

TEST_F(Waiting, AFullValidatorIsAskedAgain) {
  SetFull(0, true);
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("a", modules_[0])).ok());
  server_.world.RunFor(5 * kSecond);
  EXPECT_EQ(Status("a").state, DeploymentState::kValidating);
  const int asked = server_.validator->validated();
  EXPECT_GE(asked, 4);
  EXPECT_LE(asked, 7) << "as often as the validator says";
  SetFull(0, false);
  EXPECT_TRUE(Runs("a"));
}

TEST_F(Waiting, AFullValidatorIsAskedForAsLongAsTheStageMayTake) {
  SetFull(0, true);
  DeployRequest request = SimServer::Direct("a", modules_[0]);
  ASSERT_TRUE(server_.Deploy(request).ok());
  server_.world.RunFor(deployment::kDefaultValidateLimitNs - 2 * kSecond);
  EXPECT_EQ(Status("a").state, DeploymentState::kValidating);
  server_.world.RunFor(4 * kSecond);
  EXPECT_EQ(Status("a").state, DeploymentState::kFailed);
  EXPECT_THAT(Status("a").error, ::testing::HasSubstr("64 validations wait already"));
  // Who only asks whether it would pass can ask again himself.
  request.validate_only = true;
  EXPECT_EQ(server_.Deploy(request).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(Waiting, WhoIsAbortedAsksNoMore) {
  SetFull(0, true);
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("a", modules_[0])).ok());
  server_.world.RunFor(5 * kSecond);
  ASSERT_TRUE(Abort("a"));
  const int asked = server_.validator->validated();
  server_.world.RunFor(60 * kSecond);
  EXPECT_EQ(server_.validator->validated(), asked);
  EXPECT_EQ(Status("a").state, DeploymentState::kRolledBack);
}

TEST_F(Waiting, LostNativeCodeIsMadeOnceThereIsRoom) {
  Serve("a", 0);
  server_.supervisor->FailPrepare({server_.IdOf("a"), RevisionNumber(2)},
                                  absl::NotFoundError("not in the cache"));
  server_.on_transition = [&](const DeploymentView& view) {
    if (view.status.state == DeploymentState::kDeploying) SetFull(1, true);
  };
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("a", modules_[1])).ok());
  server_.world.RunFor(5 * kSecond);
  EXPECT_EQ(Status("a").state, DeploymentState::kDeploying) << Status("a").error;
  server_.on_transition = nullptr;
  SetFull(1, false);
  EXPECT_TRUE(Runs("a"));
}

}  // namespace
}  // namespace caxton::controller::testing
