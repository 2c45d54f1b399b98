// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_join.h"
#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/limits.h"
#include "caxton/model/text.h"
#include "caxton/model/units.h"

namespace caxton::deployment {
namespace {

// Resolves one spec, collecting what is impossible.
class Resolver final {
 public:
  Resolver(const DeploymentSpec& spec, const PlanContext& context)
      : spec_(spec), context_(context) {}

  absl::StatusOr<DeploymentPlan> Run();

 private:
  void CheckSizes();
  void TakeStage(const StageSpec& stage, size_t place);
  void TakeCanary(const StageSpec& stage);
  void TakeStages();
  void CheckCanaryEnd();
  void TakeConditions();
  void TakeShadow();
  void TakeCompare();
  void TakeHistory();
  void AddPreviewStage(int64_t duration_ns, bool pause);
  void AddDefaults();
  void SkipWhatNeedsStable();
  void Fault(std::string text) { faults_.push_back(std::move(text)); }
  int64_t Scaled(int64_t duration_ns) const;

  const DeploymentSpec& spec_;
  const PlanContext& context_;
  DeploymentPlan plan_;
  std::vector<std::string> faults_;
  uint32_t kinds_seen_ = 0;
  bool full_ = false;
};

// The order in which a plan may name its stages.
int Rank(StageKind kind) {
  switch (kind) {
    case StageKind::kValidate:
      return 0;
    case StageKind::kWarmUp:
      return 1;
    case StageKind::kCanary:
      return 2;
    case StageKind::kFull:
    case StageKind::kSwitch:
      return 3;
    case StageKind::kCleanup:
      return 4;
  }
  return 5;
}

// Bounded, so that sums and small multiples of it cannot overflow.
bool IsDuration(int64_t nanoseconds) { return nanoseconds >= 0 && nanoseconds <= kMaxDurationNs; }

int64_t Resolver::Scaled(int64_t duration_ns) const {
  if (context_.time_scale == 1) return duration_ns;
  return std::max(duration_ns / context_.time_scale, kMinStageNs);
}

void Resolver::CheckSizes() {
  if (spec_.stages.size() > kMaxStages) {
    Fault(StrCat("it has ", spec_.stages.size(), " stages, the limit is ", kMaxStages));
  }
  if (spec_.rollback_on.size() > kMaxRollbackConditions) {
    Fault(StrCat("rollback_on has ", spec_.rollback_on.size(), " conditions, the limit is ",
                 kMaxRollbackConditions));
  }
  if (context_.time_scale < 1 || context_.time_scale > kMaxTimeScale) {
    Fault(StrCat("the time scale is ", context_.time_scale, ", allowed is 1 to ", kMaxTimeScale));
  }
  if (spec_.history.value_or(0) < 0 || spec_.history.value_or(0) > kMaxHistory) {
    Fault(StrCat("history is ", *spec_.history, ", allowed is 0 to ", kMaxHistory, " messages"));
  }
  if (spec_.strategy == Strategy::kShadow) return;
  if (spec_.shadow_duration_ns.has_value() || spec_.shadow_sample_ppm.has_value() ||
      spec_.shadow_secondary) {
    Fault("duration, sample and secondary belong to the strategy shadow");
  }
  const bool compares = !spec_.shadow_compare.empty() || !spec_.shadow_fail_on.empty();
  if (compares && spec_.history.value_or(0) == 0) {
    Fault("compare and fail_on belong to the strategy shadow, or to a replay of history");
  }
}

// Warm and waiting, reached by preview messages only.
void Resolver::AddPreviewStage(int64_t duration_ns, bool pause) {
  if (!plan_.stages.empty() && plan_.stages.back().role == StageRole::kPreview) {
    StagePlan& there = plan_.stages.back();  // a hold and a switch by hand are one stage
    there.pause |= pause;
    there.duration_ns = std::max(there.duration_ns, duration_ns > 0 ? Scaled(duration_ns) : 0);
    return;
  }
  StagePlan stage;
  stage.role = StageRole::kPreview;
  stage.duration_ns = duration_ns > 0 ? Scaled(duration_ns) : 0;
  stage.pause = pause;
  plan_.stages.push_back(stage);
}

void Resolver::TakeCanary(const StageSpec& stage) {
  StagePlan plan;
  plan.weight_ppm = stage.weight_ppm;
  plan.pause = stage.pause;
  plan.min_samples = stage.min_samples.value_or(kDefaultMinSamples);
  plan.duration_ns = stage.duration_ns.value_or(stage.weight_ppm <= kSmallStagePpm ? kSmallStageNs
                                                                                   : kLargeStageNs);
  const std::string weight = FormatShare(stage.weight_ppm);
  if (spec_.strategy != Strategy::kCanary) {
    Fault(StrCat("a canary stage (", weight, ") needs the strategy canary, this is ",
                 StrategyName(spec_.strategy)));
    return;
  }
  if (plan.weight_ppm == 0 || plan.weight_ppm > kFullWeightPpm) {
    Fault(StrCat("a canary stage of ", weight, " would get no traffic: weights are above 0%"));
  } else if (!plan_.stages.empty() && plan.weight_ppm <= plan_.stages.back().weight_ppm) {
    Fault(StrCat("the canary stage of ", weight, " follows one of ",
                 FormatShare(plan_.stages.back().weight_ppm), ": weights must rise"));
  }
  if (plan.duration_ns <= 0) {
    Fault(StrCat("the canary stage of ", weight, " lasts 0s: nothing could be learned from it"));
  }
  if (plan.min_samples < 1 || plan.min_samples > kMaxMinSamples) {
    Fault(StrCat("the canary stage of ", weight, " has min_samples ", plan.min_samples,
                 ", allowed is 1 to ", kMaxMinSamples, ": no messages prove nothing"));
  }
  plan.duration_ns = Scaled(std::max<int64_t>(plan.duration_ns, 0));
  plan_.stages.push_back(plan);
}

void Resolver::TakeStage(const StageSpec& stage, size_t place) {
  const std::string_view name = StageKindName(stage.kind);
  const uint32_t bit = 1u << static_cast<uint8_t>(stage.kind);
  if (stage.kind != StageKind::kCanary && (kinds_seen_ & bit) != 0) {
    Fault(StrCat("the stage ", name, " is there twice"));
    return;
  }
  kinds_seen_ |= bit;
  if (place > 0 && Rank(stage.kind) < Rank(spec_.stages[place - 1].kind)) {
    Fault(StrCat("the stage ", name, " comes after ", StageKindName(spec_.stages[place - 1].kind),
                 ": the order is validate, warm_up, canary, full, cleanup"));
  }
  switch (stage.kind) {
    case StageKind::kValidate:
      plan_.validate_limit_ns = stage.duration_ns.value_or(kDefaultValidateLimitNs);
      if (plan_.validate_limit_ns <= 0) Fault("validate: 0s leaves no time to validate");
      break;
    case StageKind::kWarmUp:
      if (stage.hold) {
        if (stage.duration_ns.value_or(0) > 0) AddPreviewStage(*stage.duration_ns, false);
      } else {
        plan_.warm_up_limit_ns = stage.duration_ns.value_or(kDefaultWarmUpLimitNs);
        if (plan_.warm_up_limit_ns <= 0) Fault("warm_up: 0s leaves no time to start a worker");
      }
      break;
    case StageKind::kCanary:
      TakeCanary(stage);
      break;
    case StageKind::kFull:
      full_ = true;
      break;
    case StageKind::kSwitch:
      if (spec_.strategy != Strategy::kBlueGreen) {
        Fault(StrCat("the stage switch belongs to the strategy blue-green, this is ",
                     StrategyName(spec_.strategy)));
      } else if (stage.pause) {
        AddPreviewStage(0, true);
      }
      break;
    case StageKind::kCleanup:
      if (spec_.cleanup_ns.has_value()) Fault("cleanup is given as a stage and as a field");
      plan_.cleanup_ns = stage.duration_ns.value_or(kDefaultCleanupNs);
      break;
  }
}

void Resolver::CheckCanaryEnd() {
  if (spec_.strategy != Strategy::kCanary || spec_.stages.empty()) return;
  const bool has_canary = !plan_.stages.empty() && plan_.stages.back().role == StageRole::kCanary;
  if (!has_canary && faults_.empty()) {
    Fault("the strategy canary has no canary stage; use direct, or add one such as canary: 5%");
  } else if (!full_) {
    Fault("the stages do not end with full: 100%");
  }
}

void Resolver::TakeStages() {
  plan_.validate_limit_ns = kDefaultValidateLimitNs;
  plan_.warm_up_limit_ns = kDefaultWarmUpLimitNs;
  plan_.cleanup_ns = spec_.cleanup_ns.value_or(kDefaultCleanupNs);
  for (size_t i = 0; i < spec_.stages.size(); ++i) TakeStage(spec_.stages[i], i);
  CheckCanaryEnd();
}

void Resolver::TakeConditions() {
  uint32_t seen = 0;
  for (const Condition& condition : spec_.rollback_on) {
    const uint32_t bit = 1u << static_cast<uint8_t>(condition.metric);
    if ((seen & bit) != 0) {
      Fault(StrCat("rollback_on names ", MetricKindName(condition.metric), " twice"));
    }
    seen |= bit;
    if (!std::isfinite(condition.limit) || condition.limit < 0) {
      Fault(StrCat("the limit of ", MetricKindName(condition.metric), " is not a number"));
    }
    if (condition.metric == MetricKind::kDiffers) {
      Fault("differs is what a shadow's fail_on looks at: rollback_on judges live messages");
    }
    plan_.conditions.push_back(condition);
  }
  if (spec_.strategy == Strategy::kShadow && spec_.preview) {
    Fault("a shadow gets copies at once: it has no preview");
  }
  if (spec_.strategy == Strategy::kShadow && !spec_.rollback_on.empty()) {
    Fault("a shadow serves nobody, so there is nothing to roll back: use fail_on");
  }
  if (spec_.promote == PromoteWhen::kEarly && spec_.strategy != Strategy::kCanary) {
    Fault(StrCat("promote: early shortens canary stages, this is ", StrategyName(spec_.strategy)));
  }
}

// What fail_on says of a replay. A shadow's own conditions are those that live messages can show.
void Resolver::TakeHistory() {
  plan_.history = spec_.history.value_or(0);
  if (plan_.history <= 0) return;
  for (const Condition& condition : spec_.shadow_fail_on) {
    if (condition.metric != MetricKind::kErrorRate && condition.metric != MetricKind::kDiffers &&
        condition.metric != MetricKind::kFuelRatio) {
      Fault(StrCat("fail_on names ", MetricKindName(condition.metric),
                   ": a replay of history is judged by error_rate, differs and fuel_ratio"));
    }
    plan_.history_fail_on.push_back(condition);
  }
}

void Resolver::TakeCompare() {
  if (!spec_.shadow_compare.empty()) plan_.compare = {false, false, false};
  for (const std::string& name : spec_.shadow_compare) {
    if (name == "output_equivalence") {
      plan_.compare.outputs = true;
    } else if (name == "performance_metrics") {
      plan_.compare.performance = true;
    } else if (name == "resource_usage") {
      plan_.compare.resources = true;
    } else {
      Fault(StrCat("compare names ", Quoted(name),
                   ", which is none of output_equivalence, performance_metrics, resource_usage"));
    }
  }
}

void Resolver::TakeShadow() {
  if (spec_.strategy != Strategy::kShadow) return;
  for (const Condition& condition : spec_.shadow_fail_on) {
    if (condition.metric == MetricKind::kErrorRate && spec_.history.value_or(0) > 0) continue;
    if (condition.metric != MetricKind::kDiffers && condition.metric != MetricKind::kFuelRatio) {
      Fault(StrCat("fail_on names ", MetricKindName(condition.metric),
                   ": a shadow is judged by differs and fuel_ratio"));
    }
    plan_.conditions.push_back(condition);
  }
  plan_.sample_ppm = spec_.shadow_sample_ppm.value_or(kFullWeightPpm);
  if (plan_.sample_ppm == 0 || plan_.sample_ppm > kFullWeightPpm) {
    Fault("a sample of no messages compares nothing: it is above 0%");
  }
  plan_.secondary = spec_.shadow_secondary;
  StagePlan stage;
  stage.role = StageRole::kShadow;
  stage.duration_ns = spec_.shadow_duration_ns.value_or(kDefaultShadowNs);
  if (stage.duration_ns <= 0) Fault("a shadow of 0s sees no message");
  stage.duration_ns = Scaled(std::max<int64_t>(stage.duration_ns, 0));
  stage.min_samples = 1;
  plan_.stages.push_back(stage);
}

void Resolver::AddDefaults() {
  if (spec_.strategy == Strategy::kCanary && spec_.stages.empty()) {
    for (uint32_t percent : {5u, 25u, 50u}) {
      StageSpec stage;
      stage.weight_ppm = percent * (kFullWeightPpm / 100);
      TakeCanary(stage);
    }
    plan_.notes.push_back("no stages given: 5%, 25%, 50%, full");
  }
  if (spec_.strategy == Strategy::kCanary && spec_.rollback_on.empty()) {
    plan_.conditions.push_back({MetricKind::kErrorRate, kDefaultErrorRateLimit});
    plan_.notes.push_back(
        StrCat("no rollback_on given: ", FormatCondition(plan_.conditions.back())));
  }
  plan_.compare_errors = spec_.strategy == Strategy::kCanary;
  if (spec_.strategy == Strategy::kShadow && !spec_.shadow_duration_ns.has_value()) {
    plan_.notes.push_back(StrCat("no duration given: ", FormatDuration(kDefaultShadowNs)));
  }
  if (context_.time_scale > 1) {
    plan_.notes.push_back(StrCat("stage durations are divided by ", context_.time_scale));
  }
}

void Resolver::SkipWhatNeedsStable() {
  if (context_.has_stable) return;
  if (plan_.history > 0) {
    plan_.notes.push_back("history is not replayed: no revision serves yet to compare with");
  }
  if (!plan_.stages.empty()) {
    plan_.notes.push_back(
        "no revision serves yet: the stages are skipped, this one gets all traffic at once");
  }
  if (!plan_.conditions.empty()) {
    plan_.notes.push_back("rollback_on is not watched: there is nothing to roll back to");
  }
  plan_.stages.clear();
  plan_.conditions.clear();
  plan_.compare_errors = false;
  plan_.history = 0;
  plan_.history_fail_on.clear();
}

absl::StatusOr<DeploymentPlan> Resolver::Run() {
  if (spec_.strategy == Strategy::kShadow && !context_.has_stable) {
    return WithFix(
        WithReason(absl::FailedPreconditionError(
                       "there is nothing to shadow: no revision of this agent serves yet"),
                   "NO_STABLE"),
        "deploy a first revision with the strategy direct");
  }
  plan_.strategy = spec_.strategy;
  plan_.stick = spec_.stick;
  plan_.on_inconclusive = spec_.on_inconclusive;
  plan_.queue = spec_.queue;
  plan_.promote = spec_.promote;
  CheckSizes();
  if (spec_.preview) AddPreviewStage(0, true);
  if (faults_.empty()) TakeStages();
  TakeCompare();
  TakeShadow();
  TakeHistory();
  TakeConditions();
  if (!faults_.empty()) {
    const std::string separator = faults_.size() == 1 ? " " : "\n  ";
    return absl::InvalidArgumentError(
        StrCat("the deployment plan is impossible:", separator, absl::StrJoin(faults_, separator)));
  }
  AddDefaults();
  SkipWhatNeedsStable();
  return std::move(plan_);
}

}  // namespace

absl::StatusOr<DeploymentPlan> ResolvePlan(const DeploymentSpec& spec, const PlanContext& context) {
  return Resolver(spec, context).Run();
}

absl::Status CheckCarriedOut(const DeploymentFile& file) {
  if (file.state_on_rollback.empty()) return absl::OkStatus();
  return WithFix(WithReason(absl::UnimplementedError(
                                "state.on_rollback: agents with state are not carried out by this "
                                "version of Caxton"),
                            "NOT_CARRIED_OUT"),
                 "remove the section state from the deployment file");
}

std::string DescribeStages(const DeploymentPlan& plan) {
  std::string text;
  for (const StagePlan& stage : plan.stages) {
    if (stage.role == StageRole::kShadow) {
      return StrCat("shadow of ", FormatShare(plan.sample_ppm), " for ",
                    FormatDuration(stage.duration_ns));
    }
    const bool preview = stage.role == StageRole::kPreview;
    StrAppend(&text, preview ? std::string("warm and waiting") : FormatShare(stage.weight_ppm));
    if (stage.duration_ns > 0) StrAppend(&text, " for ", FormatDuration(stage.duration_ns));
    if (stage.pause) StrAppend(&text, stage.duration_ns > 0 ? " then promote" : " until promote");
    text += ", ";
  }
  return text + "full";
}

namespace {

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
