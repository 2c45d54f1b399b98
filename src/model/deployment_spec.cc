// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/deployment_spec.h"

#include <array>
#include <charconv>
#include <cmath>
#include <span>

#include "absl/strings/str_join.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"
#include "caxton/model/units.h"

namespace caxton {
namespace {

constexpr std::array<std::string_view, kStrategyCount> kStrategyNames = {"direct", "blue-green",
                                                                         "canary", "shadow"};
constexpr std::array<std::string_view, kStageKindCount> kStageKindNames = {
    "validate", "warm_up", "canary", "full", "switch", "cleanup"};
constexpr std::array<std::string_view, kMetricKindCount> kMetricKindNames = {
    "error_rate", "p99_latency", "error_ratio", "memory", "cpu",
    "fuel_ratio", "p50_latency", "p95_latency", "differs"};
constexpr std::array<std::string_view, 2> kStickNames = {"key", "message"};
constexpr std::array<std::string_view, 3> kOnInconclusiveNames = {"pause", "rollback", "promote"};
constexpr std::array<std::string_view, 2> kPromoteWhenNames = {"on_time", "early"};
constexpr std::array<std::string_view, 3> kQueuePolicyNames = {"wait", "replace", "refuse"};
constexpr std::array<std::string_view, 3> kDeliveryNames = {"default", "durable", "volatile"};
constexpr std::array<std::string_view, 2> kOnPoisonNames = {"hold", "skip"};

// What takes which is the plan's to check; here it is not known yet.
constexpr std::string_view kMetricFix =
    "rollback_on takes error_rate, p99_latency, p95_latency, p50_latency, memory, cpu, error_ratio "
    "and fuel_ratio; fail_on takes differs and fuel_ratio, and error_rate with history";

template <typename Enum>
std::string_view NameIn(std::span<const std::string_view> names, Enum value) {
  const auto index = static_cast<size_t>(value);
  return index < names.size() ? names[index] : "unknown";
}

// The index of `text` in `names`, or an error that lists them and the nearest.
absl::StatusOr<size_t> IndexIn(std::span<const std::string_view> names, std::string_view text,
                               std::string_view what) {
  std::vector<std::string> known;
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return i;
    known.emplace_back(names[i]);
  }
  const std::string nearest = NearestName(text, known);
  return WithFix(absl::InvalidArgumentError(StrCat(
                     Quoted(text), " is no ", what,
                     nearest.empty() ? std::string() : StrCat(": did you mean ", nearest, "?"))),
                 StrCat("use one of: ", absl::StrJoin(known, ", ")));
}

template <typename Enum>
absl::StatusOr<Enum> ParseIn(std::span<const std::string_view> names, std::string_view text,
                             std::string_view what) {
  ASSIGN_OR_RETURN(const size_t index, IndexIn(names, text, what));
  return static_cast<Enum>(index);
}

std::vector<std::string_view> SplitTrimmed(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t comma = text.find(',');
    parts.push_back(StripWhitespace(text.substr(0, comma)));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

// A factor such as 2 or 1.5.
absl::StatusOr<double> ParseFactor(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value <= 0) {
    return WithFix(absl::InvalidArgumentError(StrCat(Quoted(text), " is not a factor above 0")),
                   "write it as 2 or 1.5");
  }
  return value;
}

absl::StatusOr<double> ParseLimit(MetricKind metric, std::string_view text) {
  switch (metric) {
    case MetricKind::kErrorRate:
    case MetricKind::kDiffers: {
      ASSIGN_OR_RETURN(const uint32_t ppm, ParseSharePpm(text));
      if (ppm == kFullWeightPpm) {
        return WithFix(absl::InvalidArgumentError("a share is never above 100%"),
                       StrCat("write a smaller one, such as ", MetricKindName(metric), " > 5%"));
      }
      return static_cast<double>(ppm) / kFullWeightPpm;
    }
    case MetricKind::kP50Latency:
    case MetricKind::kP95Latency:
    case MetricKind::kP99Latency: {
      ASSIGN_OR_RETURN(const int64_t duration, ParseDurationNs(text));
      if (duration == 0) {
        return WithFix(absl::InvalidArgumentError("every step takes longer than 0s"),
                       StrCat("write the slowest latency you accept, such as ",
                              MetricKindName(metric), " > 100ms"));
      }
      return static_cast<double>(duration);
    }
    case MetricKind::kMemory: {
      ASSIGN_OR_RETURN(const int64_t bytes, ParseSizeBytes(text));
      if (bytes == 0) {
        return WithFix(absl::InvalidArgumentError(StrCat(Quoted(text), " is no memory at all")),
                       "write the most memory you accept, such as memory > 64Mi");
      }
      return static_cast<double>(bytes);
    }
    case MetricKind::kCpu: {
      ASSIGN_OR_RETURN(const int64_t millis, ParseCpuMillis(text));
      return static_cast<double>(millis);
    }
    case MetricKind::kErrorRatio:
    case MetricKind::kFuelRatio:
      return ParseFactor(text);
  }
  return absl::InternalError("unknown metric");
}

absl::StatusOr<StageSpec> ParseStage(std::string_view text) {
  const size_t colon = text.find(':');
  std::string weight(StripWhitespace(text.substr(0, colon)));
  if (!weight.empty() && weight.back() != '%') weight += '%';
  StageSpec stage;
  ASSIGN_OR_RETURN(stage.weight_ppm, ParseSharePpm(weight));
  if (colon != std::string_view::npos) {
    ASSIGN_OR_RETURN(stage.duration_ns, ParseDurationNs(StripWhitespace(text.substr(colon + 1))));
  }
  return stage;
}

}  // namespace

