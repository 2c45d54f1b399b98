// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/model/deployment_spec.h"
#include "caxton/model/limits.h"

namespace caxton {
namespace {

constexpr size_t kMinStageBytes = 9;
constexpr size_t kMinConditionBytes = 9;
constexpr size_t kMinCompareBytes = 4;

void WriteOptional(const std::optional<int64_t>& value, ByteWriter& w) {
  w.Bool(value.has_value());
  if (value.has_value()) w.I64(*value);
}

std::optional<int64_t> ReadOptional(ByteReader& r) {
  if (!r.Bool()) return std::nullopt;
  return r.I64();
}

void WriteStage(const StageSpec& stage, ByteWriter& w) {
  w.U8(static_cast<uint8_t>(stage.kind));
  WriteOptional(stage.duration_ns, w);
  w.U32(stage.weight_ppm);
  WriteOptional(stage.min_samples, w);
  w.Bool(stage.pause);
  w.Bool(stage.hold);
}

StageSpec ReadStage(ByteReader& r) {
  StageSpec stage;
  stage.kind = ReadEnum<StageKind>(r, kStageKindCount);
  stage.duration_ns = ReadOptional(r);
  stage.weight_ppm = r.U32();
  stage.min_samples = ReadOptional(r);
  stage.pause = r.Bool();
  stage.hold = r.Bool();
  if (stage.weight_ppm > kFullWeightPpm || stage.duration_ns.value_or(0) < 0 ||
      stage.min_samples.value_or(0) < 0) {
    r.Fail();
  }
  return stage;
}

Condition ReadCondition(ByteReader& r) {
  Condition condition;
  condition.metric = ReadEnum<MetricKind>(r, kMetricKindCount);
  condition.limit = r.F64();
  if (!std::isfinite(condition.limit) || condition.limit < 0) r.Fail();
  return condition;
}

void WriteConditions(const std::vector<Condition>& conditions, ByteWriter& w) {
  w.U32(static_cast<uint32_t>(conditions.size()));
  for (const Condition& condition : conditions) {
    w.U8(static_cast<uint8_t>(condition.metric));
    w.F64(condition.limit);
  }
}

std::vector<Condition> ReadConditions(ByteReader& r) {
  std::vector<Condition> conditions;
  const uint32_t count = ReadCount(r, kMinConditionBytes);
  for (uint32_t i = 0; i < count && r.ok(); ++i) conditions.push_back(ReadCondition(r));
  return conditions;
}

}  // namespace

void EncodeSpec(const DeploymentSpec& spec, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U8(static_cast<uint8_t>(spec.strategy));
  w.U32(static_cast<uint32_t>(spec.stages.size()));
  for (const StageSpec& stage : spec.stages) WriteStage(stage, w);
  WriteConditions(spec.rollback_on, w);
  w.U8(static_cast<uint8_t>(spec.stick));
  w.U8(static_cast<uint8_t>(spec.on_inconclusive));
  w.U8(static_cast<uint8_t>(spec.promote));
  w.U8(static_cast<uint8_t>(spec.queue));
  WriteOptional(spec.cleanup_ns, w);
  WriteOptional(spec.shadow_duration_ns, w);
  w.U32(static_cast<uint32_t>(spec.shadow_compare.size()));
  for (const std::string& compare : spec.shadow_compare) w.Bytes(compare);
  WriteOptional(spec.history, w);
  w.Bool(spec.preview);
  WriteOptional(spec.shadow_sample_ppm, w);
  w.Bool(spec.shadow_secondary);
  WriteConditions(spec.shadow_fail_on, w);
}

absl::StatusOr<DeploymentSpec> DecodeSpec(std::string_view bytes) {
  ByteReader r(bytes);
  DeploymentSpec spec;
  ReadFormat(r);
  spec.strategy = ReadEnum<Strategy>(r, kStrategyCount);
  const uint32_t stages = ReadCount(r, kMinStageBytes);
  for (uint32_t i = 0; i < stages && r.ok(); ++i) spec.stages.push_back(ReadStage(r));
  spec.rollback_on = ReadConditions(r);
  spec.stick = ReadEnum<Stick>(r, 2);
  spec.on_inconclusive = ReadEnum<OnInconclusive>(r, 3);
  spec.promote = ReadEnum<PromoteWhen>(r, 2);
  spec.queue = ReadEnum<QueuePolicy>(r, 3);
  spec.cleanup_ns = ReadOptional(r);
  spec.shadow_duration_ns = ReadOptional(r);
  const uint32_t compares = ReadCount(r, kMinCompareBytes);
  for (uint32_t i = 0; i < compares && r.ok(); ++i) spec.shadow_compare.push_back(r.BytesCopy());
  if (const auto history = ReadOptional(r); history.has_value()) {
    if (*history < 0 || *history > kMaxHistory) r.Fail();
    spec.history = static_cast<int32_t>(*history);
  }
  spec.preview = r.Bool();
  if (const auto sample = ReadOptional(r); sample.has_value()) {
    if (*sample < 0 || *sample > kFullWeightPpm) r.Fail();
    spec.shadow_sample_ppm = static_cast<uint32_t>(*sample);
  }
  spec.shadow_secondary = r.Bool();
  spec.shadow_fail_on = ReadConditions(r);
  if (spec.cleanup_ns.value_or(0) < 0 || spec.shadow_duration_ns.value_or(0) < 0) r.Fail();
  RETURN_IF_ERROR(r.Finish("deployment spec"));
  return spec;
}

}  // namespace caxton
