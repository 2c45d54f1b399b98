// SPDX-License-Identifier: Apache-2.0
//
// Commands with idempotency keys: the server dies in every instant around each of them, by kill and
// by power cut, and the caller repeats what it has no answer to. There is one effect and one
// answer, also for who repeats it later, when others have changed what it did. Etags: of two who
// want to change what they have seen, one does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using router::RemoveMode;
using supervisor::testing::EchoScript;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int kMostInstants = 2'000;  // a command that is not answered by then hangs

using Told = std::shared_ptr<std::optional<absl::StatusOr<std::string>>>;

std::string Show(const DeploymentView& view) {
  const deployment::DeploymentStatus& s = view.status;
  return StrCat(s.id.value(), " ", deployment::DeploymentStateName(s.state), " ", s.stage, " ",
                s.paused != deployment::PauseReason::kNone);
}
std::string ShowMade(const DeployOutcome& made) { return StrCat(made.view.status.id.value()); }
std::string ShowBack(const RollbackOutcome& back) {
  return StrCat(Show(back.view), " from ", back.from, " to ", back.to);
}
std::string ShowRemoved(const RemoveOutcome& removed) {
  return StrCat("drained ", removed.drained, " dead ", removed.dead_lettered, " dropped ",
                removed.dropped);
}

// Three revisions of "agent", one after the other; modules 0 to 4.
class Life {
 public:
  Life() {
    AddModules();
    for (int i = 0; i < 3; ++i) Direct("agent", i);
  }
  void Restart(CrashKind kind) {
    server.Crash(kind);
    server.Start();
    AddModules();  // a start sweeps those that nobody runs
  }

  void Direct(const std::string& agent, int module) {
    DeployRequest request = SimServer::Direct(agent, modules_[module]);
    request.spec.cleanup_ns = 0;
    EXPECT_TRUE(server.Deploy(request).ok());
    EXPECT_TRUE(server.Await(agent, DeploymentState::kRunning));
    server.world.RunFor(kSecond);
  }
  DeployRequest CanaryRequest() const {
    return SimServer::Canary("agent", modules_[3], "10:1h,20:1h,30:1h", "error_rate > 1%");
  }
  void Canary() {
    EXPECT_TRUE(server.Deploy(CanaryRequest()).ok());
    server.world.RunFor(kSecond);
  }
  deployment::DeploymentStatus Status(const std::string& target = "agent") {
    auto view = server.Get(target);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? view->status : deployment::DeploymentStatus{};
  }
  using Steering = void (Controller::*)(std::string, CommandTerms, Done<DeploymentView>);
  bool Steer(Steering steer) {
    return server
        .Ask<DeploymentView>([&](Done<DeploymentView> done) {
          (server.controller.get()->*steer)("agent", {}, std::move(done));
        })
        .ok();
  }
  size_t Deployments(const std::string& agent) {
    auto all = server.Ask<std::vector<DeploymentView>>([&](Done<std::vector<DeploymentView>> done) {
      server.controller->ListDeployments(agent, std::move(done));
    });
    return all.ok() ? all->size() : 0;
  }

