// SPDX-License-Identifier: Apache-2.0
//
// Removals beside everything else: deployments that wait, people who watch, messages that are on
// their way when the agent closes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using router::RemoveMode;
using supervisor::testing::EchoScript;

constexpr int64_t kSecond = kNanosPerSecond;

class Removals : public ::testing::Test {
 protected:
  Removals() {
    for (int i = 0; i < 3; ++i) {
      modules_.push_back(server_.AddModule(StrCat("module ", i), EchoScript(100 * kNanosPerMilli)));
    }
    Serve(0);
  }
  void Serve(size_t module) {
    DeployRequest request = SimServer::Direct("agent", modules_[module]);
    request.spec.cleanup_ns = 0;
    const auto made = server_.Deploy(request);
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
  }
  void Canary(size_t module) {
    ASSERT_TRUE(
        server_.Deploy(SimServer::Canary("agent", modules_[module], "10:1h", "error_rate > 1%"))
            .ok());
    server_.world.RunFor(kSecond);
  }
  std::shared_ptr<std::optional<absl::StatusOr<RemoveOutcome>>> Remove(RemoveMode mode) {
    auto told = std::make_shared<std::optional<absl::StatusOr<RemoveOutcome>>>();
    server_.controller->RemoveAgent(
        "agent", mode, {}, [told](absl::StatusOr<RemoveOutcome> got) { *told = std::move(got); });
    return told;
  }
  bool Abort(const std::string& target) {
    return server_
        .Ask<DeploymentView>([&](Done<DeploymentView> done) {
          server_.controller->Abort(target, {}, std::move(done));
        })
        .ok();
  }

  SimServer server_;
  std::vector<Digest> modules_;
};

TEST_F(Removals, OneThatIsGivenUpLetsTheQueueGoOn) {
  const RevisionRef stable{server_.IdOf("agent"), RevisionNumber(1)};
  Canary(1);
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("agent", modules_[2])).ok());  // dep-3 waits
  server_.supervisor->SetNoRoom(stable, true);
  server_.supervisor->SetNoRoom({stable.agent, RevisionNumber(2)}, true);
  auto message = server_.Send(SimServer::To("agent", "hello"));
  server_.world.RunFor(kSecond);
  auto removed = Remove(RemoveMode::kDrain);
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(Abort("dep-2"));
  server_.world.RunFor(kSecond);
  EXPECT_TRUE(server_.Get("dep-3")->status.queued) << "while it is being removed nothing starts";
  server_.world.RunFor(kMaxDrainNs);
  ASSERT_TRUE(removed->has_value());
  EXPECT_EQ(ReasonOf((*removed)->status()), "DRAIN_TIMEOUT");
  EXPECT_TRUE(server_.Await("dep-3", DeploymentState::kRunning, 60 * kSecond));
  server_.world.RunFor(kSecond);
  EXPECT_EQ(server_.Handled(stable.agent).size(), 1u) << "and its message is handled by it";
}

TEST_F(Removals, OneThatDrainsCanBeToldToWaitNoLonger) {
  const RevisionRef stable{server_.IdOf("agent"), RevisionNumber(1)};
  auto handled = server_.Send(SimServer::To("agent", "first"));
  server_.world.RunFor(20 * kNanosPerMilli);  // it runs
  auto waits = server_.Send(SimServer::To("agent", "second", "k"));
  server_.supervisor->SetNoRoom(stable, true);
  server_.world.RunFor(20 * kNanosPerMilli);  // it is on record
  auto drained = Remove(RemoveMode::kDrain);
  server_.world.RunFor(kSecond);
  ASSERT_FALSE(drained->has_value());
  auto refused = Remove(RemoveMode::kRefuseIfWaiting);
  server_.world.RunFor(kSecond);
  EXPECT_EQ(ReasonOf((**refused).status()), "REMOVING") << "only giving up is more than draining";

  auto purged = Remove(RemoveMode::kPurge);
  server_.world.RunFor(kSecond);
  for (const auto& told : {drained, purged}) {
    ASSERT_TRUE(told->has_value());
    ASSERT_TRUE((*told)->ok()) << (*told)->status();
    EXPECT_EQ((**told)->dropped, 1);
    EXPECT_EQ((**told)->dead_lettered, 0);
  }
  EXPECT_EQ((**drained)->drained, 1) << "the first was handled meanwhile";
  EXPECT_EQ(ReasonOf(server_.Get("agent").status()), "NO_SUCH_AGENT");
}

TEST_F(Removals, GivingUpOutlivesACrash) {
  for (int64_t cut_us = 0; cut_us < 3000; cut_us += 250) {
    SCOPED_TRACE(cut_us);
    SimServer server;
    const Digest module = server.AddModule("one", EchoScript(100 * kNanosPerMilli));
    ASSERT_TRUE(server.Deploy(SimServer::Direct("agent", module)).ok());
    ASSERT_TRUE(server.Await("agent", DeploymentState::kRunning));
    const AgentId id = server.IdOf("agent");
    server.supervisor->SetNoRoom({id, RevisionNumber(1)}, true);
    auto waits = server.Send(SimServer::To("agent", "hello"));
    server.world.RunFor(kSecond);
    ASSERT_TRUE(waits->ok());
    auto ignore = [](const absl::StatusOr<RemoveOutcome>&) {};
    server.controller->RemoveAgent("agent", RemoveMode::kDrain, {}, ignore);
    server.world.RunFor(kSecond);
    server.controller->RemoveAgent("agent", RemoveMode::kDeadLetter, {}, ignore);
    server.world.RunFor(cut_us * 1000);
    server.Crash(CrashKind::kPowerCut);
    server.Start();
    server.world.RunFor(60 * kSecond);
    EXPECT_EQ(ReasonOf(server.Get("agent").status()), "NO_SUCH_AGENT");
    const journal::CounterRow counters = server.journal->Counters(id);
    EXPECT_EQ(counters.accepted, 1u);
    EXPECT_EQ(counters.completed + counters.dead, 1u) << "handled before, or given up; not lost";
  }
}

