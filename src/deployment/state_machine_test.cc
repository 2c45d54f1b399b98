// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/state_machine.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "caxton/base/status.h"
#include "caxton/deployment/limits.h"
#include "caxton/model/limits.h"
#include "deployment_test_util.h"

namespace caxton::deployment {
namespace {

using State = DeploymentState;

// ---- Every state and every event.

enum class Case {
  kQueued,
  kValidating,
  kPreparing,
  kPreparingFirst,
  kStage,
  kPausedByCommand,
  kPausedAtEnd,
  kPausedInconclusive,
  kPausedJudgeError,
  kDivertedStage,
  kWindow,
  kWindowUnjudged,
  kDivertedWindow,
  kFinalized,
  kFirstRunning,
  kDraining,
  kDrained,
  kFailed,
  kRolledBack,
  kAborted,
  kCount,
};

DeploymentStatus StatusOf(Case c) {
  switch (c) {
    case Case::kQueued:
      return After(Fresh(), {Created{.queued = true}});
    case Case::kValidating:
      return After(Fresh(), {Created{}});
    case Case::kPreparing:
      return After(StatusOf(Case::kValidating), {ValidationPassed{}});
    case Case::kPreparingFirst:
      return After(Fresh(/*stable=*/0), {Created{}, ValidationPassed{}});
    case Case::kStage:
      return After(StatusOf(Case::kPreparing), {Prepared{}});
    case Case::kPausedByCommand:
      return After(StatusOf(Case::kStage), {Pause{5 * kTestSecond}});
    case Case::kPausedAtEnd: {
      DeploymentStatus s = Fresh();
      s.plan.stages[0].pause = true;
      return After(s,
                   {Created{}, ValidationPassed{}, Prepared{}, StageElapsed{kTestStage, Passed()}});
    }
    case Case::kPausedInconclusive:
      return After(StatusOf(Case::kStage), {StageElapsed{2 * kTestStage, TooFew()}});
    case Case::kPausedJudgeError:
      return After(StatusOf(Case::kStage), {JudgeVerdict{{VerdictKind::kError, "broken"}}});
    case Case::kDivertedStage:
      return After(StatusOf(Case::kStage), {Rollback{kTestSecond}});
    case Case::kWindow:
      return After(StatusOf(Case::kStage), {Promote{0}, Promote{1}});
    case Case::kWindowUnjudged:
      return After(StatusOf(Case::kStage), {Promote{0, true}});
    case Case::kDivertedWindow:
      return After(StatusOf(Case::kWindow), {Rollback{kTestSecond}});
    case Case::kFinalized:
      return After(StatusOf(Case::kWindow), {CleanupElapsed{}});
    case Case::kFirstRunning:
      return After(StatusOf(Case::kPreparingFirst), {Prepared{}});
    case Case::kDraining:
      return After(StatusOf(Case::kFinalized), {Superseded{}});
    case Case::kDrained:
      return After(StatusOf(Case::kDraining), {Drained{}});
    case Case::kFailed:
      return After(StatusOf(Case::kValidating), {ValidationFailed{"no"}});
    case Case::kRolledBack:
      return After(StatusOf(Case::kStage), {Rollback{}});
    case Case::kAborted:
      return After(StatusOf(Case::kStage), {Abort{}});
    case Case::kCount:
      break;
  }
  return {};
}

std::vector<Event> AllEvents() {
  return {Created{},
          Dequeued{{AgentId(1), RevisionNumber(1)}, Fresh().plan},
          ValidationPassed{},
          ValidationFailed{"v"},
          Prepared{},
          PrepareFailed{"p"},
          StageElapsed{kTestStage, Passed()},
          Ticked{1},
          Promote{0},
          Pause{},
          Resume{},
          Abort{},
          Rollback{},
          JudgeVerdict{{VerdictKind::kFailed, "bad"}},
          CleanupElapsed{},
          Superseded{},
          Drained{},
          Recovered{},
          HistoryReplayed{{VerdictKind::kSuccessful, "h"}}};
}

// One letter per event, in the order of AllEvents: V D R G F B the state it leads to (VALIDATING,
// DEPLOYING, RUNNING, DRAINING, FAILED, ROLLED_BACK); '=' accepted, state stays; '-' refused.
constexpr std::string_view kExpected[] = {
    //                        CDVVPPSTPPRARJCSDRH
    /* queued */ "-=---------BB----=-",
    /* validating */ "--DF-------BB----=D",
    /* preparing */ "----=B-----BB----=-",
    /* preparing first */ "----RF-----FF----=-",
    /* stage */ "-----B=====BBB---=-",
    /* paused by command */ "-----B--===BBB---=-",
    /* paused at end */ "-----B--==-BBB---=-",
    /* paused inconclusive */ "-----B--===BBB---=-",
    /* paused, judge error */ "-----B--===BBB---=-",
    /* diverted stage */ "-----B-----BB---BB-",
    /* window */ "-----B-==---BB=G-=-",
    /* window unjudged */ "-----B-==---B-=G-=-",
    /* diverted window */ "-----B------B---BB-",
    /* finalized */ "--------=-----=G-=-",
    /* first, running */ "--------------=G-=-",
    /* draining */ "----------------==-",
    /* drained */ "-----------------=-",
    /* failed */ "-----------------=-",
    /* rolled back */ "------------=----=-",
    /* aborted */ "-----------==----=-",
};

TEST(StateMachine, EveryStateAndEvent) {
  static_assert(std::size(kExpected) == static_cast<size_t>(Case::kCount));
  constexpr std::string_view kLetters = "VDRGFB";
  const std::vector<Event> events = AllEvents();
  ASSERT_EQ(events.size(), std::variant_size_v<Event>);
  for (size_t c = 0; c < std::size(kExpected); ++c) {
    const DeploymentStatus before = StatusOf(static_cast<Case>(c));
    ASSERT_EQ(kExpected[c].size(), events.size());
    std::string got;
    for (const Event& event : events) {
      const auto transition = Apply(before, event, 2);
      if (!transition.ok()) {
        EXPECT_EQ(transition.status().code(), absl::StatusCode::kFailedPrecondition);
        EXPECT_FALSE(ReasonOf(transition.status()).empty());
        got += '-';
        continue;
      }
      const State after = transition->status.state;
      if (after == before.state) {
        got += '=';
      } else {
        EXPECT_TRUE(IsLegal(before.state, after));
        got += kLetters[static_cast<size_t>(after)];
      }
      EXPECT_EQ(transition->changed || transition->status == before, true) << EventName(event);
      EXPECT_EQ(transition->withdrawal, Has<Withdraw>(*transition)) << EventName(event);
      EXPECT_EQ(transition->withdrawal, transition->status.withdrawn && !before.withdrawn);
      if (transition->withdrawal) {
        EXPECT_EQ(transition->effects.front().index(), Effect(Withdraw{}).index());
      }
    }
    EXPECT_EQ(got, kExpected[c]) << "row " << c;
  }
}

TEST(StateMachine, TheTableIsThePublishedOne) {
  const std::pair<State, std::vector<State>> legal[] = {
      {State::kValidating, {State::kDeploying, State::kFailed, State::kRolledBack}},
      {State::kDeploying, {State::kRunning, State::kDraining, State::kRolledBack, State::kFailed}},
      {State::kRunning, {State::kDraining, State::kRolledBack}},
      {State::kDraining, {}},
      {State::kFailed, {}},
      {State::kRolledBack, {}}};
  for (const auto& [from, to] : legal) {
    for (int i = 0; i < kDeploymentStateCount; ++i) {
      const auto state = static_cast<State>(i);
      EXPECT_EQ(IsLegal(from, state), std::find(to.begin(), to.end(), state) != to.end());
    }
  }
}

// ---- The ways through.

TEST(StateMachine, AReplayOfHistoryEndsValidation) {
  const DeploymentStatus s = StatusOf(Case::kValidating);
  for (VerdictKind kind : {VerdictKind::kSuccessful, VerdictKind::kInconclusive}) {
    const Transition t = *Apply(s, HistoryReplayed{{kind, "text"}}, 2);
    EXPECT_EQ(t.status.state, State::kDeploying);
    EXPECT_EQ(t.status.history, (Verdict{kind, "text"}));
    EXPECT_EQ(Names(t), "Prepare NotifyWatchers");
  }
  const Transition t = *Apply(s, HistoryReplayed{{VerdictKind::kFailed, "3 of 50 failed"}}, 2);
  EXPECT_EQ(t.status.state, State::kFailed);
  EXPECT_EQ(t.status.cause, EndCause::kHistory);
  EXPECT_EQ(t.status.error, "3 of 50 failed");
  EXPECT_FALSE(t.withdrawal) << "it had nothing to give back";
  EXPECT_EQ(Names(t), "StopRevision RunNextQueued NotifyWatchers");
}

TEST(StateMachine, CanaryGoesUpStageByStage) {
  DeploymentStatus s = StatusOf(Case::kPreparing);
  Transition t = *Apply(s, Prepared{}, 2);
  EXPECT_EQ(Names(t), "StartJudge PublishRoute ArmStageTimer NotifyWatchers");
  EXPECT_EQ(Get<PublishRoute>(t).weight_ppm, 50'000u);
  EXPECT_EQ(Get<ArmStageTimer>(t).remaining_ns, kTestStage);
  t = *Apply(t.status, StageElapsed{kTestStage, Passed()}, 3);
  EXPECT_EQ(Names(t), "StopTimers PublishRoute ArmStageTimer NotifyWatchers");
  EXPECT_EQ(Get<PublishRoute>(t).weight_ppm, 250'000u);
  EXPECT_EQ(t.status.stage, 1u);
  t = *Apply(t.status, StageElapsed{kTestStage, Passed()}, 4);
  EXPECT_EQ(t.status.state, State::kRunning);
  EXPECT_EQ(Names(t), "StopTimers PublishRoute ArmCleanupTimer RunNextQueued NotifyWatchers");
  EXPECT_EQ(Get<PublishRoute>(t).weight_ppm, kFullWeightPpm);
  EXPECT_EQ(Get<PublishRoute>(t).stable, s.stable) << "stable stays beside a judged candidate";
  EXPECT_EQ(t.status.verdict.kind, VerdictKind::kSuccessful);
  EXPECT_EQ(t.status.verdict.text, "passed");
  EXPECT_EQ(t.status.running_ns, 4);
  t = *Apply(t.status, CleanupElapsed{}, 5);
  EXPECT_EQ(Names(t), "StopTimers StopJudge PublishRoute FinalizePrevious NotifyWatchers");
  EXPECT_EQ(Get<PublishRoute>(t).stable, s.candidate);
  EXPECT_EQ(Get<FinalizePrevious>(t).revision, s.stable);
  t = *Apply(t.status, Superseded{}, 6);
  EXPECT_EQ(Names(t), "DrainRevision NotifyWatchers");
  t = *Apply(t.status, Drained{}, 7);
  EXPECT_EQ(Names(t), "StopRevision NotifyWatchers");
  EXPECT_TRUE(t.status.final());
  EXPECT_EQ(t.status.ended_ns, 7);
}

TEST(StateMachine, FirstDeploymentSkipsStages) {
  const Transition t = *Apply(StatusOf(Case::kPreparingFirst), Prepared{}, 2);
  EXPECT_EQ(t.status.state, State::kRunning);
  EXPECT_TRUE(t.status.finalized);
  EXPECT_EQ(Names(t), "PublishRoute RunNextQueued NotifyWatchers");
  EXPECT_EQ(Get<PublishRoute>(t).stable, t.status.candidate);
  const absl::Status rollback = Apply(t.status, Rollback{}, 3).status();
  EXPECT_EQ(ReasonOf(rollback), "NO_STABLE");
}

TEST(StateMachine, JudgeTakesBackWithdrawalFirst) {
  const Transition t =
      *Apply(StatusOf(Case::kStage), JudgeVerdict{{VerdictKind::kFailed, "9 of 10 failed"}}, 2);
  EXPECT_EQ(Names(t), "Withdraw StopTimers StopJudge StopRevision RunNextQueued NotifyWatchers");
  EXPECT_EQ(Get<Withdraw>(t).restore, t.status.stable);
  EXPECT_EQ(t.status.cause, EndCause::kJudge);
  EXPECT_EQ(t.status.verdict.text, "9 of 10 failed");
  EXPECT_EQ(t.status.WeightPpm(), 0u);
}

// So that it can be made again: of the stage that it is about, also where that is over by then.
TEST(StateMachine, AVerdictTellsWhatItWasMadeFrom) {
  StageReport passed = Passed(), too_few = TooFew();
  passed.observations = too_few.observations = 700;
  passed.at_ms = too_few.at_ms = 9000;
  DeploymentStatus s = StatusOf(Case::kStage);
  const DeploymentStatus undecided = After(s, {StageElapsed{2 * kTestStage, too_few}});
  EXPECT_EQ(undecided.verdict.basis, (VerdictBasis{700, 9000, VerdictMoment::kStageEnd, 0}));
  s = After(s, {StageElapsed{kTestStage, passed}});
  EXPECT_EQ(s.verdict.basis, VerdictBasis{}) << "of the next stage nothing is said yet";
  const DeploymentStatus full = After(s, {StageElapsed{kTestStage, passed}});
  EXPECT_EQ(full.verdict.basis, (VerdictBasis{700, 9000, VerdictMoment::kStageEnd, 1}));
  s.plan.promote = PromoteWhen::kEarly;
  const DeploymentStatus early = After(s, {StageElapsed{1, passed, true}});
  EXPECT_EQ(early.verdict.basis, (VerdictBasis{700, 9000, VerdictMoment::kEarly, 1}));
  const Verdict failed{VerdictKind::kFailed, "bad", {.observations = 800, .at_ms = 9100}};
  EXPECT_EQ(After(full, {JudgeVerdict{failed}}).verdict, failed);
  const DeploymentStatus direct = After(s, {Promote{1}});
  EXPECT_EQ(direct.verdict, Verdict{}) << "a person's doing";
  EXPECT_EQ(After(direct, {CleanupElapsed{passed}}).verdict.basis,
            (VerdictBasis{700, 9000, VerdictMoment::kStageEnd, 2}));
}

TEST(StateMachine, ARecordsTextIsComparedAsItIsCut) {
  const Verdict failed{VerdictKind::kFailed, std::string(kMaxRecordTextBytes + 9, 'x')};
  const Verdict recorded = After(StatusOf(Case::kStage), {JudgeVerdict{failed}}).verdict;
  EXPECT_LT(recorded.text.size(), failed.text.size());
  EXPECT_TRUE(SaysTheSame(recorded, failed));
  EXPECT_FALSE(SaysTheSame(recorded, {VerdictKind::kFailed, "y"}));
  EXPECT_FALSE(SaysTheSame(recorded, {VerdictKind::kSuccessful, failed.text}));
}

TEST(StateMachine, JudgeStillWatchesAPausedStage) {
  for (Case c : {Case::kPausedByCommand, Case::kPausedAtEnd, Case::kPausedInconclusive}) {
    EXPECT_EQ(Apply(StatusOf(c), JudgeVerdict{{VerdictKind::kFailed, "x"}}, 2)->status.state,
              State::kRolledBack);
  }
}

TEST(StateMachine, PauseKeepsTheElapsedTime) {
  const DeploymentStatus paused = StatusOf(Case::kPausedByCommand);
  EXPECT_EQ(paused.stage_elapsed_ns, 5 * kTestSecond);
  EXPECT_FALSE(Apply(paused, Ticked{6 * kTestSecond}, 2).ok()) << "the clock stands";
  const Transition t = *Apply(paused, Resume{}, 2);
  EXPECT_EQ(Get<ArmStageTimer>(t).remaining_ns, kTestStage - 5 * kTestSecond);
  EXPECT_FALSE(Apply(paused, Pause{9 * kTestSecond}, 2)->changed);
}

TEST(StateMachine, UndecidedStageExtendsToTwiceThenPauses) {
  DeploymentStatus s = StatusOf(Case::kStage);
  int64_t elapsed = kTestStage;
  int extensions = 0;
  while (true) {
    const Transition t = *Apply(s, StageElapsed{elapsed, TooFew()}, 2);
    s = t.status;
    if (s.paused != PauseReason::kNone) break;
    ++extensions;
    elapsed += Get<ArmStageTimer>(t).remaining_ns;
    ASSERT_LE(elapsed, 2 * kTestStage);
  }
  EXPECT_EQ(extensions, 4);
  EXPECT_EQ(elapsed, 2 * kTestStage);
  EXPECT_EQ(s.paused, PauseReason::kInconclusive);
  EXPECT_EQ(s.verdict.kind, VerdictKind::kInconclusive);
  EXPECT_EQ(s.verdict.text, "too few");
  const Transition again = *Apply(s, Resume{}, 3);
  EXPECT_EQ(Get<ArmStageTimer>(again).remaining_ns, kTestStage)
      << "the stage gets its time once more";
  EXPECT_EQ(again.status.verdict.kind, VerdictKind::kNone);
}

TEST(StateMachine, ExtendedStageAdvancesAsSoonAsItIsDecided) {
  Transition t = *Apply(StatusOf(Case::kStage), StageElapsed{kTestStage, TooFew()}, 2);
  t = *Apply(t.status, StageElapsed{kTestStage * 5 / 4, Passed()}, 3);
  EXPECT_EQ(t.status.stage, 1u);
}

TEST(StateMachine, OnInconclusiveIsObeyed) {
  DeploymentStatus s = StatusOf(Case::kStage);
  s.plan.on_inconclusive = OnInconclusive::kRollback;
  Transition t = *Apply(s, StageElapsed{2 * kTestStage, TooFew()}, 2);
  EXPECT_EQ(t.status.state, State::kRolledBack);
  EXPECT_EQ(t.status.cause, EndCause::kInconclusive);
  EXPECT_TRUE(t.withdrawal);
  s.plan.on_inconclusive = OnInconclusive::kPromote;
  t = *Apply(s, StageElapsed{2 * kTestStage, TooFew()}, 2);
  EXPECT_EQ(t.status.stage, 1u);
  EXPECT_EQ(t.status.verdict.kind, VerdictKind::kNone) << "the new stage is judged anew";
  t = *Apply(s, JudgeVerdict{{VerdictKind::kError, "x"}}, 2);
  EXPECT_EQ(t.status.paused, PauseReason::kJudgeError) << "a broken judge promotes nothing";
}

TEST(StateMachine, EarlyTimerDecidesNothing) {
  const Transition t = *Apply(StatusOf(Case::kStage), StageElapsed{kTestStage - 1, Passed()}, 2);
  EXPECT_EQ(t.status.stage, 0u);
  EXPECT_EQ(Get<ArmStageTimer>(t).remaining_ns, 1);
}

TEST(StateMachine, PromoteNamesTheStageItLeaves) {
  const DeploymentStatus s = StatusOf(Case::kStage);
  const Transition once = *Apply(s, Promote{0}, 2);
  EXPECT_EQ(once.status.stage, 1u);
  const Transition repeat = *Apply(once.status, Promote{0}, 3);
  EXPECT_FALSE(repeat.changed);
  EXPECT_TRUE(repeat.effects.empty());
  EXPECT_EQ(ReasonOf(Apply(s, Promote{1}, 2).status()), "WRONG_STAGE");
}

TEST(StateMachine, PromoteFullSkipsStagesAndJudge) {
  const Transition t = *Apply(StatusOf(Case::kStage), Promote{0, true}, 2);
  EXPECT_EQ(t.status.state, State::kRunning);
  EXPECT_EQ(Names(t),
            "StopTimers StopJudge PublishRoute ArmCleanupTimer RunNextQueued NotifyWatchers");
  EXPECT_EQ(Get<PublishRoute>(t).stable, t.status.candidate);
  EXPECT_FALSE(t.status.judged());
  EXPECT_TRUE(Apply(t.status, Rollback{}, 3)->withdrawal) << "the way back is open through cleanup";
}

TEST(StateMachine, RollbackWithDrainDivertsThenWithdraws) {
  Transition t = *Apply(StatusOf(Case::kStage), Rollback{3 * kTestSecond}, 2);
  EXPECT_EQ(Names(t), "StopTimers StopJudge PublishRoute DrainRevision NotifyWatchers");
  EXPECT_FALSE(t.withdrawal);
  EXPECT_EQ(t.status.WeightPpm(), 0u);
  EXPECT_EQ(Get<DrainRevision>(t).limit_ns, 3 * kTestSecond);
  const Transition drained = *Apply(t.status, Drained{}, 3);
  EXPECT_EQ(drained.status.state, State::kRolledBack);
  EXPECT_TRUE(drained.withdrawal);
  const Transition crash = *Apply(t.status, Recovered{}, 3);
  EXPECT_EQ(crash.status.state, State::kRolledBack);
  const Transition hurry = *Apply(t.status, Rollback{}, 3);
  EXPECT_EQ(hurry.status.state, State::kRolledBack);
}

TEST(StateMachine, QueuedStartsWithThePlanOfThen) {
  DeploymentStatus s = After(Fresh(/*stable=*/0), {Created{.queued = true}});
  DeploymentPlan plan = Fresh().plan;
  const Transition t = *Apply(s, Dequeued{{AgentId(1), RevisionNumber(6)}, plan}, 2);
  EXPECT_EQ(Names(t), "Validate NotifyWatchers");
  EXPECT_EQ(t.status.stable.number, RevisionNumber(6));
  EXPECT_EQ(t.status.plan, plan);
  EXPECT_EQ(Names(*Apply(s, Abort{}, 2)), "RunNextQueued NotifyWatchers")
      << "nothing was started for it";
}

TEST(StateMachine, CleanupVerdictNeedsEvidence) {
  DeploymentStatus s = StatusOf(Case::kWindow);
  EXPECT_EQ(Apply(s, CleanupElapsed{Passed()}, 2)->status.verdict.kind, VerdictKind::kSuccessful);
  EXPECT_EQ(Apply(s, CleanupElapsed{TooFew()}, 2)->status.verdict.kind, VerdictKind::kInconclusive);
  EXPECT_EQ(Apply(s, CleanupElapsed{}, 2)->status.verdict.kind, VerdictKind::kNone);
}

TEST(StateMachine, RecoveryRepublishesTheSame) {
  DeploymentStatus s = Apply(StatusOf(Case::kStage), Ticked{7 * kTestSecond}, 2)->status;
  Transition t = *Apply(s, Recovered{}, 3);
  EXPECT_EQ(Names(t), "StartRevision StartRevision StartJudge PublishRoute ArmStageTimer");
  EXPECT_EQ(Get<PublishRoute>(t).weight_ppm, 50'000u);
  EXPECT_EQ(Get<ArmStageTimer>(t).remaining_ns, kTestStage - 7 * kTestSecond);
  EXPECT_EQ(t.status, s);
  EXPECT_FALSE(Has<ArmStageTimer>(*Apply(StatusOf(Case::kPausedByCommand), Recovered{}, 3)));
  EXPECT_EQ(Names(*Apply(StatusOf(Case::kValidating), Recovered{}, 3)), "Validate");
  EXPECT_EQ(Names(*Apply(StatusOf(Case::kPreparing), Recovered{}, 3)), "Prepare");
  EXPECT_EQ(Names(*Apply(StatusOf(Case::kQueued), Recovered{}, 3)), "");
  EXPECT_EQ(Names(*Apply(StatusOf(Case::kWindow), Recovered{}, 3)),
            "StartRevision StartRevision StartJudge PublishRoute ArmCleanupTimer");
  EXPECT_EQ(Names(*Apply(StatusOf(Case::kFinalized), Recovered{}, 3)),
            "StartRevision PublishRoute");
  EXPECT_EQ(Names(*Apply(StatusOf(Case::kRolledBack), Recovered{}, 3)), "");
}

TEST(StateMachine, TextsAreBounded) {
  const std::string text(kMaxRecordTextBytes + 100, 'x');
  EXPECT_EQ(Apply(StatusOf(Case::kValidating), ValidationFailed{text}, 2)->status.error.size(),
            kMaxRecordTextBytes);
  EXPECT_EQ(Apply(StatusOf(Case::kStage), JudgeVerdict{{VerdictKind::kFailed, text}}, 2)
                ->status.verdict.text.size(),
            kMaxRecordTextBytes);
}

TEST(StateMachine, NamesOfAllEventsAndEffects) {
  for (const Event& event : AllEvents()) EXPECT_FALSE(EventName(event).empty());
  EXPECT_EQ(EventName(Recovered{}), "Recovered");
  EXPECT_EQ(EventName(StageElapsed{}), "StageElapsed");
  EXPECT_EQ(EffectName(RunNextQueued{}), "RunNextQueued");
  EXPECT_EQ(EffectName(ArmCleanupTimer{}), "ArmCleanupTimer");
}

DeploymentStatus BlueGreen(bool pause) {
  DeploymentStatus s = Fresh();
  s.plan.strategy = Strategy::kBlueGreen;
  s.plan.conditions.clear();
  s.plan.stages = {{.duration_ns = kTestStage, .pause = pause, .role = StageRole::kPreview}};
  return After(s, {Created{}, ValidationPassed{}});
}

TEST(StateMachine, BlueGreenWaitsWarmWithoutTrafficThenSwitchesAtOnce) {
  const Transition waiting = *Apply(BlueGreen(false), Prepared{}, 1);
  EXPECT_EQ(waiting.status.WeightPpm(), 0u);
  EXPECT_EQ(waiting.status.Role(), StageRole::kPreview);
  EXPECT_EQ(Get<PublishRoute>(waiting).candidate, waiting.status.candidate);
  EXPECT_EQ(Get<PublishRoute>(waiting).role, StageRole::kPreview);
  const Transition switched = *Apply(waiting.status, StageElapsed{kTestStage, {}}, 2);
  EXPECT_EQ(switched.status.state, DeploymentState::kRunning);
  EXPECT_EQ(Get<PublishRoute>(switched).stable, switched.status.candidate);
  EXPECT_TRUE(Has<ArmCleanupTimer>(switched));
  DeploymentStatus judged = BlueGreen(false);
  judged.plan.conditions = {{MetricKind::kErrorRate, 0.01}};
  judged = After(judged, {Prepared{}, StageElapsed{kTestStage, TooFew()}});
  EXPECT_EQ(judged.state, DeploymentState::kRunning);
  EXPECT_EQ(judged.verdict.kind, VerdictKind::kNone) << "no message has reached it yet";
  const DeploymentStatus manual =
      After(BlueGreen(true), {Prepared{}, StageElapsed{kTestStage, {}}});
  EXPECT_EQ(manual.paused, PauseReason::kStageEnd);
  EXPECT_EQ(manual.verdict.kind, VerdictKind::kNone);
  EXPECT_EQ(After(manual, {Promote{0}}).state, DeploymentState::kRunning);
}

TEST(StateMachine, FailedWarmUpTouchesNothing) {
  const Transition failed = *Apply(BlueGreen(false), PrepareFailed{"no worker"}, 1);
  EXPECT_EQ(failed.status.state, DeploymentState::kRolledBack);
  EXPECT_FALSE(Has<PublishRoute>(failed));
  EXPECT_FALSE(Has<Withdraw>(failed));
}

DeploymentStatus Shadow() {
  DeploymentStatus s = Fresh();
  s.plan.strategy = Strategy::kShadow;
  s.plan.conditions = {{MetricKind::kDiffers, 0.01}};
  s.plan.stages = {{.duration_ns = kTestStage, .min_samples = 1, .role = StageRole::kShadow}};
  return After(s, {Created{}, ValidationPassed{}, Prepared{}});
}

TEST(StateMachine, ShadowEndsByDraining) {
  EXPECT_TRUE(Shadow().judged());
  const Transition over = *Apply(Shadow(), StageElapsed{kTestStage, Passed()}, 2);
  EXPECT_EQ(over.status.state, DeploymentState::kDraining);
  EXPECT_EQ(over.status.cause, EndCause::kShadowOver);
  EXPECT_EQ(over.status.verdict.kind, VerdictKind::kSuccessful);
  EXPECT_EQ(Names(over),
            "StopTimers StopJudge PublishRoute DrainRevision RunNextQueued NotifyWatchers");
  EXPECT_FALSE(Get<PublishRoute>(over).candidate.number.valid());
  const DeploymentStatus ended = After(over.status, {Drained{}});
  EXPECT_TRUE(ended.final());
}

TEST(StateMachine, ShadowWithoutMessagesIsInconclusiveAndOneThatDiffersIsTakenBack) {
  const Transition nothing = *Apply(Shadow(), StageElapsed{kTestStage, TooFew()}, 2);
  EXPECT_EQ(nothing.status.state, DeploymentState::kDraining);
  EXPECT_EQ(nothing.status.verdict.kind, VerdictKind::kInconclusive);
  const Transition differs =
      *Apply(Shadow(), StageElapsed{kTestStage, {true, false, "2% differ"}}, 2);
  EXPECT_EQ(differs.status.state, DeploymentState::kRolledBack);
  EXPECT_TRUE(differs.withdrawal);
  EXPECT_EQ(differs.status.verdict.kind, VerdictKind::kFailed);
}

TEST(StateMachine, PromotedShadowServesWithACleanupWindow) {
  const Transition t = *Apply(Shadow(), Promote{0}, 2);
  EXPECT_EQ(t.status.state, DeploymentState::kRunning);
  EXPECT_FALSE(t.status.judged());
  EXPECT_TRUE(Has<StopJudge>(t));
  EXPECT_TRUE(Has<ArmCleanupTimer>(t));
  EXPECT_EQ(Get<PublishRoute>(t).stable, t.status.candidate);
  EXPECT_EQ(After(t.status, {Rollback{}}).state, DeploymentState::kRolledBack);
}

TEST(StateMachine, EveryChangeButTheClocksIsAnotherGeneration) {
  const DeploymentStatus s = StatusOf(Case::kStage);
  EXPECT_EQ(Apply(s, Ticked{kTestSecond}, 1'000'000)->status.generation, s.generation);
  EXPECT_EQ(Apply(s, Resume{}, 1'000'000)->status.generation, s.generation) << "nothing changed";
  const DeploymentStatus paused = Apply(s, Pause{kTestSecond}, 1'000'000)->status;
  EXPECT_EQ(paused.generation, 1'000'000u) << "never used before, not even by what a crash took";
  EXPECT_EQ(Apply(paused, Resume{}, 5)->status.generation, 1'000'001u) << "the clock was set back";
  EXPECT_EQ(Apply(paused, Resume{}, -5)->status.generation, 1'000'001u);
}

TEST(StateMachine, EvidenceEndsAStageEarlyOnlyWhereAskedAndPassed) {
  DeploymentStatus s = After(Fresh(), {Created{}, ValidationPassed{}, Prepared{}});
  const StageElapsed early{kTestSecond, Passed(), true};
  EXPECT_EQ(Apply(s, early, 2)->status.stage, 0u);
  s.plan.promote = PromoteWhen::kEarly;
  EXPECT_EQ(Apply(s, early, 2)->status.stage, 1u);
  EXPECT_EQ(Apply(s, StageElapsed{kTestSecond, TooFew(), true}, 2)->status.stage, 0u);
}

}  // namespace
}  // namespace caxton::deployment
