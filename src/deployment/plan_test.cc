// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/plan.h"

#include <gtest/gtest.h>

#include "caxton/base/random.h"
#include "caxton/base/status.h"
#include "caxton/deployment/limits.h"
#include "caxton/deployment/status.h"
#include "caxton/model/limits.h"
#include "deployment_test_util.h"

namespace caxton::deployment {
namespace {

DeploymentSpec Canary(std::string_view stages = "5,25,50") {
  DeploymentSpec spec;
  spec.strategy = Strategy::kCanary;
  spec.stages = *ParseStages(stages);
  return spec;
}
absl::StatusOr<DeploymentPlan> Resolve(const DeploymentSpec& spec, bool has_stable = true,
                                       int64_t scale = 1) {
  return ResolvePlan(spec, {.has_stable = has_stable, .time_scale = scale});
}
std::string Why(const DeploymentSpec& spec) {
  return std::string(Resolve(spec).status().message());
}
bool Contains(std::string_view text, std::string_view part) { return StrContains(text, part); }

TEST(Plan, CanaryDefaults) {
  const DeploymentPlan plan = *Resolve(Canary());
  EXPECT_EQ(DescribeStages(plan), "5% for 5m, 25% for 10m, 50% for 10m, full");
  EXPECT_EQ(plan.stages[0].min_samples, 100);
  EXPECT_EQ(plan.conditions, (std::vector<Condition>{{MetricKind::kErrorRate, 0.05}}));
  EXPECT_EQ(plan.cleanup_ns, 300 * kTestSecond);
  EXPECT_EQ(plan.validate_limit_ns, 30 * kTestSecond);
  DeploymentSpec bare;
  bare.strategy = Strategy::kCanary;
  EXPECT_EQ(DescribeStages(*Resolve(bare)), "5% for 5m, 25% for 10m, 50% for 10m, full");
}

TEST(Plan, DirectIsJudgedOnlyIfAsked) {
  DeploymentSpec spec;
  EXPECT_TRUE(Resolve(spec)->conditions.empty());
  EXPECT_EQ(DescribeStages(*Resolve(spec)), "full");
  spec.rollback_on = {*ParseCondition("error_rate > 2%")};
  EXPECT_EQ(Resolve(spec)->conditions.size(), 1u);
}

TEST(Plan, FirstDeploymentSkipsStagesAndSaysSo) {
  const DeploymentPlan plan = *Resolve(Canary(), false);
  EXPECT_TRUE(plan.stages.empty());
  EXPECT_TRUE(plan.conditions.empty());
  ASSERT_GE(plan.notes.size(), 2u);
  EXPECT_TRUE(Contains(plan.notes[plan.notes.size() - 2], "skipped"));
  EXPECT_TRUE(Contains(plan.notes.back(), "nothing to roll back to"));
}

TEST(Plan, TimeScaleDividesStagesOnly) {
  DeploymentSpec spec = Canary("5:5m");
  spec.cleanup_ns = 100 * kTestSecond;
  StageSpec warm{.kind = StageKind::kWarmUp, .duration_ns = 60 * kTestSecond, .hold = true};
  spec.stages.insert(spec.stages.begin(), warm);
  const DeploymentPlan plan = *Resolve(spec, true, 60);
  ASSERT_EQ(plan.stages.size(), 2u);
  EXPECT_EQ(plan.stages[0].role, StageRole::kPreview);
  EXPECT_EQ(plan.stages[0].duration_ns, kTestSecond);
  EXPECT_EQ(plan.stages[1].duration_ns, 5 * kTestSecond);
  EXPECT_EQ(plan.warm_up_limit_ns, kDefaultWarmUpLimitNs);
  EXPECT_EQ(plan.cleanup_ns, 100 * kTestSecond);
  EXPECT_EQ(Resolve(Canary("5:2ms"), true, kMaxTimeScale)->stages[0].duration_ns, kMinStageNs);
  EXPECT_FALSE(Resolve(spec, true, 0).ok());
  EXPECT_FALSE(Resolve(spec, true, kMaxTimeScale + 1).ok());
}

TEST(Plan, BlueGreenWaitsOnPurposeOnly) {
  DeploymentSpec spec;
  spec.strategy = Strategy::kBlueGreen;
  EXPECT_TRUE(Resolve(spec)->stages.empty());
  spec.stages = {{.kind = StageKind::kWarmUp, .duration_ns = 60 * kTestSecond},
                 {.kind = StageKind::kSwitch}};
  EXPECT_TRUE(Resolve(spec)->stages.empty());
  EXPECT_EQ(Resolve(spec)->warm_up_limit_ns, 60 * kTestSecond);
  spec.stages[0].hold = true;
  EXPECT_EQ(
      Resolve(spec)->stages,
      std::vector<StagePlan>({{.duration_ns = 60 * kTestSecond, .role = StageRole::kPreview}}));
  spec.stages[1].pause = true;
  ASSERT_EQ(Resolve(spec)->stages.size(), 1u);
  EXPECT_TRUE(Resolve(spec)->stages[0].pause);
  EXPECT_EQ(DescribeStages(*Resolve(spec)), "warm and waiting for 1m then promote, full");
  spec.stages.erase(spec.stages.begin());
  EXPECT_EQ(DescribeStages(*Resolve(spec)), "warm and waiting until promote, full");
  EXPECT_TRUE(Resolve(spec, false)->stages.empty());
}

TEST(Plan, PreviewWaitsBeforeTheFirstStageOfAnyStrategy) {
  DeploymentSpec spec = Canary("5:5m");
  spec.preview = true;
  const DeploymentPlan plan = *Resolve(spec);
  ASSERT_EQ(plan.stages.size(), 2u);
  EXPECT_EQ(plan.stages[0].role, StageRole::kPreview);
  EXPECT_TRUE(plan.stages[0].pause);
  EXPECT_EQ(plan.stages[1].weight_ppm, 50'000u);
  spec = {};
  spec.preview = true;
  EXPECT_EQ(DescribeStages(*Resolve(spec)), "warm and waiting until promote, full");
  spec.strategy = Strategy::kShadow;
  EXPECT_TRUE(Contains(Why(spec), "no preview"));
}

TEST(Plan, Shadow) {
  DeploymentSpec spec;
  spec.strategy = Strategy::kShadow;
  const DeploymentPlan plain = *Resolve(spec);
  ASSERT_EQ(plain.stages.size(), 1u);
  EXPECT_EQ(plain.stages[0].role, StageRole::kShadow);
  EXPECT_EQ(plain.stages[0].duration_ns, kDefaultShadowNs);
  EXPECT_EQ(plain.sample_ppm, kFullWeightPpm);
  EXPECT_TRUE(plain.compare.outputs && plain.compare.performance && plain.compare.resources);
  EXPECT_EQ(DescribeStages(plain), "shadow of 100% for 10m");
  const absl::Status alone = Resolve(spec, false).status();
  EXPECT_EQ(alone.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(alone), "NO_STABLE");
  EXPECT_FALSE(FixOf(alone).empty());

  spec.shadow_compare = {"resource_usage"};
  spec.shadow_sample_ppm = 10'000;
  spec.shadow_secondary = true;
  spec.shadow_fail_on = {*ParseCondition("differs > 1%"), *ParseCondition("fuel_ratio > 2")};
  const DeploymentPlan plan = *Resolve(spec);
  EXPECT_FALSE(plan.compare.outputs || plan.compare.performance);
  EXPECT_TRUE(plan.compare.resources && plan.secondary);
  EXPECT_EQ(plan.sample_ppm, 10'000u);
  EXPECT_EQ(plan.conditions, spec.shadow_fail_on);

  spec.shadow_compare = {"outputs"};
  EXPECT_TRUE(Contains(Why(spec), "output_equivalence"));
  spec.shadow_compare.clear();
  spec.shadow_fail_on = {*ParseCondition("error_rate > 1%")};
  EXPECT_TRUE(Contains(Why(spec), "fail_on names error_rate"));
  spec.shadow_fail_on.clear();
  spec.rollback_on = {*ParseCondition("error_rate > 1%")};
  EXPECT_TRUE(Contains(Why(spec), "use fail_on"));
  spec.rollback_on.clear();
  spec.shadow_sample_ppm = 0;
  EXPECT_TRUE(Contains(Why(spec), "above 0%"));
}

TEST(Plan, JudgedByEveryMetricAndByComparison) {
  for (const char* condition : {"error_ratio > 2", "memory > 1Mi", "cpu > 500m", "fuel_ratio > 2",
                                "p50_latency > 10ms", "p95_latency > 20ms"}) {
    DeploymentSpec spec = Canary();
    spec.rollback_on = {*ParseCondition(condition)};
    const auto plan = Resolve(spec);
    ASSERT_TRUE(plan.ok()) << condition;
    EXPECT_TRUE(plan->compare_errors);
    EXPECT_EQ(FormatCondition(plan->conditions[0]), condition);
  }
  DeploymentSpec spec = Canary();
  spec.promote = PromoteWhen::kEarly;
  EXPECT_EQ(Resolve(spec)->promote, PromoteWhen::kEarly);
  spec.rollback_on = {*ParseCondition("differs > 1%")};
  EXPECT_TRUE(Contains(Why(spec), "differs is what a shadow's fail_on looks at"));
  DeploymentSpec direct;
  EXPECT_FALSE(Resolve(direct)->compare_errors);
  direct.promote = PromoteWhen::kEarly;
  EXPECT_TRUE(Contains(Why(direct), "promote: early"));
}

TEST(Plan, HistoryOfEveryStrategy) {
  DeploymentSpec spec;
  spec.history = kMaxHistory;
  EXPECT_EQ(Resolve(spec)->history, kMaxHistory);
  spec.history = kMaxHistory + 1;
  EXPECT_TRUE(Contains(Why(spec), "history is 1001, allowed is 0 to 1000"));
  spec.history = -1;
  EXPECT_TRUE(Contains(Why(spec), "history is -1"));
  spec.history = 10;
  spec.shadow_fail_on = *ParseConditions("error_rate > 1%,differs > 2%");
  spec.shadow_compare = {"output_equivalence"};
  EXPECT_EQ(Resolve(spec)->history_fail_on, spec.shadow_fail_on);
  EXPECT_TRUE(Resolve(spec)->conditions.empty()) << "they judge no live message";
  EXPECT_FALSE(Resolve(spec)->compare.performance);
  spec.shadow_fail_on = {*ParseCondition("p99_latency > 1s")};
  EXPECT_TRUE(Contains(Why(spec), "judged by error_rate, differs and fuel_ratio"));
  spec.history.reset();
  EXPECT_TRUE(Contains(Why(spec), "or to a replay of history"));
  DeploymentSpec shadow;
  shadow.strategy = Strategy::kShadow;
  shadow.shadow_fail_on = *ParseConditions("error_rate > 1%,differs > 2%");
  EXPECT_TRUE(Contains(Why(shadow), "a shadow is judged by differs and fuel_ratio"));
  shadow.history = 1;
  EXPECT_EQ(Resolve(shadow)->history_fail_on.size(), 2u);
  EXPECT_EQ(Resolve(shadow)->conditions, *ParseConditions("differs > 2%"));
}

TEST(Plan, HistoryNeedsAStableRevision) {
  DeploymentSpec spec;
  spec.history = 10;
  const DeploymentPlan plan = *Resolve(spec, false);
  EXPECT_EQ(plan.history, 0);
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_TRUE(Contains(plan.notes[0], "history is not replayed"));
}

TEST(Plan, StateIsRefusedByName) {
  DeploymentFile file;
  EXPECT_TRUE(CheckCarriedOut(file).ok());
  file.state_on_rollback = "keep";
  EXPECT_EQ(CheckCarriedOut(file).code(), absl::StatusCode::kUnimplemented);
}

TEST(Plan, ImpossiblePlans) {
  EXPECT_TRUE(Contains(Why(Canary("25,5")), "weights must rise"));
  EXPECT_TRUE(Contains(Why(Canary("5,5")), "weights must rise"));
  EXPECT_TRUE(Contains(Why(Canary("0")), "no traffic"));
  EXPECT_TRUE(Contains(Why(Canary("5:0s")), "lasts 0s"));
  DeploymentSpec spec = Canary();
  spec.stages.pop_back();
  EXPECT_TRUE(Contains(Why(spec), "full: 100%"));
  spec = Canary();
  spec.stages.push_back(spec.stages[0]);
  EXPECT_TRUE(Contains(Why(spec), "comes after full"));
  spec = Canary();
  spec.stages.push_back(spec.stages.back());
  EXPECT_TRUE(Contains(Why(spec), "there twice"));
  spec = Canary();
  spec.stages[0].min_samples = 0;
  EXPECT_TRUE(Contains(Why(spec), "min_samples"));
  spec = Canary();
  spec.strategy = Strategy::kDirect;
  EXPECT_TRUE(Contains(Why(spec), "needs the strategy canary"));
  spec = Canary();
  spec.stages.erase(spec.stages.begin(), spec.stages.end() - 1);
  EXPECT_TRUE(Contains(Why(spec), "has no canary stage"));
  spec = Canary();
  spec.stages.insert(spec.stages.end(), {.kind = StageKind::kSwitch});
  EXPECT_TRUE(Contains(Why(spec), "blue-green"));
  spec = Canary();
  spec.stages.push_back({.kind = StageKind::kCleanup, .duration_ns = 5});
  EXPECT_EQ(Resolve(spec)->cleanup_ns, 5);
  spec.cleanup_ns = 5;
  EXPECT_TRUE(Contains(Why(spec), "as a stage and as a field"));
  spec = Canary();
  spec.rollback_on = {{MetricKind::kErrorRate, 0.01}, {MetricKind::kErrorRate, 0.02}};
  EXPECT_TRUE(Contains(Why(spec), "twice"));
  spec = Canary();
  spec.shadow_compare = {"x"};
  EXPECT_TRUE(Contains(Why(spec), "shadow"));
}

TEST(Plan, AllFaultsAtOnce) {
  DeploymentSpec spec = Canary("25,5:0s");
  spec.stages.pop_back();
  const std::string why = Why(spec);
  EXPECT_TRUE(Contains(why, "weights must rise"));
  EXPECT_TRUE(Contains(why, "lasts 0s"));
  EXPECT_TRUE(Contains(why, "full: 100%"));
  EXPECT_EQ(Resolve(spec).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Plan, LimitsAtTheirEdges) {
  DeploymentSpec spec;
  spec.strategy = Strategy::kCanary;
  for (size_t i = 1; i < kMaxStages; ++i) {
    spec.stages.push_back({.weight_ppm = static_cast<uint32_t>(i) * 1000});
  }
  spec.stages.push_back({.kind = StageKind::kFull});
  EXPECT_TRUE(Resolve(spec).ok());
  spec.stages.insert(spec.stages.begin(), {.kind = StageKind::kValidate});
  EXPECT_TRUE(Contains(Why(spec), "the limit is 32"));
  spec = Canary();
  spec.rollback_on.assign(kMaxRollbackConditions + 1, {MetricKind::kErrorRate, 0.01});
  EXPECT_TRUE(Contains(Why(spec), "the limit is 16"));
}

TEST(Status, CodecRefusesEveryTruncationAndSurvivesGarbage) {
  DeploymentStatus s = After(Fresh(), {Created{}, ValidationPassed{}, Prepared{}, Rollback{}});
  s.label = "2.0";
  s.generation = 17;
  s.plan.notes = {"a note"};
  s.allowed_by = "ada";
  s.let_through = {"consumes/REQUEST: narrowed"};
  s.spec.strategy = Strategy::kCanary;
  s.spec.rollback_on = {{MetricKind::kErrorRate, 0.25}};
  s.rollback = {1, 2, 3, 4, 5};
  s.verdict = {VerdictKind::kInconclusive, "too few", {6, 7, VerdictMoment::kStageEnd, 1}};
  s.salt[3] = 9;
  std::string bytes;
  EncodeStatus(s, &bytes);
  EXPECT_EQ(*DecodeStatus(bytes), s);
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(DecodeStatus(std::string_view(bytes).substr(0, n)).ok()) << n;
  }
  EXPECT_FALSE(DecodeStatus(bytes + "x").ok());
  SeededRandom random(3);
  for (int round = 0; round < 5000; ++round) {
    std::string garbage = bytes;
    for (int i = 0; i < 3; ++i)
      garbage[random.Below(garbage.size())] = static_cast<char>(random.Below(256));
    const auto decoded = DecodeStatus(garbage);
    if (decoded.ok()) (void)decoded->RemainingNs();
  }
}

TEST(Status, Names) {
  EXPECT_EQ(DeploymentName(DeploymentId(17)), "dep-17");
  EXPECT_EQ(*ParseDeploymentName("dep-17"), DeploymentId(17));
  for (const char* name :
       {"", "dep-", "17", "dep-x", "dep--1", "dep-0", "dep-017", "dep-99999999999999999999"}) {
    EXPECT_FALSE(ParseDeploymentName(name).ok()) << name;
  }
  EXPECT_EQ(DeploymentStateName(DeploymentState::kRolledBack), "ROLLED_BACK");
  EXPECT_EQ(EndCauseName(EndCause::kRemoved), "removed");
  EXPECT_EQ(PauseReasonName(PauseReason::kJudgeError), "the judge failed");
  EXPECT_EQ(VerdictKindName(VerdictKind::kInconclusive), "inconclusive");
}

}  // namespace
}  // namespace caxton::deployment
