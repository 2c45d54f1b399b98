// SPDX-License-Identifier: Apache-2.0
//
// What a rollback returns to, and how: warm by one table, or a new deployment of a kept artifact.
// Nothing that other deployments came to may stand in its way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/controller/testing/sim_server.h"
#include "caxton/journal/limits.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using supervisor::testing::EchoScript;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kHour = 3'600 * kSecond;

class Rollbacks : public ::testing::Test {
 protected:
  explicit Rollbacks(size_t max_deployments = kDefaultMaxDeployments)
      : server_({.max_deployments = max_deployments}) {
    for (int i = 0; i < 14; ++i) {
      modules_.push_back(server_.AddModule(StrCat("module ", i), EchoScript()));
    }
    slow_ = server_.AddModule("slow", EchoScript(kSecond / 2));
    bad_ = server_.AddModule("bad", EchoScript());
    server_.validator->Reject(bad_, "NOT_WASM", "it is not a module");
  }
  // Serves; with its cleanup window open for a minute if `window`.
  void Serve(const std::string& agent, const Digest& module, bool window = false) {
    DeployRequest request = SimServer::Direct(agent, module);
    request.spec.cleanup_ns = window ? 60 * kSecond : 0;
    const auto made = server_.Deploy(request);
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_TRUE(server_.Await(agent, DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
  }
  void FailToDeploy() {
    ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", bad_)).ok());
    ASSERT_TRUE(server_.Await("agent", DeploymentState::kFailed));
  }
  std::optional<HistoryEntry> Entry(uint32_t number) {
    auto all = server_.Ask<std::vector<HistoryEntry>>([&](Done<std::vector<HistoryEntry>> done) {
      server_.controller->History("agent", std::move(done));
    });
    EXPECT_TRUE(all.ok()) << all.status();
    for (const HistoryEntry& entry : *all) {
      if (entry.revision.ref.number.value() == number) return entry;
    }
    return std::nullopt;
  }
  bool Restorable(uint32_t number) {
    const std::optional<HistoryEntry> entry = Entry(number);
    return entry.has_value() && entry->restorable;
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
  Digest slow_, bad_;
};

TEST_F(Rollbacks, DeploymentsThatNeverServedPushOutNoTarget) {
  Serve("agent", modules_[0]);
  Serve("agent", modules_[1]);
  for (size_t i = 0; i < kMaxArtifactsPerAgent; ++i) FailToDeploy();
  EXPECT_TRUE(Restorable(1));
  EXPECT_FALSE(Restorable(3)) << "it never served";
  EXPECT_EQ(ReasonOf(server_.Rollback({.target = "agent", .to = RevisionNumber(3)}).status()),
            "NOT_RESTORABLE");
  // Neither the clean-up by age nor a restart's sweep takes its module.
  server_.world.RunFor(kDefaultKeepEndedNs + 2 * kHour);
  EXPECT_TRUE(server_.artifacts.HasModule(modules_[0]));
  Restart();
  auto back = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->view.candidate->module, modules_[0]);
}

TEST_F(Rollbacks, AsManyCanBeReturnedToAsTheLimitSays) {
  // The newest kMaxArtifactsPerAgent that served, what serves now among them.
  for (size_t i = 0; i <= kMaxArtifactsPerAgent; ++i) Serve("agent", modules_[i]);
  FailToDeploy();
  EXPECT_FALSE(Restorable(1));
  EXPECT_TRUE(Restorable(2));
  EXPECT_EQ(ReasonOf(server_.Rollback({.target = "agent", .to = RevisionNumber(1)}).status()),
            "NOT_RESTORABLE");
  auto back = server_.Rollback({.target = "agent", .to = RevisionNumber(2)});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->view.candidate->module, modules_[1]);
}

TEST_F(Rollbacks, ByNameInTheWindowIsWarmWhateverFailedSince) {
  Serve("agent", modules_[0]);
  Serve("agent", modules_[1], /*window=*/true);
  FailToDeploy();  // dep-3 is what the name means now
  const int validated = server_.validator->validated();
  auto back = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->view.status.id, DeploymentId(2));
  EXPECT_EQ(back->from, "agent@2");
  EXPECT_EQ(back->to, "agent@1");
  EXPECT_TRUE(back->view.status.withdrawn);
  EXPECT_EQ(server_.validator->validated(), validated) << "nothing was deployed for it";
  EXPECT_EQ(Serving(), 1u);
  // What was named is what is meant: a deployment that failed is not another one.
  EXPECT_FALSE(server_.Rollback({.target = "dep-3"}).ok());
}