TEST_F(Removals, WatchersAreToldThatThereIsNothingLeft) {
  Canary(1);
  int seen = 0;
  std::vector<absl::Status> ended;
  auto id = server_.Ask<uint64_t>([&](Done<uint64_t> done) {
    server_.controller->Watch(
        "agent", [&](const DeploymentView&, bool) { ++seen; },
        [&](absl::Status why) { ended.push_back(std::move(why)); }, std::move(done));
  });
  ASSERT_TRUE(id.ok());
  EXPECT_GT(seen, 0);
  ASSERT_TRUE(server_.Remove("agent", RemoveMode::kPurge).ok());
  server_.world.RunFor(kSecond);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ReasonOf(ended.front()), "NO_SUCH_DEPLOYMENT");
  EXPECT_THAT(std::string(StdView(ended.front().message())),
              ::testing::AllOf(::testing::HasSubstr("dep-2"), ::testing::HasSubstr("removed")));
  EXPECT_FALSE(FixOf(ended.front()).empty());
  const int before = seen;
  server_.controller->Unwatch(*id);  // as a caller does that has not been told yet
  server_.world.RunFor(10 * kSecond);
  EXPECT_EQ(seen, before);
  EXPECT_EQ(ended.size(), 1u);
}

TEST_F(Removals, WatchersGoWithTheirAgentAndMakeRoomForOthers) {
  const auto watch = [this](const std::string& target) {
    return server_.Ask<uint64_t>([&](Done<uint64_t> done) {
      server_.controller->Watch(
          target, [](const DeploymentView&, bool) {}, [](const absl::Status&) {}, std::move(done));
    });
  };
  for (size_t i = 0; i < kMaxWatchers; ++i) ASSERT_TRUE(watch("agent").ok());
  EXPECT_EQ(ReasonOf(watch("agent").status()), "TOO_MANY_WATCHERS");
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("other", modules_[1])).ok());
  EXPECT_FALSE(watch("other").ok());
  ASSERT_TRUE(server_.Remove("agent", RemoveMode::kPurge).ok());
  EXPECT_TRUE(watch("other").ok());
}

// The agent closes while a message that was let in is on its way to the journal: it is
// acknowledged, so it must not be dropped by who was told that nothing waits.
TEST_F(Removals, WhoRefusesWhileMessagesWaitCountsThoseOnTheirWay) {
  const AgentId agent = server_.IdOf("agent");
  auto removed = Remove(RemoveMode::kRefuseIfWaiting);
  auto sent = server_.Send(SimServer::To("agent", "hello"));
  server_.world.RunFor(10 * kSecond);
  EXPECT_TRUE(sent->ok());
  ASSERT_TRUE(removed->has_value());
  EXPECT_EQ(ReasonOf((*removed)->status()), "MESSAGES_WAITING");
  EXPECT_EQ(server_.Handled(agent).size(), 1u);
  EXPECT_EQ(server_.journal->Counters(agent).dropped, 0u);
  auto later = server_.Send(SimServer::To("agent", "again"));
  server_.world.RunFor(kSecond);
  EXPECT_TRUE(later->ok()) << "the agent stays, and is open";
  EXPECT_EQ(server_.CheckCounters(), "");
  EXPECT_TRUE(server_.Remove("agent", RemoveMode::kRefuseIfWaiting).ok());
}

// The same cut short: what the restart goes on with refuses too.
TEST_F(Removals, AndSoDoesOneThatARestartGoesOnWith) {
  for (int64_t cut_us = 0; cut_us <= 1000; cut_us += 50) {
    SCOPED_TRACE(cut_us);
    const AgentId agent = server_.IdOf("agent");
    ASSERT_TRUE(agent.valid());
    const uint64_t completed = server_.journal->Counters(agent).completed;
    Remove(RemoveMode::kRefuseIfWaiting);
    auto sent = server_.Send(SimServer::To("agent", "hello"));
    server_.world.RunFor(cut_us * kNanosPerMicro);
    server_.Crash(CrashKind::kPowerCut);
    server_.Start();
    server_.world.RunFor(10 * kSecond);
    const journal::CounterRow counters = server_.journal->Counters(agent);
    EXPECT_EQ(counters.dropped, 0u);
    EXPECT_EQ(counters.dead, 0u);
    if (sent->ok()) {
      EXPECT_EQ(counters.completed, completed + 1);
    }
    if (!server_.IdOf("agent").valid()) {  // nothing was acknowledged, so it went
      EXPECT_FALSE(sent->ok());
      Serve(0);
    }
    EXPECT_EQ(server_.CheckCounters(), "");
  }
}

// Commands and people name deployments long after they are gone.
TEST_F(Removals, NoDeploymentGetsTheNameOfOneThatIsGone) {
  Canary(1);
  EXPECT_EQ(server_.Get("agent")->status.id, DeploymentId(2));
  auto removed = Remove(RemoveMode::kPurge);
  server_.world.RunFor(20 * kSecond);
  ASSERT_TRUE(removed->has_value() && (*removed)->ok());
  server_.Crash(CrashKind::kPowerCut);
  server_.Start();
  server_.world.RunFor(kSecond);
  modules_[0] = server_.AddModule("another", EchoScript());  // the sweep took the others
  Serve(0);
  EXPECT_EQ(server_.Get("agent")->status.id, DeploymentId(3));
}

}  // namespace
}  // namespace caxton::controller::testing
