// SPDX-License-Identifier: Apache-2.0
//
// DeploymentSpec: what a person asked for, after parsing (caxton/deployment/spec_yaml.h, flags or
// the API) and before defaults are resolved into a plan (caxton/deployment/plan.h). A value.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/model/revision.h"

namespace caxton {

enum class Strategy : uint8_t { kDirect = 0, kBlueGreen = 1, kCanary = 2, kShadow = 3 };
std::string_view StrategyName(Strategy strategy);  // "direct", "blue-green", ...
absl::StatusOr<Strategy> ParseStrategy(std::string_view text);
inline constexpr uint8_t kStrategyCount = 4;

enum class StageKind : uint8_t {
  kValidate = 0,
  kWarmUp = 1,
  kCanary = 2,
  kFull = 3,
  kSwitch = 4,
  kCleanup = 5,
};
inline constexpr uint8_t kStageKindCount = 6;
std::string_view StageKindName(StageKind kind);  // "validate", "warm_up", ...

struct StageSpec {
  StageKind kind = StageKind::kCanary;
  std::optional<int64_t> duration_ns;  // unset: the kind's default
  uint32_t weight_ppm = 0;             // canary only
  std::optional<int64_t> min_samples;  // canary only, default 100
  bool pause = false;                  // canary, switch: wait for `promote` at its end
  bool hold = false;                   // warm_up only: wait the whole duration on purpose

  friend bool operator==(const StageSpec&, const StageSpec&) = default;
};
// The flag form "5:5m,25:10m,50": canary weights in percent, each with its duration or without; a
// final full stage is implied.
absl::StatusOr<std::vector<StageSpec>> ParseStages(std::string_view text);

// One `rollback_on` condition, e.g. error_rate > 1%.
enum class MetricKind : uint8_t {
  kErrorRate = 0,   // limit: share of first runs, 0..1
  kP99Latency = 1,  // limit: nanoseconds
  kErrorRatio = 2,  // limit: a factor against stable
  kMemory = 3,      // limit: bytes of an instance
  kCpu = 4,         // limit: millicores, the processor time a second of the candidate's first runs
  kFuelRatio = 5,   // limit: a factor against stable
  kP50Latency = 6,  // limit: nanoseconds
  kP95Latency = 7,  // limit: nanoseconds
  kDiffers = 8,     // limit: share of compared messages, 0..1; fail_on only
};
inline constexpr uint8_t kMetricKindCount = 9;
std::string_view MetricKindName(MetricKind kind);  // "error_rate", ...

struct Condition {
  MetricKind metric = MetricKind::kErrorRate;
  double limit = 0;  // the condition fires when the metric is above it
  friend bool operator==(const Condition&, const Condition&) = default;
};
// "error_rate > 1%" and "p99_latency>100ms", with or without blanks.
absl::StatusOr<Condition> ParseCondition(std::string_view text);
// The flag form: several with commas between.
absl::StatusOr<std::vector<Condition>> ParseConditions(std::string_view text);
std::string FormatCondition(const Condition& condition);

enum class Stick : uint8_t { kKey = 0, kMessage = 1 };
enum class OnInconclusive : uint8_t { kPause = 0, kRollback = 1, kPromote = 2 };
enum class PromoteWhen : uint8_t { kOnTime = 0, kEarly = 1 };
enum class QueuePolicy : uint8_t { kWait = 0, kReplace = 1, kRefuse = 2 };
// As the deployment file writes them: "key", "pause", "on_time", "wait", "durable", "hold", ...
std::string_view StickName(Stick value);
std::string_view OnInconclusiveName(OnInconclusive value);
std::string_view PromoteWhenName(PromoteWhen value);
std::string_view QueuePolicyName(QueuePolicy value);
std::string_view DeliveryName(Delivery value);
std::string_view OnPoisonName(OnPoison value);
absl::StatusOr<Stick> ParseStick(std::string_view text);
absl::StatusOr<OnInconclusive> ParseOnInconclusive(std::string_view text);
absl::StatusOr<PromoteWhen> ParsePromoteWhen(std::string_view text);
absl::StatusOr<QueuePolicy> ParseQueuePolicy(std::string_view text);
absl::StatusOr<Delivery> ParseDelivery(std::string_view text);
absl::StatusOr<OnPoison> ParseOnPoison(std::string_view text);

struct DeploymentSpec {
  Strategy strategy = Strategy::kDirect;
  std::vector<StageSpec> stages;       // empty: the strategy's defaults
  std::vector<Condition> rollback_on;  // empty: the strategy's default
  Stick stick = Stick::kKey;
  OnInconclusive on_inconclusive = OnInconclusive::kPause;
  PromoteWhen promote = PromoteWhen::kOnTime;
  QueuePolicy queue = QueuePolicy::kWait;
  std::optional<int64_t> cleanup_ns;
  std::optional<int32_t> history;  // replay that many of the agent's last messages before traffic
  bool preview = false;            // waits, warm and without traffic, for `promote`
  // Shadow only.
  std::optional<int64_t> shadow_duration_ns;
  std::vector<std::string> shadow_compare;    // as written; empty: everything; history too
  std::optional<uint32_t> shadow_sample_ppm;  // share of the messages that is mirrored; unset: all
  bool shadow_secondary = false;  // run stable a second time, to see what differs by itself
  // fail_on: of a shadow, and of a replay of history in any strategy.
  std::vector<Condition> shadow_fail_on;
  friend bool operator==(const DeploymentSpec&, const DeploymentSpec&) = default;
};

// What a request changes of the running revision's limits, delivery and settings; unset: carried
// over.
struct RevisionOverrides {
  std::optional<int64_t> memory_bytes, cpu_millis, cpu_max_millis, deadline_ns, max_message_bytes;
  std::optional<int32_t> instances, max_attempts;
  std::optional<Delivery> delivery;
  std::optional<OnPoison> on_poison;
  std::map<std::string, std::string> settings;  // laid over one by one

  friend bool operator==(const RevisionOverrides&, const RevisionOverrides&) = default;
};
// `base` with `overrides` laid over it.
void ApplyOverrides(const RevisionOverrides& overrides, Revision* base);

// Where a file says something; both from 1.
struct FilePlace {
  int line = 0;
  int column = 0;
};

// A whole deployment file.
struct DeploymentFile {
  std::string agent, module, version;  // empty: not given
  DeploymentSpec spec;
  RevisionOverrides overrides;
  // `state: { on_rollback: ... }` as written; empty: not given. Plans refuse it until agents keep
  // state.
  std::string state_on_rollback;
  bool fresh_baseline = false;  // `baseline: fresh`, refused likewise
  bool shared_workers = false;  // `isolation: shared`, refused likewise
  // Of the fields of `deployment` ("history") and the entries of its lists ("stages[2]"), for what
  // is found wrong after reading; what no longer is the file's is taken out.
  std::map<std::string, FilePlace> places;
};

void EncodeSpec(const DeploymentSpec& spec, std::string* out);
absl::StatusOr<DeploymentSpec> DecodeSpec(std::string_view bytes);

}  // namespace caxton
