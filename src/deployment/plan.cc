// SPDX-License-Identifier: Apache-2.0
#include "caxton/deployment/plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_join.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/limits.h"
#include "caxton/model/text.h"
#include "caxton/model/units.h"

namespace caxton::deployment {
namespace {

// What is impossible, and the field that says so: "history", "stages[2]".
struct PlanFault {
  std::string field, text;
};

std::string Entry(std::string_view list, size_t index) { return StrCat(list, "[", index, "]"); }

// Resolves one spec, collecting what is impossible.
class Resolver final {
 public:
  Resolver(const DeploymentSpec& spec, const PlanContext& context)
      : spec_(spec), context_(context) {}

  absl::StatusOr<DeploymentPlan> Run();
  // After Run.
  const std::vector<PlanFault>& faults() const { return faults_; }

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
  void Fault(std::string text) { FaultAt(at_, std::move(text)); }
  void FaultAt(std::string field, std::string text) {
    faults_.push_back({std::move(field), std::move(text)});
  }
  int64_t Scaled(int64_t duration_ns) const;

  const DeploymentSpec& spec_;
  const PlanContext& context_;
  DeploymentPlan plan_;
  std::vector<PlanFault> faults_;
  std::string at_;  // the entry of a list that is looked at
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

int64_t Resolver::Scaled(int64_t duration_ns) const {
  if (context_.time_scale <= 1) return duration_ns;  // below 1 is a fault of its own
  return std::max(duration_ns / context_.time_scale, kMinStageNs);
}

void Resolver::CheckSizes() {
  if (spec_.stages.size() > kMaxStages) {
    FaultAt("stages", StrCat("it has ", spec_.stages.size(), " stages, the limit is ", kMaxStages));
  }
  if (spec_.rollback_on.size() > kMaxRollbackConditions) {
    FaultAt("rollback_on", StrCat("rollback_on has ", spec_.rollback_on.size(),
                                  " conditions, the limit is ", kMaxRollbackConditions));
  }
  if (context_.time_scale < 1 || context_.time_scale > kMaxTimeScale) {
    Fault(StrCat("the time scale is ", context_.time_scale, ", allowed is 1 to ", kMaxTimeScale));
  }
  if (spec_.history.value_or(0) < 0 || spec_.history.value_or(0) > kMaxHistory) {
    FaultAt("history",
            StrCat("history is ", *spec_.history, ", allowed is 0 to ", kMaxHistory, " messages"));
  }
  if (spec_.strategy == Strategy::kShadow) return;
  if (spec_.shadow_duration_ns.has_value() || spec_.shadow_sample_ppm.has_value() ||
      spec_.shadow_secondary) {
    FaultAt(spec_.shadow_duration_ns.has_value()  ? "duration"
            : spec_.shadow_sample_ppm.has_value() ? "sample"
                                                  : "secondary",
            "duration, sample and secondary belong to the strategy shadow");
  }
  const bool compares = !spec_.shadow_compare.empty() || !spec_.shadow_fail_on.empty();
  if (compares && spec_.history.value_or(0) == 0) {
    FaultAt(spec_.shadow_compare.empty() ? "fail_on" : "compare",
            "compare and fail_on belong to the strategy shadow, or to a replay of history");
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
    FaultAt("stages",
            "the strategy canary has no canary stage; use direct, or add one such as canary: 5%");
  } else if (!full_) {
    FaultAt("stages", "the stages do not end with full: 100%");
  }
}

void Resolver::TakeStages() {
  plan_.validate_limit_ns = kDefaultValidateLimitNs;
  plan_.warm_up_limit_ns = kDefaultWarmUpLimitNs;
  plan_.cleanup_ns = spec_.cleanup_ns.value_or(kDefaultCleanupNs);
  for (size_t i = 0; i < spec_.stages.size(); ++i) {
    at_ = Entry("stages", i);
    TakeStage(spec_.stages[i], i);
  }
  at_.clear();
  CheckCanaryEnd();
}

void Resolver::TakeConditions() {
  uint32_t seen = 0;
  for (size_t i = 0; i < spec_.rollback_on.size(); ++i) {
    const Condition& condition = spec_.rollback_on[i];
    at_ = Entry("rollback_on", i);
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
  at_.clear();
  if (spec_.strategy == Strategy::kShadow && spec_.preview) {
    FaultAt("preview", "a shadow gets copies at once: it has no preview");
  }
  if (spec_.strategy == Strategy::kShadow && !spec_.rollback_on.empty()) {
    FaultAt("rollback_on", "a shadow serves nobody, so there is nothing to roll back: use fail_on");
  }
  if (spec_.promote == PromoteWhen::kEarly && spec_.strategy != Strategy::kCanary) {
    FaultAt("promote", StrCat("promote: early shortens canary stages, this is ",
                              StrategyName(spec_.strategy)));
  }
}

// What fail_on says of a replay. A shadow's own conditions are those that live messages can show.
void Resolver::TakeHistory() {
  plan_.history = spec_.history.value_or(0);
  if (plan_.history <= 0) return;
  for (size_t i = 0; i < spec_.shadow_fail_on.size(); ++i) {
    const Condition& condition = spec_.shadow_fail_on[i];
    if (condition.metric != MetricKind::kErrorRate && condition.metric != MetricKind::kDiffers &&
        condition.metric != MetricKind::kFuelRatio) {
      FaultAt(Entry("fail_on", i),
              StrCat("fail_on names ", MetricKindName(condition.metric),
                     ": a replay of history is judged by error_rate, differs and fuel_ratio"));
    }
    plan_.history_fail_on.push_back(condition);
  }
}

void Resolver::TakeCompare() {
  if (!spec_.shadow_compare.empty()) plan_.compare = {false, false, false};
  for (size_t i = 0; i < spec_.shadow_compare.size(); ++i) {
    const std::string& name = spec_.shadow_compare[i];
    if (name == "output_equivalence") {
      plan_.compare.outputs = true;
    } else if (name == "performance_metrics") {
      plan_.compare.performance = true;
    } else if (name == "resource_usage") {
      plan_.compare.resources = true;
    } else {
      FaultAt(Entry("compare", i),
              StrCat("compare names ", Quoted(name),
                     ", which is none of output_equivalence, performance_metrics, resource_usage"));
    }
  }
}

void Resolver::TakeShadow() {
  if (spec_.strategy != Strategy::kShadow) return;
  for (size_t i = 0; i < spec_.shadow_fail_on.size(); ++i) {
    const Condition& condition = spec_.shadow_fail_on[i];
    if (condition.metric == MetricKind::kErrorRate && spec_.history.value_or(0) > 0) continue;
    if (condition.metric != MetricKind::kDiffers && condition.metric != MetricKind::kFuelRatio) {
      FaultAt(Entry("fail_on", i), StrCat("fail_on names ", MetricKindName(condition.metric),
                                          ": a shadow is judged by differs and fuel_ratio"));
    }
    plan_.conditions.push_back(condition);
  }
  plan_.sample_ppm = spec_.shadow_sample_ppm.value_or(kFullWeightPpm);
  if (plan_.sample_ppm == 0 || plan_.sample_ppm > kFullWeightPpm) {
    FaultAt("sample", "a sample of no messages compares nothing: it is above 0%");
  }
  plan_.secondary = spec_.shadow_secondary;
  StagePlan stage;
  stage.role = StageRole::kShadow;
  stage.duration_ns = spec_.shadow_duration_ns.value_or(kDefaultShadowNs);
  if (stage.duration_ns <= 0) FaultAt("duration", "a shadow of 0s sees no message");
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
  if (spec_.stages.size() <= kMaxStages) TakeStages();
  TakeCompare();
  TakeShadow();
  TakeHistory();
  TakeConditions();
  if (!faults_.empty()) {
    const std::string_view separator = faults_.size() == 1 ? " " : "\n  ";
    std::string why = "the deployment plan is impossible:";
    for (const PlanFault& fault : faults_) StrAppend(&why, separator, fault.text);
    absl::Status impossible = WithReason(absl::InvalidArgumentError(why), "IMPOSSIBLE_PLAN");
    const std::string& field = faults_.front().field;
    if (field.empty()) return impossible;
    return WithField(std::move(impossible), StrCat("spec.", field));
  }
  AddDefaults();
  SkipWhatNeedsStable();
  return std::move(plan_);
}

}  // namespace

absl::StatusOr<DeploymentPlan> ResolvePlan(const DeploymentSpec& spec, const PlanContext& context) {
  return Resolver(spec, context).Run();
}

absl::Status CheckPlan(const DeploymentFile& file, std::string_view filename) {
  // Whether a revision serves is the server's to know; no fault but NO_STABLE depends on it.
  const PlanContext anywhere{.has_stable = true};
  Resolver resolver(file.spec, anywhere);
  if (resolver.Run().ok()) return absl::OkStatus();
  std::vector<std::string> lines;
  for (const PlanFault& fault : resolver.faults()) {
    const auto at = file.places.find(fault.field);
    lines.push_back(at == file.places.end() ? StrCat(filename, ": ", fault.text)
                                            : StrCat(filename, ":", at->second.line, ":",
                                                     at->second.column, ": ", fault.text));
  }
  return WithReason(absl::InvalidArgumentError(absl::StrJoin(lines, "\n")), "BAD_DEPLOYMENT_FILE");
}

absl::Status CheckCarriedOut(const DeploymentFile& file) {
  const auto refuse = [](std::string_view what, std::string_view fix) {
    return WithFix(
        WithReason(absl::UnimplementedError(StrCat(what, " not carried out by this version")),
                   "NOT_CARRIED_OUT"),
        fix);
  };
  if (!file.state_on_rollback.empty()) {
    return refuse("state.on_rollback: agents with state are",
                  "remove the section state from the deployment file");
  }
  if (file.fresh_baseline) {
    return refuse("baseline: fresh (a freshly started set of stable's instances) is",
                  "leave baseline out: stable itself is what a canary is compared with");
  }
  if (file.shared_workers) {
    return refuse("isolation: shared (workers of several agents) is",
                  "leave isolation out: every agent's workers are dedicated");
  }
  return absl::OkStatus();
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

}  // namespace caxton::deployment
