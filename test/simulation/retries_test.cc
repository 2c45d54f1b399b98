// SPDX-License-Identifier: Apache-2.0
//
// A retry is the same request, made now: its plan, what carries over and its queue are of today.
// And what people say about why they take something back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentName;
using deployment::DeploymentState;
using supervisor::testing::EchoScript;

constexpr int64_t kSecond = kNanosPerSecond;

class Retries : public ::testing::Test {
 protected:
  Retries() {
    for (int i = 0; i < 3; ++i) {
      modules_.push_back(server_.AddModule(StrCat("module ", i), EchoScript(50 * kNanosPerMilli)));
    }
  }
  void Serve(size_t module) {
    DeployRequest request = SimServer::Direct("agent", modules_[module]);
    request.spec.cleanup_ns = 0;
    ASSERT_TRUE(server_.Deploy(request).ok());
    ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
  }
  absl::StatusOr<DeployOutcome> Retry(const std::string& target) {
    return server_.Ask<DeployOutcome>(
        [&](Done<DeployOutcome> done) { server_.controller->Retry(target, {}, std::move(done)); });
  }
  absl::Status Abort(const std::string& target, const std::string& reason = "") {
    return server_
        .Ask<DeploymentView>([&](Done<DeploymentView> done) {
          server_.controller->Abort(target, {.reason = reason}, std::move(done));
        })
        .status();
  }
  deployment::DeploymentStatus Status(const std::string& target) {
    return server_.Get(target)->status;
  }
  void Restart() {
    server_.Crash(CrashKind::kPowerCut);
    server_.Start();
    server_.world.RunFor(kSecond);
  }

  SimServer server_;
  std::vector<Digest> modules_;
};

