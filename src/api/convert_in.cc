// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/units.h"
#include "convert.h"
#include "status.h"

namespace caxton::api {

absl::StatusOr<int64_t> FromWire(const google::protobuf::Duration& duration,
                                 std::string_view field) {
  constexpr int64_t kMostSeconds = 365LL * 24 * 3600;
  if (duration.seconds() < 0 || duration.nanos() < 0 || duration.nanos() > 999'999'999 ||
      duration.seconds() > kMostSeconds) {
    return absl::InvalidArgumentError(StrCat(field, ": a duration lies between 0s and a year"));
  }
  return duration.seconds() * kNanosPerSecond + duration.nanos();
}

namespace {

absl::StatusOr<int64_t> WallNs(const google::protobuf::Timestamp& time, std::string_view field) {
  constexpr int64_t kMostSeconds = 9'000'000'000;  // year 2255: within 64-bit nanoseconds
  if (time.seconds() < 0 || time.nanos() < 0 || time.nanos() > 999'999'999 ||
      time.seconds() > kMostSeconds) {
    return absl::InvalidArgumentError(StrCat(field, ": not a time between 1970 and 2255"));
  }
  return time.seconds() * kNanosPerSecond + time.nanos();
}

absl::StatusOr<StageSpec> StageFromWire(const v1::Stage& stage) {
  StageSpec out;
  switch (stage.kind()) {
    case v1::Stage::VALIDATE:
      out.kind = StageKind::kValidate;
      break;
    case v1::Stage::WARM_UP:
      out.kind = StageKind::kWarmUp;
      break;
    case v1::Stage::CANARY:
      out.kind = StageKind::kCanary;
      break;
    case v1::Stage::FULL:
      out.kind = StageKind::kFull;
      break;
    case v1::Stage::SWITCH:
      out.kind = StageKind::kSwitch;
      break;
    case v1::Stage::CLEANUP:
      out.kind = StageKind::kCleanup;
      break;
    default:
      return absl::InvalidArgumentError("stages: a stage needs a kind");
  }
  if (stage.has_duration()) {
    ASSIGN_OR_RETURN(const int64_t ns, FromWire(stage.duration(), "stages.duration"));
    out.duration_ns = ns;
  }
  if (!stage.weight().empty()) {
    ASSIGN_OR_RETURN(out.weight_ppm, ParseSharePpm(stage.weight()));
  }
  if (stage.has_min_samples()) out.min_samples = stage.min_samples();
  out.pause = stage.pause();
  out.hold = stage.hold();
  return out;
}

template <typename T>
std::optional<T> Set(bool set, T value) {
  return set ? std::optional<T>(value) : std::nullopt;
}

}  // namespace

absl::StatusOr<Envelope> FromWire(const v1::Envelope& in, bool want_reply) {
  Envelope out;
  out.receiver = in.receiver();
  if (!v1::Performative_IsValid(in.performative())) {
    return absl::InvalidArgumentError("performative: not one of FIPA's");
  }
  out.performative = in.performative() == v1::PERFORMATIVE_UNSPECIFIED
                         ? (want_reply ? Performative::kRequest : Performative::kInform)
                         : static_cast<Performative>(in.performative() - 1);
  out.conversation_id = in.conversation_id();
  out.reply_with = in.reply_with();
  out.in_reply_to = in.in_reply_to();
  out.key = in.key();
  out.content = in.content();
  out.content_type = in.content_type();
  if (in.has_deadline()) {
    ASSIGN_OR_RETURN(out.deadline_ns, WallNs(in.deadline(), "deadline"));
  }
  for (const auto& [name, value] : in.headers()) out.headers.emplace_back(name, value);
  std::sort(out.headers.begin(), out.headers.end());
  out.traceparent = in.traceparent();
  out.idempotency_key = in.idempotency_key();
  switch (in.delivery()) {
    case v1::DELIVERY_UNSPECIFIED:
      break;
    case v1::DURABLE:
      out.delivery = Delivery::kDurable;
      break;
    case v1::VOLATILE:
      out.delivery = Delivery::kVolatile;
      break;
    default:
      return absl::InvalidArgumentError("delivery: DURABLE or VOLATILE");
  }
  return out;
}

namespace {

absl::StatusOr<std::vector<Condition>> ConditionsFromWire(
    const google::protobuf::RepeatedPtrField<std::string>& texts, std::string_view field) {
  if (texts.size() > static_cast<int>(kMaxRollbackConditions)) {
    return absl::InvalidArgumentError(
        StrCat(field, ": at most ", kMaxRollbackConditions, " conditions"));
  }
  std::vector<Condition> conditions;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(const Condition condition, ParseCondition(text));
    conditions.push_back(condition);
  }
  return conditions;
}

}  // namespace

