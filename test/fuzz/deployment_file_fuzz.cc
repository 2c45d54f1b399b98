// SPDX-License-Identifier: Apache-2.0
//
// A deployment file. Properties: what is refused says where, in text fit to be shown; what loads
// survives its encoding; what plans survives its encoding and is printed; conditions, shares and
// durations that are printed are read back as the same.
#include <string>

#include "caxton/base/assert.h"
#include "caxton/base/wire.h"
#include "caxton/deployment/plan.h"
#include "caxton/deployment/spec_yaml.h"
#include "caxton/model/text.h"
#include "caxton/model/units.h"
#include "files.h"
#include "fuzz_target.h"

namespace caxton::fuzz {
namespace {

void CheckPrinted(const DeploymentSpec& spec) {
  for (const auto* list : {&spec.rollback_on, &spec.shadow_fail_on}) {
    for (const Condition& condition : *list) {
      const auto again = ParseCondition(FormatCondition(condition));
      CAXTON_ASSERT(again.ok() && again->metric == condition.metric,
                    "a condition that is printed can be read");
    }
  }
  for (const StageSpec& stage : spec.stages) {
    if (stage.duration_ns.has_value()) {
      CAXTON_ASSERT(ParseDurationNs(FormatDuration(*stage.duration_ns)).ok(),
                    "a duration that is printed can be read");
    }
    const auto share = ParseSharePpm(FormatShare(stage.weight_ppm));
    CAXTON_ASSERT(share.ok() && *share == stage.weight_ppm, "a share is printed as it was read");
  }
}

void CheckPlan(const DeploymentSpec& spec, const deployment::PlanContext& context) {
  const auto plan = deployment::ResolvePlan(spec, context);
  if (!plan.ok()) {
    CAXTON_ASSERT(IsUtf8(std::string(plan.status().message())), "errors are fit to be shown");
    return;
  }
  CAXTON_ASSERT(IsUtf8(deployment::DescribeStages(*plan)), "a plan is printed");
  std::string bytes;
  ByteWriter out(&bytes);
  deployment::WritePlan(*plan, out);
  ByteReader in(bytes);
  const deployment::DeploymentPlan again = deployment::ReadPlan(in);
  CAXTON_ASSERT(in.Finish("plan").ok() && again == *plan, "a plan survives its encoding");
}

}  // namespace

void OneInput(std::string_view input) {
  const auto files = deployment::ParseDeploymentFiles(input, "file.yaml");
  if (!files.ok()) {
    const std::string text(files.status().message());
    CAXTON_ASSERT(!text.empty() && IsUtf8(text), "errors are fit to be shown");
    CAXTON_ASSERT(text.starts_with("file.yaml:"), "errors say where");
    return;
  }
  CAXTON_ASSERT(!files->empty(), "what loads is at least one file");
  for (const DeploymentFile& file : *files) {
    std::string bytes;
    EncodeSpec(file.spec, &bytes);
    const auto again = DecodeSpec(bytes);
    CAXTON_ASSERT(again.ok(), "what loads can be kept");
    CAXTON_ASSERT(*again == file.spec, "a spec survives its encoding");
    CheckPrinted(file.spec);
    for (const bool has_stable : {false, true}) {
      CheckPlan(file.spec, {.has_stable = has_stable, .time_scale = 1});
      CheckPlan(file.spec, {.has_stable = has_stable, .time_scale = 60});
    }
  }
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds = ProjectFiles("test/data/deployments", ".yaml");
  seeds.insert(
      seeds.end(),
      {"- agent: a\n  module: a.wasm\n- agent: b\n  deployment: { strategy: direct }\n",
       "deployment: { strategy: shadow, duration: 1h, sample: 12.5%, secondary: true,\n"
       "  compare: [ output_equivalence ], fail_on: [ differs > 1%, p99_latency > 1.5ms ] }\n",
       "deployment: { strategy: blue-green, stages: [ { warm_up: { hold: 60s } },\n"
       "  { switch: manual }, { cleanup: 5m } ], queue: refuse, preview: true }\n",
       "deployment:\n  strategy: canary\n  stages: [ { canary: { weight: 33.3%, for: 5m,\n"
       "    min_samples: 7, pause: true } }, { full: 100% } ]\n  promote: early\n"
       "  on_inconclusive: rollback\n  stick: message\n"
       "  rollback_on: [ error_ratio > 2, cpu > 500m, memory > 1Gi, fuel_ratio > 1.5 ]\n"});
  return seeds;
}

std::vector<std::string> Words() {
  return {"deployment:",
          "strategy:",
          "canary",
          "blue-green",
          "shadow",
          "direct",
          "stages:",
          "- canary:",
          "weight:",
          "for:",
          "pause: ",
          "full: 100%",
          "warm_up:",
          "hold:",
          "switch:",
          "cleanup:",
          "validate:",
          "rollback_on:",
          "error_rate >",
          "p99_latency >",
          "fuel_ratio >",
          "fail_on:",
          "differs >",
          "settings:",
          "resources:",
          "memory: ",
          "cpu_max: ",
          "64Mi",
          "500m",
          "5%",
          "99.9999%",
          "1.5s",
          "1h30m",
          "0.000001ns",
          "100y",
          "1e308",
          "nan",
          "inf",
          "-0",
          "&a",
          "*a",
          "!!binary",
          "---",
          "? ",
          "| ",
          "<<: ",
          "{",
          "}",
          "[",
          "]",
          "\"\\x00\"",
          "\t",
          "\r\n",
          "\xef\xbb\xbf"};
}

}  // namespace caxton::fuzz