// While it drains, the one before serves already.
TEST_F(Rollbacks, AskedTwiceItGoesNoFurtherBack) {
  Serve("agent", modules_[0]);
  Serve("agent", modules_[1]);
  Serve("agent", slow_, /*window=*/true);
  FailToDeploy();
  server_.Send(SimServer::To("agent", "hello"));
  server_.world.RunFor(10 * kNanosPerMilli);  // runs on agent@3
  std::optional<absl::StatusOr<RollbackOutcome>> first;
  server_.controller->Rollback(
      {.target = "agent", .drain_ns = 10 * kSecond},
      [&](absl::StatusOr<RollbackOutcome> got) { first = std::move(got); });
  server_.world.RunFor(100 * kNanosPerMilli);
  ASSERT_TRUE(server_.Get("dep-3")->status.rolling_back);
  auto again = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->to, "agent@2");
  server_.world.RunFor(20 * kSecond);
  ASSERT_TRUE(first.has_value() && first->ok());
  EXPECT_EQ((*first)->to, "agent@2");
  EXPECT_EQ(Serving(), 2u);
}

TEST_F(Rollbacks, ToTheOneBeforeIsWarmToo) {
  Serve("agent", modules_[0]);
  Serve("agent", modules_[1], /*window=*/true);
  FailToDeploy();
  auto back = server_.Rollback({.target = "agent", .to = RevisionNumber(1)});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->view.status.id, DeploymentId(2));
  EXPECT_EQ(Serving(), 1u);
}

// More than the route's record lists.
TEST_F(Rollbacks, WhatWasWithdrawnStaysSoHoweverManyFollow) {
  Serve("agent", modules_[0]);
  for (size_t i = 0; i <= journal::kMaxWithdrawnKept; ++i) {
    Serve("agent", modules_[1], /*window=*/true);
    ASSERT_TRUE(server_.Rollback({.target = "agent"}).ok());
  }
  Restart();
  ASSERT_TRUE(Entry(2).has_value());
  EXPECT_TRUE(Entry(2)->withdrawn);
  EXPECT_FALSE(Entry(2)->restorable);
  EXPECT_EQ(ReasonOf(server_.Rollback({.target = "agent", .to = RevisionNumber(2)}).status()),
            "NOT_RESTORABLE");
  Serve("agent", server_.AddModule("another", EchoScript()));
  auto back = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->view.candidate->module, modules_[0]) << "the last that was not withdrawn";
}

// A rollback that was a new deployment: the next must not return to what it got rid of, nor to what
// was got rid of before.
TEST_F(Rollbacks, EachGoesFurtherBack) {
  for (int i = 0; i < 3; ++i) Serve("agent", modules_[i]);
  for (int i = 1; i >= 0; --i) {
    auto back = server_.Rollback({.target = "agent"});  // the second in the window of the first
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(back->view.candidate->module, modules_[i]);
    if (i == 1) Restart();
  }
  EXPECT_TRUE(Entry(3)->withdrawn);
  EXPECT_FALSE(Restorable(3));
  EXPECT_EQ(ReasonOf(server_.Rollback({.target = "agent"}).status()), "NOTHING_TO_RESTORE");
  EXPECT_EQ(ReasonOf(server_.Rollback({.target = "agent", .to = RevisionNumber(3)}).status()),
            "NOT_RESTORABLE");
  // A newer one starts anew: back from it is what served before.
  Serve("agent", server_.AddModule("another", EchoScript()));
  auto back = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->view.candidate->module, modules_[0]);
}

TEST_F(Rollbacks, OfWhatDoesNotServeIsRefused) {
  Serve("agent", modules_[0]);
  Serve("agent", modules_[1]);
  Serve("agent", modules_[2]);
  FailToDeploy();
  for (const char* target : {"dep-4", "dep-2", "dep-1"}) {
    EXPECT_EQ(ReasonOf(server_.Rollback({.target = target}).status()), "NOT_SERVING") << target;
  }
  EXPECT_EQ(Serving(), 3u);
  auto back = server_.Rollback({.target = "dep-3"});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->view.candidate->module, modules_[1]);
}

class RollbacksOnAFullServer : public Rollbacks {
 protected:
  RollbacksOnAFullServer() : Rollbacks(1) {}
};

TEST_F(RollbacksOnAFullServer, NeverWaitForAPlace) {
  Serve("agent", modules_[0]);
  Serve("agent", modules_[1]);
  Serve("other", modules_[2]);
  ASSERT_TRUE(
      server_.Deploy(SimServer::Canary("other", modules_[3], "10:1h", "error_rate > 1%")).ok());
  ASSERT_TRUE(server_.Await("other", DeploymentState::kDeploying));
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("third", modules_[4])).ok());
  server_.world.RunFor(kSecond);
  EXPECT_EQ(server_.Get("third")->place_in_queue, 1u);
  auto back = server_.Rollback({.target = "agent"});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->view.candidate->module, modules_[0]);
  server_.world.RunFor(10 * kSecond);
  EXPECT_EQ(server_.Get("third")->place_in_queue, 1u) << "a rollback gives no place away";
}

}  // namespace
}  // namespace caxton::controller::testing