std::string_view StrategyName(Strategy strategy) { return NameIn(kStrategyNames, strategy); }
std::string_view StageKindName(StageKind kind) { return NameIn(kStageKindNames, kind); }
std::string_view MetricKindName(MetricKind kind) { return NameIn(kMetricKindNames, kind); }
std::string_view StickName(Stick value) { return NameIn(kStickNames, value); }
std::string_view OnInconclusiveName(OnInconclusive value) {
  return NameIn(kOnInconclusiveNames, value);
}
std::string_view PromoteWhenName(PromoteWhen value) { return NameIn(kPromoteWhenNames, value); }
std::string_view QueuePolicyName(QueuePolicy value) { return NameIn(kQueuePolicyNames, value); }
std::string_view DeliveryName(Delivery value) { return NameIn(kDeliveryNames, value); }
std::string_view OnPoisonName(OnPoison value) { return NameIn(kOnPoisonNames, value); }

absl::StatusOr<Strategy> ParseStrategy(std::string_view text) {
  return ParseIn<Strategy>(kStrategyNames, text, "strategy");
}
absl::StatusOr<Stick> ParseStick(std::string_view text) {
  return ParseIn<Stick>(kStickNames, text, "way to stick");
}
absl::StatusOr<OnInconclusive> ParseOnInconclusive(std::string_view text) {
  return ParseIn<OnInconclusive>(kOnInconclusiveNames, text, "answer to an inconclusive stage");
}
absl::StatusOr<PromoteWhen> ParsePromoteWhen(std::string_view text) {
  return ParseIn<PromoteWhen>(kPromoteWhenNames, text, "time to promote");
}
absl::StatusOr<QueuePolicy> ParseQueuePolicy(std::string_view text) {
  return ParseIn<QueuePolicy>(kQueuePolicyNames, text, "queue policy");
}
absl::StatusOr<Delivery> ParseDelivery(std::string_view text) {
  return ParseIn<Delivery>(kDeliveryNames, text, "delivery mode");
}
absl::StatusOr<OnPoison> ParseOnPoison(std::string_view text) {
  return ParseIn<OnPoison>(kOnPoisonNames, text, "answer to a poisonous message");
}

