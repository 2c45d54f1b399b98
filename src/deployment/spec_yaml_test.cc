// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/spec_yaml.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "caxton/base/random.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/limits.h"
#include "caxton/deployment/plan.h"
#include "caxton/model/limits.h"

namespace caxton::deployment {
namespace {

constexpr int64_t kS = 1'000'000'000;

std::string DataFile(const std::string& name) {
  std::ifstream in(StrCat(CAXTON_TEST_DATA, "/deployments/", name));
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}
std::string Why(std::string_view text) {
  const auto file = ParseDeploymentFile(text, "d.yaml");
  return file.ok() ? "ok" : std::string(file.status().message());
}

TEST(DeploymentFile, PublishedCanary) {
  const DeploymentFile file = *ParseDeploymentFile(DataFile("canary.yaml"), "canary.yaml");
  EXPECT_EQ(file.spec.strategy, Strategy::kCanary);
  ASSERT_EQ(file.spec.stages.size(), 5u);
  EXPECT_EQ(file.spec.stages[0].kind, StageKind::kValidate);
  EXPECT_EQ(*file.spec.stages[0].duration_ns, 30 * kS);
  EXPECT_EQ(file.spec.stages[3].weight_ppm, 500'000u);
  EXPECT_EQ(file.spec.stages[4].kind, StageKind::kFull);
  ASSERT_EQ(file.spec.rollback_on.size(), 2u);
  EXPECT_EQ(FormatCondition(file.spec.rollback_on[1]), "p99_latency > 100ms");
  const DeploymentPlan plan = *ResolvePlan(file.spec, {.has_stable = true});
  EXPECT_EQ(DescribeStages(plan), "5% for 5m, 25% for 10m, 50% for 10m, full");
}

TEST(DeploymentFile, PublishedBlueGreenAndShadow) {
  const DeploymentFile green = *ParseDeploymentFile(DataFile("blue-green.yaml"), "blue-green.yaml");
  EXPECT_EQ(green.spec.strategy, Strategy::kBlueGreen);
  ASSERT_EQ(green.spec.stages.size(), 4u);
  EXPECT_EQ(green.spec.stages[2].kind, StageKind::kSwitch);
  EXPECT_EQ(*green.spec.stages[3].duration_ns, 300 * kS);
  const DeploymentFile shadow = *ParseDeploymentFile(DataFile("shadow.yaml"), "shadow.yaml");
  EXPECT_EQ(shadow.spec.strategy, Strategy::kShadow);
  EXPECT_EQ(*shadow.spec.shadow_duration_ns, 3600 * kS);
  EXPECT_EQ(
      shadow.spec.shadow_compare,
      (std::vector<std::string>{"output_equivalence", "performance_metrics", "resource_usage"}));
  const DeploymentPlan switched = *ResolvePlan(green.spec, {.has_stable = true});
  EXPECT_EQ(DescribeStages(switched), "full");
  EXPECT_EQ(switched.warm_up_limit_ns, 60 * kS);
  EXPECT_EQ(switched.cleanup_ns, 300 * kS);
  EXPECT_EQ(DescribeStages(*ResolvePlan(shadow.spec, {.has_stable = true})),
            "shadow of 100% for 1h");
}

TEST(DeploymentFile, AFreshBaselineIsRefusedByName) {
  EXPECT_TRUE(ParseDeploymentFile("deployment: { baseline: stable }", "f.yaml").ok());
  const auto fresh = ParseDeploymentFile("deployment: { baseline: fresh }", "f.yaml");
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_EQ(ReasonOf(CheckCarriedOut(*fresh)), "NOT_CARRIED_OUT");
  EXPECT_TRUE(StrContains(Why("deployment: { baseline: old }"), "d.yaml:1:25: "));
}

TEST(DeploymentFile, ShadowAndHistoryFields) {
  const auto parsed = ParseDeploymentFile(
      "deployment: { strategy: shadow, sample: 10%, secondary: true, history: 50,"
      " fail_on: [ differs > 1% ] }",
      "x.yaml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->spec.shadow_sample_ppm, 100'000u);
  EXPECT_TRUE(parsed->spec.shadow_secondary);
  EXPECT_EQ(parsed->spec.history, 50);
  ASSERT_EQ(parsed->spec.shadow_fail_on.size(), 1u);
  EXPECT_EQ(parsed->spec.shadow_fail_on[0].metric, MetricKind::kDiffers);
  const auto manual = ParseDeploymentFile("deployment: { stages: [ switch: manual ] }", "x.yaml");
  ASSERT_TRUE(manual.ok());
  EXPECT_TRUE(manual->spec.stages[0].pause);
  EXPECT_FALSE(ParseDeploymentFile("deployment: { stages: [ switch: later ] }", "x.yaml").ok());
}

TEST(DeploymentFile, AListIsSeveralAgents) {
  const auto files = ParseDeploymentFiles("- { agent: a, module: a.wasm }\n- { agent: b }\n", "l");
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].agent, "a");
  EXPECT_EQ((*files)[1].agent, "b");
  EXPECT_EQ(ParseDeploymentFiles("agent: a", "l")->size(), 1u);
  EXPECT_FALSE(ParseDeploymentFiles("[]", "l").ok());
  const absl::Status faulty = ParseDeploymentFiles("- agent: a\n- agnet: b\n", "l").status();
  EXPECT_NE(faulty.message().find("l:2:3"), absl::string_view::npos) << faulty;
  EXPECT_FALSE(ParseDeploymentFile("- agent: a\n- agent: b\n", "l").ok());
}

TEST(DeploymentFile, LongForm) {
  const auto parsed = ParseDeploymentFile(DataFile("long-form.yaml"), "long-form.yaml");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const DeploymentFile& file = *parsed;
  EXPECT_EQ(file.agent, "greeter");
  EXPECT_EQ(file.module, "greeter.wasm");
  EXPECT_EQ(file.version, "2.0.0");
  ASSERT_EQ(file.spec.stages.size(), 5u);
  EXPECT_TRUE(file.spec.stages[1].hold);
  EXPECT_EQ(*file.spec.stages[1].duration_ns, 60 * kS);
  EXPECT_EQ(file.spec.stages[2],
            (StageSpec{StageKind::kCanary, 300 * kS, 50'000, 100, false, false}));
  EXPECT_EQ(file.spec.stick, Stick::kKey);
  EXPECT_EQ(file.spec.on_inconclusive, OnInconclusive::kRollback);
  EXPECT_EQ(file.spec.queue, QueuePolicy::kReplace);
  EXPECT_EQ(*file.spec.cleanup_ns, 300 * kS);
  const RevisionOverrides& o = file.overrides;
  EXPECT_EQ(o.memory_bytes, 64 << 20);
  EXPECT_EQ(o.cpu_millis, 500);
  EXPECT_EQ(o.cpu_max_millis, 1000);
  EXPECT_EQ(o.deadline_ns, kS);
  EXPECT_EQ(o.max_message_bytes, 1 << 20);
  EXPECT_EQ(o.instances, 4);
  EXPECT_EQ(o.delivery, Delivery::kDurable);
  EXPECT_EQ(o.max_attempts, 10);
  EXPECT_EQ(o.on_poison, OnPoison::kHold);
  EXPECT_EQ(file.state_on_rollback, "keep");
  EXPECT_EQ(o.settings,
            (std::map<std::string, std::string>{
                {"greeting", "hello"}, {"yes", "no"}, {"number", "007"}, {"empty", ""}}))
      << "settings keep their characters as written";
}

TEST(DeploymentFile, FaultsNameTheirPlace) {
  EXPECT_EQ(Why("deployment:\n  stratgy: canary\n"),
            "d.yaml:2:3: unknown field 'stratgy' in deployment: did you mean strategy?");
  EXPECT_EQ(Why("resources:\n  memory: 64m\n"),
            "d.yaml:2:11: memory: '64m' could mean two things: did you mean 64Mi?");
  EXPECT_EQ(Why("agent: [x]\n"), "d.yaml:1:8: agent must be a single value, not a list");
  EXPECT_EQ(Why("deployment:\n  cleanup: 300\n"),
            "d.yaml:2:12: cleanup: '300' is a duration without a unit");
  EXPECT_EQ(Why("agent: a\nagent: b\n"), "d.yaml:2:1: the field 'agent' is there twice");
  EXPECT_EQ(Why("agent:\n"), "d.yaml:1:1: 'agent' has no value");
  EXPECT_EQ(Why("deployment: canary\n"), "d.yaml:1:13: deployment must be a map of fields");
}

TEST(DeploymentFile, OneFaultCarriesItsFix) {
  const auto file = ParseDeploymentFile("resources: { memory: 64m }", "d.yaml");
  EXPECT_EQ(FixOf(file.status()), "write 64Mi");
  EXPECT_EQ(ReasonOf(file.status()), "BAD_DEPLOYMENT_FILE");
  EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DeploymentFile, AllFaultsAtOnce) {
  const std::string why =
      Why("agent: Bad\n"
          "deployment:\n"
          "  strategy: canery\n"
          "  stages:\n"
          "    - canary: 5\n"
          "    - canari: 5%\n"
          "  rollback_on: [ error_rate > 1 ]\n");
  for (const char* place :
       {"d.yaml:1:8: ", "d.yaml:3:13: ", "d.yaml:5:15: ", "d.yaml:6:7: ", "d.yaml:7:18: "}) {
    EXPECT_TRUE(StrContains(why, place)) << place << " in\n" << why;
  }
  std::string many;
  for (int i = 0; i < 30; ++i) StrAppend(&many, "field", i, ": x\n");
  EXPECT_TRUE(EndsWith(Why(many), "and 10 more"));
}

TEST(DeploymentFile, WrongValues) {
  for (const char* text : {"",
                           "- a\n",
                           "just text",
                           "agent: ''",
                           "deployment: { stages: x }",
                           "deployment: { stages: [ canary ] }",
                           "deployment: { stages: [ { canary: 5%, full: 100% } ] }",
                           "deployment: { stages: [ full: 50% ] }",
                           "deployment: { stages: [ switch: slow ] }",
                           "deployment: { stages: [ canary: { for: 5m } ] }",
                           "deployment: { stages: [ canary: { weight: 5%, pause: maybe } ] }",
                           "deployment: { stages: [ canary: { weight: 5%, min_samples: 1.5 } ] }",
                           "deployment: { stages: [ canary: { weight: 5%, min_samples: -1 } ] }",
                           "deployment: { stages: [ warm_up: {} ] }",
                           "deployment: { rollback_on: error_rate > 1% }",
                           "deployment: { stick: agent }",
                           "deployment: { promote: later }",
                           "resources: { instances: 65 }",
                           "resources: { instances: 0 }",
                           "resources: { memory: 1Ki }",
                           "resources: { isolation: none }",
                           "resources: { deadline: 1h }",
                           "delivery: { mode: default }",
                           "delivery: { max_attempts: 0 }",
                           "delivery: { max_attempts: 1001 }",
                           "state: { on_rollback: hope }",
                           "settings: { a: [1] }",
                           "settings: { a: }",
                           "settings: { 'a=b': c }",
                           "version: \"a\\nb\"",
                           "agent: a\n---\nagent: b\n",
                           "agent: &x a",
                           "agent: *x",
                           "agent: !!str a",
                           "agent: \"unclosed",
                           "a: b: c",
                           "\t- x",
                           "{[}",
                           "agent: a\xff",
                           "? [a]\n: b"}) {
    const auto file = ParseDeploymentFile(text, "d.yaml");
    EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_TRUE(StrContains(StdView(file.status().message()), "d.yaml:")) << text;
  }
  EXPECT_FALSE(ParseDeploymentFile(std::string_view("agent: a\0b", 10), "d.yaml").ok());
}

TEST(DeploymentFile, BombsAreRefusedByNamedLimits) {
  EXPECT_TRUE(StrContains(Why("a: &a [x,x]\nb: [*a,*a]\n"), "anchors"));
  EXPECT_NE(Why(std::string(100'000, '[')), "ok");
  const std::string lists = StrCat(std::string(17, '['), std::string(17, ']'));
  EXPECT_TRUE(StrContains(Why(lists), "nested deeper than 16")) << Why(lists);
  std::string deep = "settings: ";
  for (size_t i = 0; i < kMaxFileDepth; ++i) deep += "{a: ";
  EXPECT_TRUE(StrContains(Why(deep), "nested deeper"));
  EXPECT_TRUE(StrContains(Why(std::string(kMaxFileBytes + 1, ' ')), "the limit is 1048576"));
  std::string wide = "deployment: { compare: [";
  for (size_t i = 0; i < kMaxFileNodes; ++i) wide += "x,";
  EXPECT_TRUE(StrContains(Why(wide + "] }"), "more than 20000 values"));
  std::string full(kMaxFileBytes, ' ');
  full.replace(0, 8, "agent: a");
  EXPECT_TRUE(ParseDeploymentFile(full, "d.yaml").ok()) << "at the limit";
}

TEST(DeploymentFile, GarbageNeverCrashes) {
  const std::string good = DataFile("long-form.yaml");
  SeededRandom random(11);
  constexpr std::string_view kSpice = "{}[]:,-&*!?|>'\"%#\n \t@`0a\xff";
  for (int round = 0; round < 2000; ++round) {
    std::string text = good;
    for (int i = 0; i < 3; ++i)
      text[random.Below(text.size())] = kSpice[random.Below(kSpice.size())];
    text.resize(random.Below(text.size() + 1));
    (void)ParseDeploymentFile(text, "d.yaml");
  }
}

TEST(DeploymentFile, ImpossiblePlansHaveTheirPlace) {
  const auto why = [](std::string_view text) {
    const DeploymentFile file = *ParseDeploymentFile(text, "d.yaml");
    return std::string(StdView(CheckPlan(file, "d.yaml").message()));
  };
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"deployment:\n  strategy: canary\n  stages: [{canary: 100%}]\n", "d.yaml:3:11: the stages"},
      {"deployment:\n  history: 2000\n", "d.yaml:2:12: history is 2000"},
      {"deployment:\n  strategy: canary\n  stages:\n    - canary: 25%\n    - canary: 5%\n"
       "    - full: 100%\n",
       "d.yaml:5:7: the canary stage of 5% follows one of 25%: weights must rise"},
      {"deployment:\n  cleanup: 5s\n  stages:\n    - full: 100%\n    - cleanup: 3s\n",
       "d.yaml:5:7: cleanup is given"},
      {"deployment: { rollback_on: [ error_rate > 1%, differs > 1% ] }",
       "d.yaml:1:47: differs is what"},
      {"deployment: { strategy: shadow, compare: [ x ] }", "d.yaml:1:44: compare names 'x'"},
      {"deployment: { strategy: shadow, fail_on: [ cpu > 1 ] }", "d.yaml:1:44: fail_on names cpu"},
      {"deployment: { strategy: shadow, duration: 0s }", "d.yaml:1:43: a shadow of 0s"},
      {"deployment: { strategy: shadow, sample: 0% }", "d.yaml:1:41: a sample"},
      {"deployment: { promote: early }", "d.yaml:1:24: promote: early"},
      {"deployment: { sample: 5% }", "d.yaml:1:23: duration, sample"},
  };
  for (const auto& [text, fault] : cases) EXPECT_TRUE(StrContains(why(text), fault)) << why(text);
  EXPECT_EQ(why("deployment: { strategy: shadow }"), "");  // whether one serves is asked later
}

TEST(DeploymentFile, MemoryAndCpuAboveNothingAreNoLimits) {
  for (const char* metric : {"memory", "cpu"}) {
    EXPECT_TRUE(StrContains(Why(StrCat("deployment: { rollback_on: [ ", metric, " > 0 ] }")),
                            StrCat("'0' is no ", metric)))
        << metric;
  }
}

TEST(DeploymentFile, EveryListsMetricsAreNamedForWhatTakesThem) {
  const std::string fix(
      FixOf(ParseDeploymentFile("deployment: { rollback_on: [ luck > 1 ] }", "d.yaml").status()));
  EXPECT_LT(fix.find("rollback_on takes error_rate"), fix.find("fail_on takes differs")) << fix;
  EXPECT_NE(fix.find("fail_on takes differs"), std::string::npos) << fix;
}

}  // namespace
}  // namespace caxton::deployment
