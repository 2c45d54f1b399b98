// SPDX-License-Identifier: Apache-2.0
//
// Random events in random order, with crashes: what must hold of every deployment whatever happens
// to it.
#include <gtest/gtest.h>

#include <map>

#include "caxton/base/random.h"
#include "caxton/model/limits.h"
#include "deployment_test_util.h"

namespace caxton::deployment {
namespace {

Event RandomEvent(SeededRandom& random, const DeploymentStatus& s) {
  const int64_t elapsed = static_cast<int64_t>(random.Below(3 * kTestStage));
  const StageReport report{random.Below(2) == 0, random.Below(2) == 0, "report"};
  switch (random.Below(20)) {
    case 0:
      return Created{random.Below(2) == 0};
    case 1:
      return Dequeued{Fresh().stable, Fresh().plan};
    case 2:
      return ValidationPassed{};
    case 3:
      return random.Below(8) == 0 ? Event(ValidationFailed{"v"}) : Event(ValidationPassed{});
    case 4:
      return Prepared{};
    case 5:
      return random.Below(8) == 0 ? Event(PrepareFailed{"p"}) : Event(Prepared{});
    case 6:
      return StageElapsed{elapsed, report, random.Below(4) == 0};
    case 7:
      return Ticked{elapsed};
    case 8:
      return Promote{static_cast<uint32_t>(random.Below(3)), random.Below(4) == 0};
    case 9:
      return Pause{elapsed};
    case 10:
      return Resume{};
    case 11:
      return random.Below(8) == 0 ? Event(Abort{}) : Event(Resume{});
    case 12:
      return random.Below(8) == 0 ? Event(Rollback{elapsed}) : Event(Ticked{elapsed});
    case 13:
      return JudgeVerdict{{static_cast<VerdictKind>(random.Below(8) == 0 ? 2 : 1), "verdict"}};
    case 14:
      return CleanupElapsed{report};
    case 15:
      return Superseded{};
    case 16:
      return s.rolling_back || s.state == DeploymentState::kDraining ? Event(Drained{})
                                                                     : Event(Recovered{});
    case 17:
      return HistoryReplayed{{static_cast<VerdictKind>(random.Below(5)), "replay"}};
    default:
      return Recovered{};
  }
}

// The world as the effects leave it.
struct World {
  uint32_t share = 0;  // of the candidate
  bool withdrawn = false;
  int finals = 0;

