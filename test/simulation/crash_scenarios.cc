// SPDX-License-Identifier: Apache-2.0
#include "crash_scenarios.h"

#include <set>

#include "caxton/base/strings.h"

namespace caxton::controller::testing {

using supervisor::testing::Script;
using supervisor::testing::ScriptedStep;

namespace {

constexpr int64_t kMilli = kNanosPerMilli;
constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kStep = 25 * kMilli;
constexpr int64_t kWindow = 2'500 * kMilli;

using Shape = std::function<void(DeployRequest*)>;
using Steering = void (Controller::*)(std::string, CommandTerms, Done<DeploymentView>);

std::string ShowView(const DeploymentView& view) { return StrCat(view.status.id.value()); }

// ---- commands

Asked Deploys(const Shape& shape, int64_t at_ns = 0, size_t module = 1) {
  return {at_ns, [shape, module](Life& life, const std::string& key) {
            return life.server.Once<DeployOutcome>(
                key, "deploy",
                [&life, shape, module](CommandClaim claim, Done<DeployOutcome> done) {
                  DeployRequest request = SimServer::Direct("agent", life.module(module));
                  request.spec.cleanup_ns = kWindow;
                  shape(&request);
                  request.terms.claim = std::move(claim);
                  life.server.controller->Deploy(std::move(request), std::move(done));
                },
                [](const DeployOutcome& made) { return ShowView(made.view); });
          }};
}

Asked DeploysGroup() {
  return {0, [](Life& life, const std::string& key) {
            return life.server.Once<GroupOutcome>(
                key, "group",
                [&life](CommandClaim claim, Done<GroupOutcome> done) {
                  std::vector<DeployRequest> members;
                  for (const char* agent : {"agent", "other"}) {
                    members.push_back(SimServer::Direct(agent, life.module(1)));
                    members.back().spec.cleanup_ns = kWindow;
                  }
                  life.server.controller->DeployGroup(members, std::move(claim), std::move(done));
                },
                [](const GroupOutcome& group) { return StrCat(group.made.size()); });
          }};
}

Asked Steers(int64_t at_ns, Steering steering) {
  return {at_ns, [steering](Life& life, const std::string& key) {
            return life.server.Once<DeploymentView>(
                key, "steer",
                [&life, steering](CommandClaim claim, Done<DeploymentView> done) {
                  (life.server.controller.get()->*steering)("dep-2", {"", std::move(claim)},
                                                            std::move(done));
                },
                ShowView);
          }};
}

Asked Promotes(int64_t at_ns, bool full) {
  return {at_ns, [full](Life& life, const std::string& key) {
            return life.server.Once<DeploymentView>(
                key, "promote",
                [&life, full](CommandClaim claim, Done<DeploymentView> done) {
                  life.server.controller->Promote({"dep-2", "", full, {"", std::move(claim)}},
                                                  std::move(done));
                },
                ShowView);
          }};
}

Asked RollsBack(int64_t at_ns, int64_t drain_ns) {
  return {at_ns, [drain_ns](Life& life, const std::string& key) {
            return life.server.Once<RollbackOutcome>(
                key, "rollback",
                [&life, drain_ns](CommandClaim claim, Done<RollbackOutcome> done) {
                  RollbackRequest request{.target = "dep-2", .drain_ns = drain_ns};
                  request.terms.claim = std::move(claim);
                  life.server.controller->Rollback(std::move(request), std::move(done));
                },
                [](const RollbackOutcome& back) { return ShowView(back.view); });
          }};
}

// ---- what steps do

Script Echo(std::function<bool(const Envelope&)> traps, int64_t step_ns = kStep) {
  return [traps = std::move(traps), step_ns](const Revision&, const StepInput&,
                                             const Envelope& envelope) {
    ScriptedStep step{.duration_ns = step_ns};
    step.result.reply = Reply{Performative::kInform, envelope.content};
    if (traps(envelope)) {
      step.result = StepResult{.outcome = StepOutcome::kTrapped, .detail = "unreachable"};
    }
    return step;
  };
}
Script Traps(const Life&) {
  return Echo([](const Envelope&) { return true; });
}
// Long after its deployment serves.
Script TrapsInItsWindow(const Life& life) {
  return Echo([&life](const Envelope&) { return life.Age() > 4'500 * kMilli; });
}
// Each message's first run: the retry is handled.
Script FailsOnce(const Life&) {
  auto seen = std::make_shared<std::set<std::string>>();
  return Echo([seen](const Envelope& message) { return seen->insert(message.content).second; },
              kStep / 5);
}
Script AnswersOtherwise(const Life&) {
  return [](const Revision&, const StepInput&, const Envelope& envelope) {
    ScriptedStep step{.duration_ns = kStep};
    step.result.reply = Reply{Performative::kInform, envelope.content + "!"};
    return step;
  };
}

// ---- shapes of deployments

Shape Canary(const char* stages, int64_t min_samples = 3) {
  return [stages, min_samples](DeployRequest* r) {
    *r = SimServer::Canary("agent", r->module, stages, "error_rate > 1%, p99_latency > 5s");
    for (StageSpec& stage : r->spec.stages) stage.min_samples = min_samples;
    r->spec.cleanup_ns = kWindow;
  };
}
Shape Shadow(const char* fail_on = "") {
  return [fail_on](DeployRequest* r) {
    r->spec.strategy = Strategy::kShadow;
    r->spec.shadow_duration_ns = 3'500 * kMilli;
    if (*fail_on != 0) r->spec.shadow_fail_on = *ParseConditions(fail_on);
    r->spec.shadow_secondary = *fail_on == 0;
  };
}
Shape With(Shape shape, const Shape& more) {
  return [shape = std::move(shape), more](DeployRequest* r) {
    shape(r);
    more(r);
  };
}
void AsIs(DeployRequest*) {}

const std::vector<std::string> kRolledBackByJudge = {"2 ROLLED_BACK, judge, failed, withdrawn"};

std::vector<Scenario> Strategies() {
  return {
      {.name = "direct",
       .asked = {Deploys(AsIs)},
       .path = {"2 ValidationPassed", "2 Prepared", "2 CleanupElapsed", "1 Superseded",
                "1 Drained"},
       .end = {"1 DRAINING, superseded, none, drained", "2 RUNNING, none, none, final"},
       .keys = 7},
      {.name = "blue_green",
       .asked = {Deploys([](DeployRequest* r) {
         r->spec.strategy = Strategy::kBlueGreen;
         r->spec.stages = {{.kind = StageKind::kWarmUp, .duration_ns = kWindow, .hold = true},
                           {.kind = StageKind::kSwitch}};
       })},
       .path = {"2 ValidationPassed", "2 Prepared", "2 StageElapsed", "2 CleanupElapsed",
                "1 Superseded", "1 Drained"},
       .end = {"1 DRAINING, superseded, none, drained", "2 RUNNING, none, none, final"},
       .keys = 7},
      {.name = "canary",
       .asked = {Deploys(Canary("20:2500ms,50:2500ms"))},
       .path = {"2 ValidationPassed", "2 Prepared", "2 StageElapsed", "2 StageElapsed",
                "2 CleanupElapsed", "1 Superseded", "1 Drained"},
       .end = {"1 DRAINING, superseded, none, drained", "2 RUNNING, none, successful, final"}},
      {.name = "early_canary",
       .asked = {Deploys(With(Canary("20:19s,50:19s"),
                              [](DeployRequest* r) { r->spec.promote = PromoteWhen::kEarly; }))},
       .path = {"2 ValidationPassed", "2 Prepared", "2 StageElapsed", "2 StageElapsed",
                "2 CleanupElapsed", "1 Superseded", "1 Drained"},
       .end = {"1 DRAINING, superseded, none, drained", "2 RUNNING, none, successful, final"},
       .stable = FailsOnce,
       .within_ns = 19 * kSecond},
      {.name = "shadow",
       .asked = {Deploys(Shadow())},
       .path = {"2 ValidationPassed", "2 Prepared", "2 StageElapsed", "2 Drained"},
       .end = {"2 DRAINING, shadow over, successful, drained"},
       .keys = 7},
      {.name = "group",
       .asked = {DeploysGroup()},
       .path = {"3 ValidationPassed", "4 ValidationPassed", "3 Prepared", "4 Prepared",
                "3 CleanupElapsed", "4 CleanupElapsed", "1 Superseded", "2 Superseded", "1 Drained",
                "2 Drained"},
       .end = {"1 DRAINING, superseded, none, drained", "2 DRAINING, superseded, none, drained",
               "3 RUNNING, none, none, final", "4 RUNNING, none, none, final"},
       .agents = {"agent", "other"},
       .keys = 7},
  };
}

std::vector<Scenario> Failures() {
  return {
      {.name = "validation_failed",
       .asked = {Deploys(AsIs)},
       .path = {"2 ValidationFailed"},
       .end = {"2 FAILED, validation, none"},
       .faults = [](Life& life) { life.server.validator->Reject(life.module(1), "BAD", "no"); },
       .keys = 7},
      {.name = "warm_up_failed",
       .asked = {Deploys(AsIs)},
       .path = {"2 ValidationPassed", "2 PrepareFailed"},
       .end = {"2 ROLLED_BACK, preparation, none"},
       .faults =
           [](Life& life) {
             life.server.supervisor->FailPrepare({life.server.IdOf("agent"), RevisionNumber(2)},
                                                 absl::InternalError("no worker"));
           },
       .keys = 7},
      {.name = "judge_in_a_stage",
       .asked = {Deploys(Canary("20:9s"))},
       .path = {"2 ValidationPassed", "2 Prepared", "2 JudgeVerdict"},
       .end = kRolledBackByJudge,
       .candidate = Traps},
      {.name = "judge_in_the_window",
       .asked = {Deploys(
           With(Canary("20:2s"), [](DeployRequest* r) { r->spec.cleanup_ns = 9 * kSecond; }))},
       .path = {"2 ValidationPassed", "2 Prepared", "2 StageElapsed", "2 JudgeVerdict"},
       .end = kRolledBackByJudge,
       .candidate = TrapsInItsWindow},
      {.name = "inconclusive",
       .asked = {Deploys(
           With(Canary("20:1500ms", 1'000),
                [](DeployRequest* r) { r->spec.on_inconclusive = OnInconclusive::kRollback; }))},
       .path = {"2 ValidationPassed", "2 Prepared", "2 StageElapsed", "2 StageElapsed",
                "2 StageElapsed", "2 StageElapsed", "2 StageElapsed"},
       .end = {"2 ROLLED_BACK, inconclusive, inconclusive, withdrawn"}},
      {.name = "shadow_that_differs",
       .asked = {Deploys(Shadow("differs > 1%"))},
       .path = {"2 ValidationPassed", "2 Prepared", "2 JudgeVerdict"},
       .end = kRolledBackByJudge,
       .candidate = AnswersOtherwise},
  };
}

std::vector<Scenario> Commands() {
  const auto serves = std::vector<std::string>{"1 DRAINING, superseded, none, drained",
                                               "2 RUNNING, none, successful, final"};
  const Shape paused =
      With(Canary("20:2s,50:3s"), [](DeployRequest* r) { r->spec.stages[0].pause = true; });
  const Shape replaces = [](DeployRequest* r) { r->spec.queue = QueuePolicy::kReplace; };
  return {
      {.name = "by_hand",
       .asked = {Deploys(paused), Promotes(4 * kSecond, false),
                 Steers(5'500 * kMilli, &Controller::Pause),
                 Steers(7 * kSecond, &Controller::Resume)},
       .path = {"2 ValidationPassed", "2 Prepared", "2 StageElapsed", "2 Promote", "2 Pause",
                "2 Resume", "2 StageElapsed", "2 CleanupElapsed", "1 Superseded", "1 Drained"},
       .end = serves},
      {.name = "promoted_in_full",
       .asked = {Deploys(Canary("20:9s,50:9s")), Promotes(1'500 * kMilli, true)},
       .path = {"2 ValidationPassed", "2 Prepared", "2 Promote", "2 CleanupElapsed", "1 Superseded",
                "1 Drained"},
       .end = {"1 DRAINING, superseded, none, drained", "2 RUNNING, none, none, final"}},
      {.name = "aborted",
       .asked = {Deploys(Canary("20:9s")), Steers(1'500 * kMilli, &Controller::Abort)},
       .path = {"2 ValidationPassed", "2 Prepared", "2 Abort"},
       .end = {"2 ROLLED_BACK, abort, none, withdrawn"}},
      {.name = "rolled_back_in_the_window",
       .asked = {Deploys(AsIs), RollsBack(1'500 * kMilli, 0)},
       .path = {"2 ValidationPassed", "2 Prepared", "2 Rollback"},
       .end = {"2 ROLLED_BACK, rollback, none, withdrawn"},
       .keys = 7},
      {.name = "rolled_back_with_a_drain",
       .asked = {Deploys(Canary("50:9s")), RollsBack(1'510 * kMilli, kSecond)},
       .path = {"2 ValidationPassed", "2 Prepared", "2 Rollback", "2 Drained"},
       .end = {"2 ROLLED_BACK, rollback, none, withdrawn"}},
      {.name = "another_waits",
       .asked = {Deploys(Canary("20:2s")), Deploys(AsIs, kSecond, 2)},
       .path = {"2 ValidationPassed", "2 Prepared", "2 StageElapsed", "3 Dequeued",
                "3 ValidationPassed", "2 CleanupElapsed", "1 Superseded", "3 Prepared", "1 Drained",
                "3 CleanupElapsed", "2 Superseded", "2 Drained"},
       .end = {"1 DRAINING, superseded, none, drained",
               "2 DRAINING, superseded, successful, drained", "3 RUNNING, none, none, final"}},
      {.name = "another_replaces_it",
       .asked = {Deploys(Canary("20:9s")), Deploys(replaces, kSecond, 2)},
       .path = {"2 ValidationPassed", "2 Prepared", "2 Abort", "3 Dequeued", "3 ValidationPassed",
                "3 Prepared", "3 CleanupElapsed", "1 Superseded", "1 Drained"},
       .end = {"1 DRAINING, superseded, none, drained", "2 ROLLED_BACK, abort, none, withdrawn",
               "3 RUNNING, none, none, final"}},
      {.name = "history_replayed",
       .asked = {Deploys([](DeployRequest* r) { r->spec.history = 20; })},
       .path = {"2 HistoryReplayed", "2 Prepared", "2 CleanupElapsed", "1 Superseded", "1 Drained"},
       .end = {"1 DRAINING, superseded, none, drained", "2 RUNNING, none, none, final"},
       .keys = 7},
  };
}

}  // namespace

std::vector<Scenario> CrashScenarios() {
  std::vector<Scenario> all;
  for (auto& part : {Strategies(), Failures(), Commands()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace caxton::controller::testing