absl::StatusOr<std::vector<StageSpec>> ParseStages(std::string_view text) {
  std::vector<StageSpec> stages;
  for (std::string_view part : SplitTrimmed(text)) {
    auto stage = ParseStage(part);
    if (!stage.ok()) return Annotate(stage.status(), StrCat("stage ", stages.size() + 1));
    stages.push_back(*stage);
  }
  const StageSpec& last = stages.back();
  if (last.weight_ppm == kFullWeightPpm && !last.duration_ns.has_value()) stages.pop_back();
  StageSpec full;
  full.kind = StageKind::kFull;
  stages.push_back(full);
  return stages;
}

absl::StatusOr<Condition> ParseCondition(std::string_view text) {
  const size_t op = text.find_first_of("<>=!");
  const std::string_view name = StripWhitespace(text.substr(0, op));
  Condition condition;
  const auto metric = ParseIn<MetricKind>(kMetricKindNames, name, "metric");
  if (!metric.ok()) return WithFix(metric.status(), kMetricFix);
  condition.metric = *metric;
  const std::string_view rest = op == std::string_view::npos ? "" : text.substr(op);
  if (rest.empty() || rest[0] != '>' || (rest.size() > 1 && rest[1] == '=')) {
    return WithFix(absl::InvalidArgumentError(
                       StrCat("the condition ", Quoted(text), " does not say '>' and a limit")),
                   "write it as error_rate > 1% or p99_latency > 100ms");
  }
  auto limit = ParseLimit(condition.metric, StripWhitespace(rest.substr(1)));
  if (!limit.ok()) return Annotate(limit.status(), StrCat("the limit of ", name));
  condition.limit = *limit;
  return condition;
}

absl::StatusOr<std::vector<Condition>> ParseConditions(std::string_view text) {
  std::vector<Condition> conditions;
  for (std::string_view part : SplitTrimmed(text)) {
    ASSIGN_OR_RETURN(Condition condition, ParseCondition(part));
    conditions.push_back(condition);
  }
  return conditions;
}

std::string FormatCondition(const Condition& condition) {
  std::string limit;
  switch (condition.metric) {
    case MetricKind::kErrorRate:
    case MetricKind::kDiffers:
      limit = FormatShare(static_cast<uint32_t>(std::lround(condition.limit * kFullWeightPpm)));
      break;
    case MetricKind::kP50Latency:
    case MetricKind::kP95Latency:
    case MetricKind::kP99Latency:
      limit = FormatDuration(std::llround(condition.limit));
      break;
    case MetricKind::kMemory:
      limit = FormatSize(std::llround(condition.limit));
      break;
    case MetricKind::kCpu:
      limit = FormatCpu(std::llround(condition.limit));
      break;
    case MetricKind::kErrorRatio:
    case MetricKind::kFuelRatio:
      limit = StrCat(condition.limit);
      break;
  }
  return StrCat(MetricKindName(condition.metric), " > ", limit);
}

void ApplyOverrides(const RevisionOverrides& overrides, Revision* base) {
  const auto set = [](const auto& from, auto* to) {
    if (from.has_value()) *to = *from;
  };
  set(overrides.memory_bytes, &base->limits.memory_bytes);
  set(overrides.cpu_millis, &base->limits.cpu_millis);
  set(overrides.cpu_max_millis, &base->limits.cpu_max_millis);
  set(overrides.deadline_ns, &base->limits.deadline_ns);
  set(overrides.max_message_bytes, &base->limits.max_message_bytes);
  set(overrides.instances, &base->limits.instances);
  set(overrides.max_attempts, &base->delivery.max_attempts);
  set(overrides.delivery, &base->delivery.mode);
  set(overrides.on_poison, &base->delivery.on_poison);
  for (const auto& [name, value] : overrides.settings) base->settings[name] = value;
}

}  // namespace caxton