  // ---- commands under one key
  Told Steered(Steering steer) {
    return server.Once<DeploymentView>(
        "key", "steer",
        [this, steer](CommandClaim claim, Done<DeploymentView> done) {
          (server.controller.get()->*steer)("agent", {"", std::move(claim)}, std::move(done));
        },
        Show);
  }
  Told Promoted(bool full) {
    return server.Once<DeploymentView>(
        "key", "promote",
        [this, full](CommandClaim claim, Done<DeploymentView> done) {
          server.controller->Promote({"agent", "", full, {"", std::move(claim)}}, std::move(done));
        },
        Show);
  }
  Told RolledBack(int64_t drain_ns) {
    return server.Once<RollbackOutcome>(
        "key", "rollback",
        [this, drain_ns](CommandClaim claim, Done<RollbackOutcome> done) {
          RollbackRequest request;
          request.target = "agent";
          request.drain_ns = drain_ns;
          request.terms.claim = std::move(claim);
          server.controller->Rollback(std::move(request), std::move(done));
        },
        ShowBack);
  }
  Told Deployed(const DeployRequest& request) {
    return server.Once<DeployOutcome>(
        "key", "deploy",
        [this, request](CommandClaim claim, Done<DeployOutcome> done) {
          DeployRequest keyed = request;
          keyed.terms.claim = std::move(claim);
          server.controller->Deploy(std::move(keyed), std::move(done));
        },
        ShowMade);
  }
  Told Retried() {
    return server.Once<DeployOutcome>(
        "key", "retry",
        [this](CommandClaim claim, Done<DeployOutcome> done) {
          server.controller->Retry("dep-4", std::move(claim), std::move(done));
        },
        ShowMade);
  }
  Told Removed(RemoveMode mode, const std::string& key = "key") {
    return server.Once<RemoveOutcome>(
        key, "remove",
        [this, mode](CommandClaim claim, Done<RemoveOutcome> done) {
          server.controller->RemoveAgent("agent", mode, {"", std::move(claim)}, std::move(done));
        },
        ShowRemoved);
  }
  Told Grouped() {
    return server.Once<GroupOutcome>(
        "key", "group",
        [this](CommandClaim claim, Done<GroupOutcome> done) {
          server.controller->DeployGroup(
              {SimServer::Direct("agent", modules_[3]), SimServer::Direct("other", modules_[4])},
              std::move(claim), std::move(done));
        },
        [](const GroupOutcome& group) {
          std::string ids;
          for (const DeploymentView& view : group.made)
            StrAppend(&ids, view.status.id.value(), " ");
          return ids;
        });
  }
  void SendSome() {
    for (int i = 0; i < 6; ++i) server.Send(SimServer::To("agent", StrCat(i), "a"));
    server.world.RunFor(30 * kNanosPerMilli);
  }

  SimServer server;

 private:
  void AddModules() {
    modules_.clear();
    for (int i = 0; i < 5; ++i) {
      modules_.push_back(server.AddModule(StrCat("module ", i), EchoScript(20 * kNanosPerMilli)));
    }
  }

  std::vector<Digest> modules_;
};

struct Command {
  const char* name;
  std::function<void(Life&)> prepare;
  std::function<Told(Life&)> call;
  // Once it is done: its effect was one.
  std::function<void(Life&, const std::string& answer)> check;
  // What others do then, and that a late repeat does not undo it.
  std::function<void(Life&)> change = [](Life&) {};
  std::function<void(Life&)> check_changed = [](Life&) {};
};

void NoDeployments(Life&) {}
void ACanary(Life& life) { life.Canary(); }

std::vector<Command> Steerings() {
  return {
      {"promote", ACanary, [](Life& l) { return l.Promoted(false); },
       [](Life& l, const std::string&) { EXPECT_EQ(l.Status().stage, 1u); }},
      {"promote_full", ACanary, [](Life& l) { return l.Promoted(true); },
       [](Life& l, const std::string&) {
         EXPECT_EQ(l.Status().state, DeploymentState::kRunning);
         EXPECT_TRUE(l.Status().judge_skipped);
       }},
      {"pause", ACanary, [](Life& l) { return l.Steered(&Controller::Pause); },
       [](Life& l, const std::string&) {
         EXPECT_EQ(l.Status().paused, deployment::PauseReason::kCommand);
       },
       [](Life& l) { EXPECT_TRUE(l.Steer(&Controller::Resume)); },
       [](Life& l) { EXPECT_EQ(l.Status().paused, deployment::PauseReason::kNone); }},
      {"resume",
       [](Life& l) {
         l.Canary();
         EXPECT_TRUE(l.Steer(&Controller::Pause));
       },
       [](Life& l) { return l.Steered(&Controller::Resume); },
       [](Life& l, const std::string&) {
         EXPECT_EQ(l.Status().paused, deployment::PauseReason::kNone);
       },
       [](Life& l) { EXPECT_TRUE(l.Steer(&Controller::Pause)); },
       [](Life& l) { EXPECT_EQ(l.Status().paused, deployment::PauseReason::kCommand); }},
      {"abort", ACanary, [](Life& l) { return l.Steered(&Controller::Abort); },
       [](Life& l, const std::string&) { EXPECT_TRUE(l.Status("dep-4").aborted()); },
       [](Life& l) { l.Canary(); },
       [](Life& l) { EXPECT_EQ(l.Status("dep-5").state, DeploymentState::kDeploying); }},
  };
}

