// SPDX-License-Identifier: Apache-2.0
//
// A plan as bytes of the journal.
#include <cmath>

#include "caxton/base/codec.h"
#include "caxton/deployment/limits.h"
#include "caxton/deployment/plan.h"
#include "caxton/model/limits.h"
#include "caxton/model/units.h"

namespace caxton::deployment {
namespace {

// Bounded, so that sums and small multiples of it cannot overflow.
bool IsDuration(int64_t nanoseconds) { return nanoseconds >= 0 && nanoseconds <= kMaxDurationNs; }

void WriteConditions(const std::vector<Condition>& conditions, ByteWriter& out) {
  out.U32(static_cast<uint32_t>(conditions.size()));
  for (const Condition& condition : conditions) {
    out.U8(static_cast<uint8_t>(condition.metric));
    out.F64(condition.limit);
  }
}

std::vector<Condition> ReadConditions(ByteReader& in) {
  constexpr size_t kConditionBytes = 9;
  std::vector<Condition> conditions;
  const uint32_t count = ReadCount(in, kConditionBytes);
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    Condition condition;
    condition.metric = ReadEnum<MetricKind>(in, kMetricKindCount);
    condition.limit = in.F64();
    if (!std::isfinite(condition.limit) || condition.limit < 0) in.Fail();
    conditions.push_back(condition);
  }
  return conditions;
}

}  // namespace

void WritePlan(const DeploymentPlan& plan, ByteWriter& out) {
  out.U8(static_cast<uint8_t>(plan.strategy));
  out.I64(plan.validate_limit_ns);
  out.I64(plan.warm_up_limit_ns);
  out.U32(static_cast<uint32_t>(plan.stages.size()));
  for (const StagePlan& stage : plan.stages) {
    out.U8(static_cast<uint8_t>(stage.role));
    out.U32(stage.weight_ppm);
    out.I64(stage.duration_ns);
    out.I64(stage.min_samples);
    out.Bool(stage.pause);
  }
  WriteConditions(plan.conditions, out);
  out.U8(static_cast<uint8_t>(plan.stick));
  out.U8(static_cast<uint8_t>(plan.on_inconclusive));
  out.U8(static_cast<uint8_t>(plan.queue));
  out.I64(plan.cleanup_ns);
  out.Bool(plan.compare_errors);
  out.U8(static_cast<uint8_t>(plan.promote));
  out.Bool(plan.compare.outputs);
  out.Bool(plan.compare.performance);
  out.Bool(plan.compare.resources);
  out.U32(plan.sample_ppm);
  out.Bool(plan.secondary);
  out.U32(static_cast<uint32_t>(plan.history));
  WriteConditions(plan.history_fail_on, out);
  out.U32(static_cast<uint32_t>(plan.notes.size()));
  for (const std::string& note : plan.notes) out.Bytes(note);
}

DeploymentPlan ReadPlan(ByteReader& in) {
  constexpr size_t kStageBytes = 22;
  DeploymentPlan plan;
  plan.strategy = ReadEnum<Strategy>(in, kStrategyCount);
  plan.validate_limit_ns = in.I64();
  plan.warm_up_limit_ns = in.I64();
  const uint32_t stages = ReadCount(in, kStageBytes);
  for (uint32_t i = 0; i < stages && in.ok(); ++i) {
    StagePlan stage;
    stage.role = ReadEnum<StageRole>(in, kStageRoleCount);
    stage.weight_ppm = in.U32();
    stage.duration_ns = in.I64();
    stage.min_samples = in.I64();
    stage.pause = in.Bool();
    if (stage.weight_ppm > kFullWeightPpm || !IsDuration(stage.duration_ns)) in.Fail();
    plan.stages.push_back(stage);
  }
  plan.conditions = ReadConditions(in);
  plan.stick = ReadEnum<Stick>(in, 2);
  plan.on_inconclusive = ReadEnum<OnInconclusive>(in, 3);
  plan.queue = ReadEnum<QueuePolicy>(in, 3);
  plan.cleanup_ns = in.I64();
  plan.compare_errors = in.Bool();
  plan.promote = ReadEnum<PromoteWhen>(in, 2);
  plan.compare.outputs = in.Bool();
  plan.compare.performance = in.Bool();
  plan.compare.resources = in.Bool();
  plan.sample_ppm = in.U32();
  if (plan.sample_ppm > kFullWeightPpm) in.Fail();
  plan.secondary = in.Bool();
  const uint32_t history = in.U32();
  if (history > static_cast<uint32_t>(kMaxHistory)) in.Fail();
  plan.history = in.ok() ? static_cast<int32_t>(history) : 0;
  plan.history_fail_on = ReadConditions(in);
  const uint32_t notes = ReadCount(in, 4);
  for (uint32_t i = 0; i < notes && in.ok(); ++i) plan.notes.push_back(in.BytesCopy());
  for (int64_t duration : {plan.validate_limit_ns, plan.warm_up_limit_ns, plan.cleanup_ns}) {
    if (!IsDuration(duration)) in.Fail();
  }
  return plan;
}

}  // namespace caxton::deployment