  void Carry(const Transition& t) {
    const RevisionRef candidate = t.status.candidate;
    for (const Effect& effect : t.effects) {
      if (const auto* route = std::get_if<PublishRoute>(&effect)) {
        uint32_t next = 0;
        if (route->candidate == candidate) next = route->weight_ppm;
        if (route->stable == candidate) next = kFullWeightPpm;
        EXPECT_FALSE(withdrawn && next > 0) << "no route to a withdrawn revision, ever";
        EXPECT_TRUE(next >= share || next == 0) << "a weight never falls, but to nothing";
        EXPECT_TRUE(route->stable.number.valid());
        share = next;
      } else if (const auto* withdrawal = std::get_if<Withdraw>(&effect)) {
        EXPECT_EQ(withdrawal->revision, candidate);
        EXPECT_EQ(withdrawal->restore, t.status.stable);
        EXPECT_TRUE(withdrawal->restore.number.valid());
        EXPECT_FALSE(withdrawn) << "once";
        withdrawn = true;
        share = 0;
      }
    }
  }
};

void CheckStatus(const DeploymentStatus& s, const World& world) {
  EXPECT_EQ(s.withdrawn, world.withdrawn);
  if (s.withdrawn) {
    EXPECT_EQ(s.state, DeploymentState::kRolledBack);
  }
  EXPECT_LE(s.stage, s.plan.stages.size());
  if (s.paused != PauseReason::kNone) {
    EXPECT_EQ(s.state, DeploymentState::kDeploying);
  }
  if (s.queued) {
    EXPECT_EQ(s.state, DeploymentState::kValidating);
  }
  if (s.rolling_back) {
    EXPECT_TRUE(s.has_stable());
  }
  if (!s.final() && s.state != DeploymentState::kDraining) {
    EXPECT_EQ(s.WeightPpm(), world.share);
  }
  std::string bytes;
  EncodeStatus(s, &bytes);
  EXPECT_EQ(*DecodeStatus(bytes), s);
}

void CheckRecovery(const DeploymentStatus& s, World world) {
  std::string bytes;
  EncodeStatus(s, &bytes);
  const DeploymentStatus decoded = *DecodeStatus(bytes);
  const Transition t = *Apply(decoded, Recovered{}, 9);
  if (s.rolling_back) {
    EXPECT_TRUE(t.withdrawal);
    return;
  }
  EXPECT_EQ(t.status, s) << "recovery changes nothing";
  const uint32_t before = world.share;
  world.Carry(t);
  EXPECT_EQ(world.share, before);
  if (Has<ArmStageTimer>(t)) {
    EXPECT_EQ(Get<ArmStageTimer>(t).remaining_ns, s.RemainingNs());
  }
}

// Another strategy than the canary of Fresh().
void ChooseStrategy(SeededRandom& random, DeploymentStatus* s) {
  DeploymentPlan& plan = s->plan;
  if (!s->has_stable()) return;
  switch (random.Below(6)) {
    case 0:
      plan.strategy = Strategy::kBlueGreen;
      plan.stages = {
          {.duration_ns = kTestStage, .pause = random.Below(2) == 0, .role = StageRole::kPreview}};
      break;
    case 1:
      plan.strategy = Strategy::kShadow;
      plan.stages = {{.duration_ns = kTestStage, .min_samples = 1, .role = StageRole::kShadow}};
      break;
    case 2:
      plan.strategy = Strategy::kDirect;
      plan.stages.clear();
      break;
    case 3:
      plan.promote = PromoteWhen::kEarly;
      plan.compare_errors = true;
      break;
    default:
      break;
  }
}

TEST(StateMachineProperties, HoldWhateverHappens) {
  std::map<DeploymentState, int> ends;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SeededRandom random(seed);
    DeploymentStatus s = Fresh(seed % 5 == 0 ? 0 : 6);
    s.plan.on_inconclusive = static_cast<OnInconclusive>(random.Below(3));
    if (random.Below(3) == 0) s.plan.conditions.clear();
    ChooseStrategy(random, &s);
    if (s.plan.strategy == Strategy::kCanary && !s.plan.stages.empty()) {
      s.plan.stages[0].pause = random.Below(4) == 0;
    }
    World world;
    s = After(s, {Created{random.Below(2) == 0}});
    for (int step = 0; step < 60; ++step) {
      const Event event = RandomEvent(random, s);
      const auto t = Apply(s, event, step + 2);
      if (!t.ok()) continue;
      if (s.final()) {
        EXPECT_EQ(t->status, s) << "final states are final";
        EXPECT_TRUE(t->effects.empty());
      }
      if (t->status.state != s.state) {
        EXPECT_TRUE(IsLegal(s.state, t->status.state));
      }
      if (!t->changed) {
        EXPECT_EQ(t->status, s);
      }
      world.Carry(*t);
      s = t->status;
      CheckStatus(s, world);
      CheckRecovery(s, world);
      if (::testing::Test::HasFailure()) {
        FAIL() << "seed " << seed << " step " << step << " " << EventName(event);
      }
    }
    ++ends[s.state];
  }
  for (DeploymentState state : {DeploymentState::kRunning, DeploymentState::kDraining,
                                DeploymentState::kFailed, DeploymentState::kRolledBack}) {
    EXPECT_GT(ends[state], 20) << DeploymentStateName(state)
                               << " is hardly reached: the test tests little";
  }
}

}  // namespace
}  // namespace caxton::deployment