std::vector<Command> Rollbacks() {
  const auto went_once = [](Life& l, const std::string& answer) {
    EXPECT_THAT(answer, ::testing::EndsWith("from agent@4 to agent@3"));
    EXPECT_EQ(l.Status().state, DeploymentState::kRolledBack);
    EXPECT_EQ(l.Deployments("agent"), 4u) << "it went no further back";
  };
  const auto stayed = [](Life& l) { EXPECT_EQ(l.Deployments("agent"), 4u); };
  return {
      {"rollback", ACanary, [](Life& l) { return l.RolledBack(0); }, went_once, [](Life&) {},
       stayed},
      {"rollback_drained", ACanary, [](Life& l) { return l.RolledBack(kSecond); }, went_once,
       [](Life&) {}, stayed},
      {"rollback_to_a_kept_one", NoDeployments, [](Life& l) { return l.RolledBack(0); },
       [](Life& l, const std::string& answer) {
         EXPECT_THAT(answer, ::testing::EndsWith("from agent@3 to agent@4"));
         EXPECT_EQ(l.Status().state, DeploymentState::kRunning);
         EXPECT_EQ(l.Deployments("agent"), 4u) << "it went no further back";
       },
       [](Life& l) { l.Direct("agent", 4); },
       [](Life& l) { EXPECT_EQ(l.Status().id, DeploymentId(5)) << "which serves still"; }},
  };
}

std::vector<Command> Makings() {
  return {
      {"deploy", NoDeployments, [](Life& l) { return l.Deployed(l.CanaryRequest()); },
       [](Life& l, const std::string& answer) {
         EXPECT_EQ(answer, "4");
         EXPECT_EQ(l.Deployments("agent"), 4u);
       },
       [](Life& l) { EXPECT_TRUE(l.Steer(&Controller::Abort)); },
       [](Life& l) { EXPECT_EQ(l.Deployments("agent"), 4u); }},
      {"retry",
       [](Life& l) {
         l.Canary();
         EXPECT_TRUE(l.Steer(&Controller::Abort));
       },
       [](Life& l) { return l.Retried(); },
       [](Life& l, const std::string& answer) {
         EXPECT_EQ(answer, "5");
         EXPECT_EQ(l.Deployments("agent"), 5u);
       },
       [](Life& l) { EXPECT_TRUE(l.Steer(&Controller::Abort)); },
       [](Life& l) { EXPECT_EQ(l.Deployments("agent"), 5u); }},
      {"group", NoDeployments, [](Life& l) { return l.Grouped(); },
       [](Life& l, const std::string& answer) {
         EXPECT_EQ(answer, "4 5 ");
         EXPECT_EQ(l.Deployments("agent"), 4u);
         EXPECT_EQ(l.Deployments("other"), 1u);
       }},
  };
}

std::vector<Command> Removals() {
  const auto gone = [](Life& l, const std::string& answer) {
    EXPECT_FALSE(l.server.Get("agent").ok());
    const journal::CounterRow sum = l.server.journal->TotalCounters();
    EXPECT_THAT(answer, ::testing::EndsWith(StrCat("dead ", sum.dead, " dropped ", sum.dropped)));
    EXPECT_EQ(l.server.CheckCounters(), "");
  };
  const auto another = [](Life& l) { l.Direct("agent", 4); };
  const auto stayed = [](Life& l) {
    EXPECT_EQ(l.Status().state, DeploymentState::kRunning) << "another agent of the name";
  };
  const auto some = [](Life& l) { l.SendSome(); };
  return {
      {"remove", NoDeployments, [](Life& l) { return l.Removed(RemoveMode::kRefuseIfWaiting); },
       gone, another, stayed},
      {"remove_and_drain", some, [](Life& l) { return l.Removed(RemoveMode::kDrain); }, gone,
       another, stayed},
      {"remove_and_keep", some, [](Life& l) { return l.Removed(RemoveMode::kDeadLetter); }, gone,
       another, stayed},
      {"remove_and_purge", some, [](Life& l) { return l.Removed(RemoveMode::kPurge); }, gone,
       another, stayed},
  };
}