TEST_F(Retries, TheStagesThatAFirstDeploymentSkippedAreThereOnceSomethingServes) {
  server_.validator->SetDelay(10 * kSecond);
  ASSERT_TRUE(
      server_.Deploy(SimServer::Canary("agent", modules_[1], "10:1h", "error_rate > 1%")).ok());
  ASSERT_TRUE(Abort("dep-1").ok());
  EXPECT_TRUE(Status("dep-1").plan.stages.empty()) << "there was nothing to share traffic with";
  Serve(0);
  Restart();  // what was asked for is on record
  const auto again = Retry("dep-1");
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_EQ(again->view.status.plan.stages.size(), 1u);
  EXPECT_EQ(again->view.status.plan.stages[0].weight_ppm, 100'000u);
  EXPECT_EQ(again->view.status.plan.conditions.size(), 1u);
}

TEST_F(Retries, WhatWasSetSinceCarriesOverAndWhatWasAskedForStays) {
  Serve(0);
  DeployRequest request = SimServer::Direct("agent", modules_[1]);
  request.overrides.settings["color"] = "red";
  server_.validator->Reject(modules_[1], "NOT_WASM", "no");
  ASSERT_TRUE(server_.Deploy(request).ok());
  ASSERT_TRUE(server_.Await("dep-2", DeploymentState::kFailed));
  DeployRequest set = SimServer::Direct("agent", Digest());
  set.overrides.settings["greeting"] = "hi";
  set.overrides.memory_bytes = int64_t{32} << 20;
  set.spec.cleanup_ns = 0;
  ASSERT_TRUE(server_.Deploy(set).ok());
  ASSERT_TRUE(server_.Await("dep-3", DeploymentState::kRunning));
  const auto again = Retry("dep-2");
  ASSERT_TRUE(again.ok()) << again.status();
  const Revision& revision = *again->view.candidate;
  EXPECT_EQ(revision.module, modules_[1]);
  EXPECT_EQ(revision.settings.at("color"), "red");
  EXPECT_EQ(revision.settings.at("greeting"), "hi");
  EXPECT_EQ(revision.limits.memory_bytes, int64_t{32} << 20);
}

TEST_F(Retries, ItsQueueIsObeyed) {
  Serve(0);
  server_.validator->Reject(modules_[1], "NOT_WASM", "no");
  DeployRequest request = SimServer::Direct("agent", modules_[1]);
  request.spec.queue = QueuePolicy::kRefuse;
  ASSERT_TRUE(server_.Deploy(request).ok());
  ASSERT_TRUE(server_.Await("dep-2", DeploymentState::kFailed));
  ASSERT_TRUE(
      server_.Deploy(SimServer::Canary("agent", modules_[2], "10:1h", "error_rate > 1%")).ok());
  EXPECT_EQ(ReasonOf(Retry("dep-2").status()), "DEPLOYMENT_IN_PROGRESS");
}

TEST_F(Retries, AMemberOfAGroupIsNotSwitchedAlone) {
  server_.validator->Reject(modules_[1], "NOT_WASM", "no");
  ASSERT_TRUE(
      server_.Group({SimServer::Direct("a", modules_[0]), SimServer::Direct("b", modules_[1])})
          .ok());
  ASSERT_TRUE(server_.Await("b", DeploymentState::kFailed));
  server_.world.RunFor(kSecond);
  EXPECT_EQ(ReasonOf(Retry("b").status()), "GROUP_MEMBER");
  EXPECT_EQ(ReasonOf(Retry("a").status()), "GROUP_MEMBER");
}

TEST_F(Retries, WhyIsOnRecord) {
  Serve(0);
  ASSERT_TRUE(
      server_.Deploy(SimServer::Canary("agent", modules_[1], "10:1h", "error_rate > 1%")).ok());
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(Abort("agent", "the phone rings").ok());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", modules_[2])).ok());
  ASSERT_TRUE(server_.Await("dep-3", DeploymentState::kRunning));
  RollbackRequest rollback{.target = "agent"};
  rollback.terms.reason = "and rings";
  ASSERT_TRUE(server_.Rollback(rollback).ok());
  Restart();
  EXPECT_EQ(Status("dep-2").error, "the phone rings");
  EXPECT_EQ(Status("dep-3").error, "and rings");
}

// ---- the phases of a rollback

TEST_F(Retries, PhasesOfADrainCountFromTheDecision) {
  Serve(0);
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", modules_[1])).ok());
  ASSERT_TRUE(server_.Await("dep-2", DeploymentState::kRunning));
  auto running = server_.Request(SimServer::To("agent", "hello"));
  server_.world.RunFor(10 * kNanosPerMilli);
  const auto done = server_.Rollback({.target = "agent", .drain_ns = 10 * kSecond});
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(running->answer->revision, RevisionNumber(2)) << "it was let finish";
  const deployment::RollbackPhases& phases = done->view.status.rollback;
  EXPECT_GT(phases.diverted_ns, 0);
  EXPECT_LT(phases.diverted_ns, 10 * kNanosPerMilli) << "new messages went elsewhere at once";
  EXPECT_GE(phases.interrupted_ns, 30 * kNanosPerMilli) << "its step took 40 ms more";
  EXPECT_GE(phases.restored_ns, phases.interrupted_ns);
  EXPECT_GE(phases.cleaned_ns, phases.restored_ns);
}

TEST_F(Retries, WhatRestoresAnOlderRevisionHasPhasesToo) {
  Serve(0);
  Serve(1);
  server_.validator->SetDelay(2 * kSecond);
  const auto done = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->to, "agent@3");
  const deployment::RollbackPhases& phases = done->view.status.rollback;
  EXPECT_GE(phases.diverted_ns, 2 * kSecond) << "it was validated and started first";
  EXPECT_EQ(phases.restored_ns, phases.diverted_ns);
  EXPECT_EQ(phases.interrupted_ns, 0) << "nothing was cut off";

  // Taken back itself, it has those of that.
  server_.world.RunFor(10 * kSecond);
  const auto back = server_.Rollback({.target = DeploymentName(done->view.status.id)});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_LT(back->view.status.rollback.diverted_ns, kSecond);
  EXPECT_LT(back->view.status.rollback.restored_ns, kSecond);
  EXPECT_GT(back->view.status.rollback.interrupted_ns, 0);
}

}  // namespace
}  // namespace caxton::controller::testing
