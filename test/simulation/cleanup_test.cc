// SPDX-License-Identifier: Apache-2.0
//
// Clean-up by age: what goes, what stays whatever its age, and clean-ups that are cut short.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using journal::Table;
using supervisor::testing::EchoScript;
using supervisor::testing::ScriptedStep;

constexpr int64_t kHour = 3'600 * kNanosPerSecond;
constexpr int64_t kKeepEvidence = 3 * kHour;
constexpr int64_t kKeepEnded = 9 * kHour;

class CleanUps : public ::testing::Test {
 protected:
  CleanUps() : server_({.keep_evidence_ns = kKeepEvidence, .keep_ended_ns = kKeepEnded}) {
    good_ = server_.AddModule("good", EchoScript());
    better_ = server_.AddModule("better", EchoScript());
    bad_ = server_.AddModule("bad", [](auto&, auto&, auto&) {
      ScriptedStep step;
      step.result.outcome = StepOutcome::kTrapped;
      return step;
    });
    Serve(good_);
  }
  void Serve(const Digest& module) {
    DeployRequest request = SimServer::Direct("agent", module);
    request.spec.cleanup_ns = 0;
    ASSERT_TRUE(server_.Deploy(request).ok());
    ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
    server_.world.RunFor(kNanosPerSecond);
  }
  // A canary that fails; its evidence is journaled, its revision withdrawn.
  DeploymentId FailedCanary() {
    auto made = server_.Deploy(SimServer::Canary("agent", bad_, "50:10m", "error_rate > 1%"));
    EXPECT_TRUE(made.ok()) << made.status();
    server_.world.RunFor(kNanosPerSecond);
    for (int i = 0; i < 100; ++i) {
      server_.Send(SimServer::To("agent", "x", StrCat(i)));
      server_.world.RunFor(kNanosPerMilli);
    }
    EXPECT_TRUE(server_.Await("agent", DeploymentState::kRolledBack));
    server_.world.RunFor(kNanosPerSecond);
    return made->view.status.id;
  }
  absl::StatusOr<Explanation> Explain(const std::string& target) {
    return server_.Ask<Explanation>(
        [&](Done<Explanation> done) { server_.controller->Explain(target, std::move(done)); });
  }
  bool HasRevision(uint32_t number) {
    auto history = server_.Ask<std::vector<HistoryEntry>>([&](Done<std::vector<HistoryEntry>> d) {
      server_.controller->History("agent", std::move(d));
    });
    return std::any_of(history->begin(), history->end(), [number](const HistoryEntry& entry) {
      return entry.revision.ref.number.value() == number;
    });
  }
  void Restart(CrashKind kind = CrashKind::kPowerCut) {
    server_.Crash(kind);
    server_.Start();
    server_.world.RunFor(kNanosPerSecond);
  }

  SimServer server_;
  Digest good_, better_, bad_;
};

TEST_F(CleanUps, EvidenceGoesFirstThenTheRest) {
  FailedCanary();  // dep-2, agent@2
  Serve(better_);  // dep-3, agent@3
  EXPECT_GT(server_.store.rows(Table::kEvidence), 0u);
  ASSERT_TRUE(Explain("dep-2").ok());
  server_.world.RunFor(kKeepEvidence - kHour);
  EXPECT_TRUE(Explain("dep-2").ok()) << "not yet";
  server_.world.RunFor(3 * kHour);
  EXPECT_EQ(server_.store.rows(Table::kEvidence), 0u);
  EXPECT_EQ(ReasonOf(Explain("dep-2").status()), "NOT_KEPT");
  EXPECT_EQ(server_.Get("dep-2")->status.verdict.kind, deployment::VerdictKind::kFailed);
  EXPECT_TRUE(HasRevision(2));
  server_.world.RunFor(kKeepEnded);
  EXPECT_FALSE(server_.Get("dep-2").ok());
  EXPECT_FALSE(HasRevision(2));
  server_.world.RunFor(kUnnamedModuleKeptNs);
  EXPECT_FALSE(server_.artifacts.HasModule(bad_));
  // What serves and what served before it: whatever their age.
  server_.world.RunFor(3 * kKeepEnded);
  EXPECT_TRUE(HasRevision(1));
  EXPECT_TRUE(HasRevision(3));
  auto back = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(server_.CheckCounters(), "");
}

// However much evidence there is: it is folded beside the strand.
TEST_F(CleanUps, AnExplanationKeepsNobodyWaiting) {
  FailedCanary();
  std::vector<std::string> answered;
  server_.controller->Explain("dep-2", [&](absl::StatusOr<Explanation> got) {
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_TRUE(got->matches);
    EXPECT_GT(got->evidence, 0);
    answered.push_back("explain");
  });
  server_.controller->ListDeployments("agent", [&](const auto&) { answered.push_back("list"); });
  server_.world.RunFor(kNanosPerSecond);
  EXPECT_THAT(answered, ::testing::ElementsAre("list", "explain"));
}

TEST_F(CleanUps, TheNewestDeploymentStays) {
  FailedCanary();
  server_.world.RunFor(2 * kKeepEnded);
  ASSERT_TRUE(server_.Get("agent").ok());
  EXPECT_EQ(server_.Get("agent")->status.id, DeploymentId(2));
  EXPECT_TRUE(server_.artifacts.HasModule(bad_)) << "it can be tried again";
}