absl::StatusOr<DeploymentSpec> FromWire(const v1::DeploymentSpec& in) {
  DeploymentSpec out;
  switch (in.strategy()) {
    case v1::STRATEGY_UNSPECIFIED:
    case v1::DIRECT:
      out.strategy = Strategy::kDirect;
      break;
    case v1::BLUE_GREEN:
      out.strategy = Strategy::kBlueGreen;
      break;
    case v1::CANARY:
      out.strategy = Strategy::kCanary;
      break;
    case v1::SHADOW:
      out.strategy = Strategy::kShadow;
      break;
    default:
      return absl::InvalidArgumentError("strategy: DIRECT, BLUE_GREEN, CANARY or SHADOW");
  }
  if (in.stages_size() > static_cast<int>(kMaxStages)) {
    return absl::InvalidArgumentError(StrCat("stages: at most ", kMaxStages));
  }
  for (const v1::Stage& stage : in.stages()) {
    ASSIGN_OR_RETURN(StageSpec made, StageFromWire(stage));
    out.stages.push_back(std::move(made));
  }
  ASSIGN_OR_RETURN(out.rollback_on, ConditionsFromWire(in.rollback_on(), "rollback_on"));
  if (in.stick() == v1::DeploymentSpec::MESSAGE) out.stick = Stick::kMessage;
  if (in.on_inconclusive() == v1::DeploymentSpec::ROLLBACK)
    out.on_inconclusive = OnInconclusive::kRollback;
  if (in.on_inconclusive() == v1::DeploymentSpec::PROMOTE)
    out.on_inconclusive = OnInconclusive::kPromote;
  if (in.promote() == v1::DeploymentSpec::EARLY) out.promote = PromoteWhen::kEarly;
  if (in.queue() == v1::DeploymentSpec::REPLACE) out.queue = QueuePolicy::kReplace;
  if (in.queue() == v1::DeploymentSpec::REFUSE) out.queue = QueuePolicy::kRefuse;
  if (in.has_cleanup()) {
    ASSIGN_OR_RETURN(const int64_t ns, FromWire(in.cleanup(), "cleanup"));
    out.cleanup_ns = ns;
  }
  if (in.has_shadow_duration()) {
    ASSIGN_OR_RETURN(const int64_t ns, FromWire(in.shadow_duration(), "duration"));
    out.shadow_duration_ns = ns;
  }
  out.shadow_compare.assign(in.shadow_compare().begin(), in.shadow_compare().end());
  ASSIGN_OR_RETURN(out.shadow_fail_on, ConditionsFromWire(in.shadow_fail_on(), "shadow_fail_on"));
  if (!in.shadow_sample().empty()) {
    ASSIGN_OR_RETURN(const uint32_t sample, ParseSharePpm(in.shadow_sample()));
    out.shadow_sample_ppm = sample;
  }
  out.shadow_secondary = in.shadow_secondary();
  if (in.history() != 0) out.history = in.history();
  out.preview = in.preview();
  return out;
}

absl::StatusOr<RevisionOverrides> FromWire(const v1::RevisionOverrides& in) {
  RevisionOverrides out;
  const v1::ResourceLimits& limits = in.limits();
  if (!limits.memory().empty()) {
    ASSIGN_OR_RETURN(const int64_t v, ParseSizeBytes(limits.memory()));
    out.memory_bytes = v;
  }
  if (!limits.cpu().empty()) {
    ASSIGN_OR_RETURN(const int64_t v, ParseCpuMillis(limits.cpu()));
    out.cpu_millis = v;
  }
  if (!limits.cpu_max().empty()) {
    ASSIGN_OR_RETURN(const int64_t v, ParseCpuMillis(limits.cpu_max()));
    out.cpu_max_millis = v;
  }
  if (limits.has_deadline()) {
    ASSIGN_OR_RETURN(const int64_t v, FromWire(limits.deadline(), "limits.deadline"));
    out.deadline_ns = v;
  }
  if (!limits.max_message().empty()) {
    ASSIGN_OR_RETURN(const int64_t v, ParseSizeBytes(limits.max_message()));
    out.max_message_bytes = v;
  }
  out.instances = Set(limits.instances() != 0, limits.instances());
  if (!limits.isolation().empty() && limits.isolation() != "dedicated") {
    return NotCarriedOut(StrCat("isolation '", limits.isolation(), "'"));
  }
  const v1::DeliveryPolicy& delivery = in.delivery();
  out.max_attempts = Set(delivery.max_attempts() != 0, delivery.max_attempts());
  if (delivery.mode() == v1::DURABLE) out.delivery = Delivery::kDurable;
  if (delivery.mode() == v1::VOLATILE) out.delivery = Delivery::kVolatile;
  if (delivery.on_poison() == v1::HOLD) out.on_poison = OnPoison::kHold;
  if (delivery.on_poison() == v1::SKIP) out.on_poison = OnPoison::kSkip;
  if (in.settings().size() > kMaxSettings) {
    return absl::InvalidArgumentError(StrCat("settings: at most ", kMaxSettings));
  }
  for (const auto& [name, value] : in.settings()) {
    if (name.empty() || name.size() > kMaxSettingNameBytes ||
        value.size() > kMaxSettingValueBytes) {
      return absl::InvalidArgumentError(StrCat("settings: a name has 1 to ", kMaxSettingNameBytes,
                                               " bytes, a value at most ", kMaxSettingValueBytes));
    }
    out.settings[name] = value;
  }
  if (in.unset_settings_size() > 0) return NotCarriedOut("unsetting a setting");
  return out;
}

absl::StatusOr<controller::DeployRequest> FromWire(const v1::DeployRequest& in) {
  controller::DeployRequest out;
  out.agent = in.name();
  out.label = in.version();
  ASSIGN_OR_RETURN(out.spec, FromWire(in.spec()));
  out.spec.preview |= in.preview();
  ASSIGN_OR_RETURN(out.overrides, FromWire(in.overrides()));
  out.force = in.force();
  out.validate_only = in.validate_only();
  out.allow_breaking = in.allow_breaking();
  if (in.requested_by().size() > kMaxRequestedByBytes) {
    return absl::InvalidArgumentError(
        StrCat("requested_by: at most ", kMaxRequestedByBytes, " bytes"));
  }
  out.requested_by = in.requested_by();
  return out;
}

}  // namespace caxton::api
