// SPDX-License-Identifier: Apache-2.0
//
// Blue-green with its preview, groups that are switched together, and the limit on deployments
// under way, with crashes in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_join.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentName;
using deployment::DeploymentState;
using deployment::EndCause;
using deployment::PauseReason;
using supervisor::testing::EchoScript;
using ::testing::ElementsAre;

constexpr int64_t kSecond = kNanosPerSecond;

class Strategies : public ::testing::Test {
 protected:
  explicit Strategies(size_t max_deployments = 32) : server_({.max_deployments = max_deployments}) {
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
  DeploymentId BlueGreen(size_t module, int64_t hold_ns, bool manual) {
    DeployRequest request = SimServer::Direct("agent", modules_[module]);
    request.spec.strategy = Strategy::kBlueGreen;
    request.spec.stages = {
        {.kind = StageKind::kWarmUp, .duration_ns = hold_ns, .hold = hold_ns > 0},
        {.kind = StageKind::kSwitch, .pause = manual}};
    if (hold_ns == 0) request.spec.stages.erase(request.spec.stages.begin());
    auto made = server_.Deploy(request);
    EXPECT_TRUE(made.ok()) << made.status();
    server_.world.RunFor(kSecond);
    return made.ok() ? made->view.status.id : DeploymentId();
  }
  deployment::DeploymentStatus Status(const std::string& target) {
    auto view = server_.Get(target);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? view->status : deployment::DeploymentStatus{};
  }
  // The revision that answers a request; `pinned` as its sender says.
  uint32_t Answers(const std::string& agent, uint32_t pinned = 0) {
    Envelope envelope = SimServer::To(agent, "hello");
    envelope.pinned = RevisionNumber(pinned);
    auto caller = server_.Request(std::move(envelope));
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

TEST_F(Strategies, BlueGreenWaitsForItsHoldAndSwitchesAtOnce) {
  Serve("agent", 0);
  BlueGreen(1, 60 * kSecond, false);
  EXPECT_EQ(Status("agent").state, DeploymentState::kDeploying);
  EXPECT_EQ(StageName(Status("agent")), "preview");
  EXPECT_EQ(Answers("agent"), 1u);
  EXPECT_EQ(Answers("agent", 2), 2u) << "a preview message reaches the one that waits";
  Restart();
  EXPECT_EQ(Answers("agent"), 1u);
  EXPECT_EQ(Answers("agent", 2), 2u);
  server_.world.RunFor(61 * kSecond);
  EXPECT_EQ(Status("agent").state, DeploymentState::kRunning);
  EXPECT_EQ(Answers("agent"), 2u);
  EXPECT_EQ(Answers("agent", 1), 2u) << "what is not in the route any more: as routed";
}

TEST_F(Strategies, BlueGreenByHandWaitsForPromote) {
  Serve("agent", 0);
  BlueGreen(1, 0, true);
  server_.world.RunFor(3'600 * kSecond);
  EXPECT_EQ(Status("agent").paused, PauseReason::kStageEnd);
  EXPECT_EQ(Answers("agent"), 1u);
  Restart();
  auto promoted = server_.Ask<DeploymentView>([&](Done<DeploymentView> done) {
    server_.controller->Promote({"agent", "preview", false, {}}, std::move(done));
  });
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(Answers("agent"), 2u);
  ASSERT_TRUE(server_.Rollback({.target = "agent"}).ok());
  EXPECT_EQ(Answers("agent"), 1u);
}

TEST_F(Strategies, FailingPreviewIsSeenByItsSenderAndByNobodyElse) {
  const Digest bad = server_.AddModule("bad", [](auto&, auto&, auto&) {
    supervisor::testing::ScriptedStep step;
    step.result.outcome = StepOutcome::kTrapped;
    return step;
  });
  Serve("agent", 0);
  DeployRequest request = SimServer::Direct("agent", bad);
  request.spec.preview = true;
  request.overrides.max_attempts = 1;
  ASSERT_TRUE(server_.Deploy(request).ok());
  server_.world.RunFor(kSecond);
  Envelope envelope = SimServer::To("agent", "x");
  envelope.pinned = RevisionNumber(2);
  auto tried = server_.Request(std::move(envelope));
  server_.world.RunFor(kSecond);
  EXPECT_EQ(tried->code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Answers("agent"), 1u);
  EXPECT_EQ(Status("agent").state, DeploymentState::kDeploying) << "no evidence against it";
}

TEST_F(Strategies, FailedWarmUpTouchesNothing) {
  Serve("agent", 0);
  server_.supervisor->FailPrepare({server_.IdOf("agent"), RevisionNumber(2)},
                                  absl::InternalError("no worker"));
  BlueGreen(1, 60 * kSecond, false);
  EXPECT_EQ(Status("agent").state, DeploymentState::kRolledBack);
  EXPECT_EQ(Status("agent").cause, EndCause::kPrepare);
  EXPECT_EQ(Answers("agent"), 1u);
}

TEST_F(Strategies, SettingsComeFromWhatServesInACleanupWindow) {
  Serve("agent", 0);
  DeployRequest second = SimServer::Canary("agent", modules_[1], "50:1s", "error_rate > 1%");
  second.spec.on_inconclusive = OnInconclusive::kPromote;
  second.spec.cleanup_ns = 600 * kSecond;
  second.overrides.settings = {{"greeting", "hi"}};
  ASSERT_TRUE(server_.Deploy(second).ok());
  ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  auto third = server_.Deploy(SimServer::Direct("agent", modules_[2]));
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(third->view.candidate->settings.at("greeting"), "hi");
  EXPECT_EQ(third->view.status.stable.number, RevisionNumber(2));
}

TEST_F(Strategies, AGroupIsSwitchedInOneSwap) {
  Serve("a", 0);
  Serve("b", 1);
  server_.supervisor->SetPrepareDelay({server_.IdOf("b"), RevisionNumber(2)}, 20 * kSecond);
  auto made =
      server_.Group({SimServer::Direct("a", modules_[2]), SimServer::Direct("b", modules_[3])});
  ASSERT_TRUE(made.ok()) << made.status();
  server_.world.RunFor(10 * kSecond);
  EXPECT_EQ(Answers("a"), 1u) << "it waits for the other";
  // No table ever shows one switched and the other not.
  bool torn = false;
  server_.world.RunUntil(
      [&] {
        auto table = server_.router->Routes();
        auto serves = [&](const char* agent) {
          return table->Find(std::string_view(agent))->stable.revision->ref.number.value();
        };
        torn |= serves("a") != serves("b");
        return serves("a") == 2 && serves("b") == 2;
      },
      60 * kSecond);
  EXPECT_FALSE(torn);
  EXPECT_EQ(Answers("a"), 2u);
  EXPECT_EQ(Answers("b"), 2u);
  EXPECT_EQ(Status("a").group.size(), 2u);
}

TEST_F(Strategies, AGroupLeavesOutWhoRunsTheSameContentAlready) {
  Serve("a", 0);
  const std::vector<DeployRequest> requests = {SimServer::Direct("a", modules_[0]),
                                               SimServer::Direct("b", modules_[3])};
  auto one = server_.Group(requests);
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_THAT(one->already_running, ElementsAre("a"));
  ASSERT_EQ(one->made.size(), 1u);
  EXPECT_EQ(one->made[0].status.agent, "b");
  ASSERT_TRUE(server_.Await("b", DeploymentState::kRunning));

  auto none = server_.Group(requests);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_THAT(none->already_running, ElementsAre("a", "b"));
  EXPECT_TRUE(none->made.empty());
  EXPECT_EQ(Answers("a"), 1u) << "nothing was made";
  EXPECT_EQ(Answers("b"), 1u);

  std::vector<DeployRequest> forced = requests;
  forced[1].force = true;
  auto again = server_.Group(forced);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_THAT(again->already_running, ElementsAre("a"));
  ASSERT_TRUE(
      server_.Await(DeploymentName(again->made.at(0).status.id), DeploymentState::kRunning));
  EXPECT_EQ(Answers("b"), 2u);
}

TEST_F(Strategies, AGroupThatServesAlreadyIsNotInTheWayOfItsOwnNextDeployment) {
  Serve("a", 0);
  ASSERT_TRUE(server_.Deploy(SimServer::Canary("a", modules_[1], "10:1h", "error_rate > 1%")).ok());
  ASSERT_TRUE(server_.Await("a", DeploymentState::kDeploying));
  auto same = server_.Group({SimServer::Direct("a", modules_[0])});
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_THAT(same->already_running, ElementsAre("a"));
  EXPECT_EQ(ReasonOf(server_.Group({SimServer::Direct("a", modules_[2])}).status()),
            "DEPLOYMENT_IN_PROGRESS");
}

TEST_F(Strategies, AGroupGoesTogetherOrNotAtAll) {
  Serve("a", 0);
  Serve("b", 1);
  server_.supervisor->FailPrepare({server_.IdOf("b"), RevisionNumber(2)},
                                  absl::InternalError("no worker"));
  ASSERT_TRUE(
      server_.Group({SimServer::Direct("a", modules_[2]), SimServer::Direct("b", modules_[3])})
          .ok());
  server_.world.RunFor(10 * kSecond);
  EXPECT_EQ(Status("a").state, DeploymentState::kRolledBack);
  EXPECT_EQ(Status("a").cause, EndCause::kGroup);
  EXPECT_THAT(Status("a").error, ::testing::HasSubstr("no worker"));
  EXPECT_EQ(Status("b").state, DeploymentState::kRolledBack);
  EXPECT_EQ(Answers("a"), 1u);
  EXPECT_EQ(Answers("b"), 1u);
}

TEST_F(Strategies, AGroupWhoseOtherAgentIsRemovedDoesNotWaitForIt) {
  Serve("a", 0);
  Serve("b", 1);
  server_.supervisor->SetPrepareDelay({server_.IdOf("b"), RevisionNumber(2)}, 20 * kSecond);
  ASSERT_TRUE(
      server_.Group({SimServer::Direct("a", modules_[2]), SimServer::Direct("b", modules_[3])})
          .ok());
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(server_.Remove("b", router::RemoveMode::kPurge).ok());
  server_.world.RunFor(kSecond);
  EXPECT_EQ(Status("a").state, DeploymentState::kRolledBack);
  EXPECT_EQ(Status("a").cause, EndCause::kGroup);
  EXPECT_EQ(Answers("a"), 1u);
}

TEST_F(Strategies, AGroupIsRefusedWhole) {
  Serve("a", 0);
  EXPECT_EQ(ReasonOf(server_.Group({}).status()), "GROUP_SIZE");
  EXPECT_EQ(
      ReasonOf(
          server_.Group({SimServer::Direct("a", modules_[2]), SimServer::Direct("a", modules_[3])})
              .status()),
      "GROUP_TWICE");
  EXPECT_EQ(ReasonOf(server_
                         .Group({SimServer::Direct("b", modules_[2]),
                                 SimServer::Canary("a", modules_[3], "5:1m", "error_rate > 1%")})
                         .status()),
            "GROUP_STAGES");
  ASSERT_TRUE(server_.Deploy(SimServer::Canary("a", modules_[1], "5:1m", "error_rate > 1%")).ok());
  EXPECT_EQ(
      ReasonOf(
          server_.Group({SimServer::Direct("b", modules_[2]), SimServer::Direct("a", modules_[3])})
              .status()),
      "DEPLOYMENT_IN_PROGRESS");
  EXPECT_FALSE(server_.Get("b").ok()) << "nothing was made";
}

TEST_F(Strategies, AGroupCutShortAnywhereIsSwitchedWhole) {
  for (int64_t cut_ms : {0, 1, 3, 5, 7, 9, 10, 11, 12, 14, 16, 20, 40}) {
    SCOPED_TRACE(cut_ms);
    SimServer server;
    const Digest one = server.AddModule("one", EchoScript());
    const Digest two = server.AddModule("two", EchoScript());
    DeployRequest a = SimServer::Direct("a", one);
    DeployRequest b = SimServer::Direct("b", two);
    DeployRequest served = SimServer::Direct("served", one);
    ASSERT_TRUE(server.Deploy(served).ok());
    ASSERT_TRUE(server.Await("served", DeploymentState::kRunning));
    const auto deploy = [&] {
      auto told = server.Once<GroupOutcome>(
          "group", "a and b",
          [&](CommandClaim claim, Done<GroupOutcome> done) {
            server.controller->DeployGroup({a, b, served}, std::move(claim), std::move(done));
          },
          [](const GroupOutcome& group) {
            return StrCat(group.made.size(), " from ", group.made.at(0).status.id.value(), ", not ",
                          absl::StrJoin(group.already_running, ","));
          });
      server.world.RunUntil([&] { return told->has_value(); }, kSecond);
      return told->has_value() ? **told : absl::UnavailableError("no answer");
    };
    EXPECT_TRUE(deploy().ok());
    server.world.RunFor(cut_ms * kNanosPerMilli);
    server.Crash(CrashKind::kPowerCut);
    server.Start();
    server.world.RunFor(60 * kSecond);
    EXPECT_EQ(server.Get("a")->status.state, DeploymentState::kRunning);
    EXPECT_EQ(server.Get("b")->status.state, DeploymentState::kRunning);
    EXPECT_EQ(*deploy(), "2 from 2, not served") << "a repeat is the same group";
  }
}

DeployRequest ShadowOf(const Digest& module, bool secondary) {
  DeployRequest request = SimServer::Direct("agent", module);
  request.spec.strategy = Strategy::kShadow;
  request.spec.shadow_duration_ns = 60 * kSecond;
  request.spec.shadow_secondary = secondary;
  return request;
}

TEST_F(Strategies, AShadowComparesAndItsReportSurvivesAPowerCut) {
  Serve("agent", 0);
  const Digest other = server_.AddModule("other", [](auto&, auto&, const Envelope& envelope) {
    supervisor::testing::ScriptedStep step;
    step.result.reply = Reply{Performative::kInform, envelope.content + "!"};
    return step;
  });
  ASSERT_TRUE(server_.Deploy(ShadowOf(other, true)).ok());
  server_.world.RunFor(kSecond);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(Answers("agent"), 1u);
  server_.world.RunFor(2 * kSecond);
  auto report = server_.Get("agent")->shadow;
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->compared, 50);
  EXPECT_EQ(report->differing, 50);
  ASSERT_EQ(report->places.size(), 1u);
  EXPECT_EQ(report->places[0].path, "reply/content");
  EXPECT_EQ(report->secondary_differing, 0);
  Restart();
  EXPECT_EQ(server_.Get("agent")->shadow->compared, 50);
  server_.world.RunFor(kSecond);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Answers("agent"), 1u);
  server_.world.RunFor(60 * kSecond);
  EXPECT_EQ(Status("agent").state, DeploymentState::kDraining);
  EXPECT_TRUE(Status("agent").drained);
  EXPECT_EQ(server_.Get("agent")->shadow->compared, 60);
  EXPECT_THAT(server_.supervisor->Running(), ::testing::SizeIs(1)) << "nothing is left over";
  EXPECT_EQ(server_.CheckCounters(), "");
  Restart();
  EXPECT_EQ(server_.Get("dep-2")->shadow->compared, 60) << "an ended one is still told of";
}

TEST_F(Strategies, AShadowThatMissesItsFailOnIsTakenBackAndAPromotedOneServes) {
  Serve("agent", 0);
  const Digest bad = server_.AddModule("bad", [](auto&, auto&, auto&) {
    supervisor::testing::ScriptedStep step;
    step.result.outcome = StepOutcome::kTrapped;
    return step;
  });
  DeployRequest request = ShadowOf(bad, false);
  request.spec.shadow_fail_on = {*ParseCondition("differs > 1%")};
  ASSERT_TRUE(server_.Deploy(request).ok());
  server_.world.RunFor(kSecond);
  for (int i = 0; i < 50 && !Status("agent").final(); ++i) EXPECT_EQ(Answers("agent"), 1u);
  EXPECT_EQ(Status("agent").state, DeploymentState::kRolledBack);
  EXPECT_EQ(Status("agent").verdict.kind, deployment::VerdictKind::kFailed);
  ASSERT_TRUE(server_.Deploy(ShadowOf(modules_[1], false)).ok());
  server_.world.RunFor(kSecond);
  ASSERT_TRUE(server_
                  .Ask<DeploymentView>([&](Done<DeploymentView> done) {
                    server_.controller->Promote({"agent", "shadow", false, {}}, std::move(done));
                  })
                  .ok());
  EXPECT_EQ(Answers("agent"), 3u);
}

class FewPlaces : public Strategies {
 protected:
  FewPlaces() : Strategies(2) {}
  void Start(const std::string& agent, size_t module) {
    auto made =
        server_.Deploy(SimServer::Canary(agent, modules_[module], "5:10m", "error_rate > 1%"));
    ASSERT_TRUE(made.ok()) << made.status();
    server_.world.RunFor(kSecond);
  }
};

TEST_F(FewPlaces, MoreDeploymentsWaitInTheOrderInWhichTheyCame) {
  for (const char* agent : {"a", "b", "c", "d"}) Serve(agent, 0);
  Start("a", 1);
  Start("b", 1);
  Start("d", 1);
  Start("c", 1);
  EXPECT_TRUE(Status("d").queued);
  EXPECT_EQ(server_.Get("d")->place_in_queue, 1u);
  EXPECT_EQ(server_.Get("c")->place_in_queue, 2u);
  Restart();
  EXPECT_EQ(server_.Get("d")->place_in_queue, 1u);
  EXPECT_EQ(server_.Get("c")->place_in_queue, 2u);
  auto abort = [&](const char* agent) {
    ASSERT_TRUE(server_
                    .Ask<DeploymentView>([&](Done<DeploymentView> done) {
                      server_.controller->Abort(agent, {}, std::move(done));
                    })
                    .ok());
    server_.world.RunFor(kSecond);
  };
  abort("a");
  EXPECT_FALSE(Status("d").queued);
  EXPECT_TRUE(Status("c").queued);
  abort("c");
  EXPECT_EQ(Status("c").cause, EndCause::kAbort) << "one that waits can be aborted";
  EXPECT_EQ(server_.Get("c")->place_in_queue, 0u);
  Start("a", 1);
  EXPECT_TRUE(Status("a").queued);
  abort("b");
  EXPECT_FALSE(Status("a").queued);
}

}  // namespace
}  // namespace caxton::controller::testing