TEST_F(CleanUps, WhatIsUnderWayOrWaitsStaysWhateverItsAge) {
  DeployRequest canary = SimServer::Canary("agent", better_, "50:10m", "error_rate > 1%");
  canary.spec.preview = true;  // waits for promote
  ASSERT_TRUE(server_.Deploy(canary).ok());
  server_.world.RunFor(kNanosPerSecond);
  const Digest next = server_.AddModule("next", EchoScript());
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", next)).ok());
  server_.world.RunFor(3 * kKeepEnded);
  EXPECT_EQ(server_.Get("dep-2")->status.state, DeploymentState::kDeploying);
  EXPECT_TRUE(server_.Get("dep-3")->status.queued);
  Restart();
  server_.world.RunFor(2 * kHour);
  for (const Digest& module : {good_, better_, next}) {
    EXPECT_TRUE(server_.artifacts.HasModule(module));
  }
  auto aborted = server_.Ask<DeploymentView>(
      [&](Done<DeploymentView> done) { server_.controller->Abort("dep-2", {}, std::move(done)); });
  ASSERT_TRUE(aborted.ok()) << aborted.status();
  EXPECT_TRUE(server_.Await("dep-3", DeploymentState::kRunning)) << "its module is there";
}

TEST_F(CleanUps, EvidenceOfWhatRunsStays) {
  ASSERT_TRUE(
      server_.Deploy(SimServer::Canary("agent", better_, "50:10m", "error_rate > 50%")).ok());
  server_.world.RunFor(kNanosPerSecond);
  for (int i = 0; i < 20; ++i) server_.Send(SimServer::To("agent", "x", StrCat(i)));
  server_.world.RunFor(3 * kKeepEvidence);
  EXPECT_EQ(server_.Get("agent")->status.state, DeploymentState::kDeploying) << "too few messages";
  EXPECT_EQ(server_.store.rows(Table::kEvidence), 20u);
  EXPECT_EQ(Explain("agent")->evidence, 20);
}

TEST_F(CleanUps, ModulesThatNobodyNamesHaveTheirTime) {
  const Digest uploaded = server_.AddModule("uploaded", EchoScript());
  const Digest late = server_.AddModule("late", EchoScript());
  server_.world.RunFor(kUnnamedModuleKeptNs - kHour);
  EXPECT_TRUE(server_.artifacts.HasModule(uploaded));
  // Somebody who names it begins its time anew.
  DeployRequest request = SimServer::Direct("agent", late);
  request.validate_only = true;
  ASSERT_TRUE(server_.Deploy(request).ok());
  server_.world.RunFor(3 * kHour);
  EXPECT_FALSE(server_.artifacts.HasModule(uploaded));
  EXPECT_TRUE(server_.artifacts.HasModule(late));
  EXPECT_TRUE(server_.artifacts.HasModule(good_));
}

// The clean-up is cut at any point of it: what is left is whole, and goes with the next one.
TEST_F(CleanUps, CutShortAnywhereTheNextOneFinishes) {
  FailedCanary();
  Serve(better_);
  const int64_t ended_ns = server_.Get("dep-2")->status.ended_ns;
  server_.world.RunFor(kKeepEnded - 2 * kHour);
  // A clean-up begins with each start; the last of them finds dep-2 old enough.
  for (int64_t cut_us = 0; cut_us <= 5000; cut_us += 100) {
    SCOPED_TRACE(cut_us);
    const int64_t left_ns = ended_ns + kKeepEnded - server_.world.WallNanos();
    if (left_ns >= 0) {
      server_.Crash();
      server_.world.RunFor(left_ns + kNanosPerMilli);  // the server is down meanwhile
      server_.Start();
    }
    server_.world.RunFor(cut_us * kNanosPerMicro);
    server_.Crash(cut_us % 200 == 0 ? CrashKind::kKill : CrashKind::kPowerCut);
    server_.Start();
  }
  server_.world.RunFor(kNanosPerSecond);
  EXPECT_FALSE(server_.Get("dep-2").ok());
  EXPECT_FALSE(HasRevision(2));
  server_.world.RunFor(kUnnamedModuleKeptNs + 2 * kHour);
  EXPECT_FALSE(server_.artifacts.HasModule(bad_));
  EXPECT_EQ(server_.store.rows(Table::kEvidence), 0u);
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  EXPECT_TRUE(server_.Rollback({.target = "agent"}).ok());
  EXPECT_EQ(server_.CheckCounters(), "");
}

TEST_F(CleanUps, ManyAreCleanedInPieces) {
  // All withdrawn: none of them can be restored.
  for (int i = 0; i < 30; ++i) FailedCanary();
  Serve(better_);
  server_.world.RunFor(kKeepEnded + 2 * kHour);
  size_t deployments = 0;
  for (const CleanedUp& cleaned : server_.cleaned) deployments += cleaned.deployments;
  EXPECT_EQ(deployments, 30u);
  EXPECT_EQ(server_.store.rows(Table::kDeployments), 2u);
  EXPECT_EQ(server_.store.rows(Table::kRevisions), 2u);
  Restart();
  EXPECT_EQ(server_.store.rows(Table::kDeployments), 2u);
}

}  // namespace
}  // namespace caxton::controller::testing