std::vector<Command> AllCommands() {
  std::vector<Command> all;
  for (auto& part : {Steerings(), Rollbacks(), Makings(), Removals()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

// The answer to a repeat.
std::string Answer(Life& life, const Command& command) {
  Told told = command.call(life);
  life.server.world.RunUntil([&] { return told->has_value(); }, 900 * kSecond);
  EXPECT_TRUE(told->has_value()) << "it is never answered";
  if (!told->has_value()) return "";
  EXPECT_TRUE((*told)->ok()) << (*told)->status();
  return (*told)->ok() ? ***told : "";
}

class Repeats : public ::testing::TestWithParam<size_t> {};

TEST_P(Repeats, HaveOneEffectAndOneAnswerWhereverTheServerDied) {
  const Command command = AllCommands()[GetParam()];
  for (const CrashKind kind : {CrashKind::kKill, CrashKind::kPowerCut}) {
    bool answered = false;
    for (int instant = 0; !answered; ++instant) {
      ASSERT_LT(instant, kMostInstants);
      SCOPED_TRACE(StrCat(command.name, ", ", kind == CrashKind::kKill ? "kill" : "power cut",
                          " after ", instant, " tasks"));
      Life life;
      command.prepare(life);
      Told first = command.call(life);
      for (int i = 0; i < instant; ++i) ASSERT_TRUE(life.server.world.RunNext());
      answered = first->has_value();
      life.Restart(kind);
      const std::string answer = Answer(life, command);
      if (answered) {
        ASSERT_TRUE((*first)->ok()) << (*first)->status();
        EXPECT_EQ(answer, ***first);
      }
      life.server.world.RunFor(kSecond);
      command.check(life, answer);
      command.change(life);
      life.Restart(kind);
      EXPECT_EQ(Answer(life, command), answer) << "a late repeat";
      life.server.world.RunFor(kSecond);
      command.check_changed(life);
      if (HasFatalFailure() || HasNonfatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EachCommand, Repeats, ::testing::Range(size_t{0}, AllCommands().size()),
                         [](const auto& info) { return AllCommands()[info.param].name; });

TEST(Removal, AllWhoAskAtOnceAreToldTheOutcome) {
  Life life;
  life.SendSome();
  std::vector<Told> told;
  for (const char* key : {"a", "b", "a"}) told.push_back(life.Removed(RemoveMode::kPurge, key));
  Told other = life.Removed(RemoveMode::kDrain, "c");
  life.server.world.RunFor(10 * kSecond);
  for (const Told& each : told) {
    ASSERT_TRUE(each->has_value() && (*each)->ok());
    EXPECT_EQ(***each, ***told[0]);
  }
  ASSERT_TRUE(other->has_value()) << "refused, not forgotten";
  EXPECT_EQ(ReasonOf((*other)->status()), "REMOVING");
}

// ---- etags

struct Race {
  const char* name;
  std::function<void(Life&, CommandTerms, std::function<void(absl::Status)>)> first, second;
};

template <typename T>
Done<T> Into(std::function<void(absl::Status)> told) {
  return [told = std::move(told)](absl::StatusOr<T> outcome) { told(outcome.status()); };
}

TEST(Etags, AreTheSameAfterARestartAndOthersAfterAChange) {
  Life life;
  life.Canary();
  const auto etags = [&] {
    auto agent = life.server.Ask<AgentView>(
        [&](Done<AgentView> done) { life.server.controller->GetAgent("agent", std::move(done)); });
    return std::pair(EtagOf(life.Status()), agent->etag);
  };
  const auto before = etags();
  life.server.world.RunFor(10 * kSecond);  // the clock's progress is no change
  EXPECT_EQ(etags(), before);
  for (const CrashKind kind : {CrashKind::kKill, CrashKind::kPowerCut}) {
    life.Restart(kind);
    life.server.world.RunFor(kSecond);
    EXPECT_EQ(etags(), before);
  }
  EXPECT_TRUE(life.Steer(&Controller::Pause));
  EXPECT_NE(etags().first, before.first);
  EXPECT_NE(etags().second, before.second);
}

TEST(Etags, OfTwoWhoRaceOneSucceeds) {
  const auto steer = [](Life::Steering steering) {
    return [steering](Life& l, CommandTerms terms, std::function<void(absl::Status)> told) {
      (l.server.controller.get()->*steering)("agent", std::move(terms),
                                             Into<DeploymentView>(std::move(told)));
    };
  };
  const auto promote = [](Life& l, CommandTerms terms, std::function<void(absl::Status)> told) {
    l.server.controller->Promote({"agent", "", false, std::move(terms)},
                                 Into<DeploymentView>(std::move(told)));
  };
  const auto rollback = [](Life& l, CommandTerms terms, std::function<void(absl::Status)> told) {
    l.server.controller->Rollback({"agent", RevisionNumber(), 0, std::move(terms)},
                                  Into<RollbackOutcome>(std::move(told)));
  };
  const std::vector<Race> races = {
      {"promote, promote", promote, promote},
      {"pause, abort", steer(&Controller::Pause), steer(&Controller::Abort)},
      {"promote, rollback", promote, rollback},
      {"rollback, promote", rollback, promote},
      {"abort, rollback", steer(&Controller::Abort), rollback},
      {"rollback, rollback", rollback, rollback},
  };
  for (const Race& race : races) {
    // Both at once, and the second while the first one's record is on its way.
    for (int between : {0, 1, 2, 3}) {
      SCOPED_TRACE(StrCat(race.name, ", ", between, " tasks between"));
      Life life;
      life.Canary();
      const std::string etag = EtagOf(life.Status());
      std::vector<absl::Status> told;
      const auto tell = [&told](absl::Status status) { told.push_back(std::move(status)); };
      race.first(life, {etag, {}}, tell);
      for (int i = 0; i < between; ++i) life.server.world.RunNext();
      race.second(life, {etag, {}}, tell);
      life.server.world.RunFor(10 * kSecond);
      ASSERT_EQ(told.size(), 2u);
      const bool first_won = told[0].ok();
      EXPECT_NE(first_won, told[1].ok());
      EXPECT_EQ(ReasonOf(told[first_won ? 1 : 0]), "ETAG_MISMATCH");
    }
  }
}

TEST(Etags, OfAnAgentThatTwoSetOneSucceeds) {
  for (bool busy : {false, true}) {
    SCOPED_TRACE(busy);
    Life life;
    if (busy) life.Canary();
    const std::string etag = life.server
                                 .Ask<AgentView>([&](Done<AgentView> done) {
                                   life.server.controller->GetAgent("agent", std::move(done));
                                 })
                                 ->etag;
    std::vector<absl::Status> told;
    const auto tell = [&told](absl::Status status) { told.push_back(std::move(status)); };
    for (const char* value : {"one", "two"}) {
      DeployRequest request;
      request.agent = "agent";
      request.overrides.settings["greeting"] = value;
      request.terms.etag = etag;
      life.server.controller->Deploy(std::move(request), Into<DeployOutcome>(tell));
    }
    life.server.controller->RemoveAgent("agent", RemoveMode::kPurge, {etag, {}},
                                        Into<RemoveOutcome>(tell));
    life.server.world.RunFor(10 * kSecond);
    ASSERT_EQ(told.size(), 3u);
    EXPECT_EQ(std::count_if(told.begin(), told.end(), [](const auto& s) { return s.ok(); }), 1);
    EXPECT_EQ(std::count_if(told.begin(), told.end(),
                            [](const auto& s) { return ReasonOf(s) == "ETAG_MISMATCH"; }),
              2);
  }
}

}  // namespace
}  // namespace caxton::controller::testing
