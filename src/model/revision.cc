// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/revision.h"

#include <cstring>

#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/text.h"
#include "caxton/model/units.h"

namespace caxton {
namespace {

absl::Status OutOfRange(std::string_view field, std::string_view value, std::string_view range) {
  return WithFix(absl::InvalidArgumentError(StrCat(field, " is ", value, ", allowed is ", range)),
                 StrCat("set ", field, " to ", range));
}

absl::Status CheckSetting(const std::string& name, const std::string& value) {
  if (name.empty() || name.size() > kMaxSettingNameBytes) {
    return OutOfRange("the length of a setting's name", StrCat(name.size()),
                      StrCat("1 to ", kMaxSettingNameBytes, " bytes"));
  }
  for (char c : name) {
    if (c <= ' ' || c > '~' || c == '=') {
      return absl::InvalidArgumentError(
          StrCat("the setting name ", Quoted(name), " has other than printable ASCII, or a '='"));
    }
  }
  if (value.size() > kMaxSettingValueBytes) {
    return OutOfRange(StrCat("the length of setting ", Quoted(name)), StrCat(value.size()),
                      StrCat("at most ", kMaxSettingValueBytes, " bytes"));
  }
  if (!IsUtf8(value)) {
    return absl::InvalidArgumentError(StrCat("the setting ", Quoted(name), " is not UTF-8 text"));
  }
  return absl::OkStatus();
}

void WriteLimits(const ResourceLimits& limits, ByteWriter& w) {
  w.I64(limits.memory_bytes);
  w.I64(limits.cpu_millis);
  w.I64(limits.cpu_max_millis);
  w.I64(limits.deadline_ns);
  w.I64(limits.max_message_bytes);
  w.I32(limits.instances);
}

ResourceLimits ReadLimits(ByteReader& r) {
  ResourceLimits limits;
  limits.memory_bytes = r.I64();
  limits.cpu_millis = r.I64();
  limits.cpu_max_millis = r.I64();
  limits.deadline_ns = r.I64();
  limits.max_message_bytes = r.I64();
  limits.instances = r.I32();
  return limits;
}

}  // namespace

absl::Status ValidateLimits(const ResourceLimits& limits) {
  if (limits.memory_bytes < kMinAgentMemoryBytes || limits.memory_bytes > kMaxAgentMemoryBytes) {
    return OutOfRange(
        "memory", FormatSize(limits.memory_bytes),
        StrCat(FormatSize(kMinAgentMemoryBytes), " to ", FormatSize(kMaxAgentMemoryBytes)));
  }
  if (limits.cpu_millis <= 0 || limits.cpu_millis > kMaxCpuMillis) {
    return OutOfRange("cpu", FormatCpu(limits.cpu_millis),
                      StrCat("1m to ", FormatCpu(kMaxCpuMillis)));
  }
  if (limits.cpu_max_millis < 0 || limits.cpu_max_millis > kMaxCpuMillis) {
    return OutOfRange("cpu_max", FormatCpu(limits.cpu_max_millis),
                      StrCat("1m to ", FormatCpu(kMaxCpuMillis)));
  }
  if (limits.deadline_ns < kMinStepDeadlineNs || limits.deadline_ns > kMaxStepDeadlineNs) {
    return OutOfRange(
        "deadline", FormatDuration(limits.deadline_ns),
        StrCat(FormatDuration(kMinStepDeadlineNs), " to ", FormatDuration(kMaxStepDeadlineNs)));
  }
  if (limits.max_message_bytes <= 0 || limits.max_message_bytes > kHardMaxMessageBytes) {
    return OutOfRange("max_message", FormatSize(limits.max_message_bytes),
                      StrCat("1 to ", FormatSize(kHardMaxMessageBytes)));
  }
  if (limits.instances < 1 || limits.instances > kMaxInstances) {
    return OutOfRange("instances", StrCat(limits.instances), StrCat("1 to ", kMaxInstances));
  }
  return absl::OkStatus();
}

absl::Status ValidateDelivery(const DeliveryPolicy& delivery) {
  if (delivery.mode != Delivery::kDurable && delivery.mode != Delivery::kVolatile) {
    return OutOfRange("delivery mode", "unknown", "durable or volatile");
  }
  if (delivery.max_attempts < 1 || delivery.max_attempts > kMaxMaxAttempts) {
    return OutOfRange("max_attempts", StrCat(delivery.max_attempts),
                      StrCat("1 to ", kMaxMaxAttempts));
  }
  return absl::OkStatus();
}

absl::Status ValidateSettings(const std::map<std::string, std::string>& settings) {
  if (settings.size() > kMaxSettings) {
    return OutOfRange("the number of settings", StrCat(settings.size()),
                      StrCat("at most ", kMaxSettings));
  }
  for (const auto& [name, value] : settings) RETURN_IF_ERROR(CheckSetting(name, value));
  return absl::OkStatus();
}

std::string Revision::Name() const { return StrCat(agent, "@", ref.number.value()); }

bool Revision::SameContent(const Revision& other) const {
  return module == other.module && limits == other.limits && delivery == other.delivery &&
         settings == other.settings;
}

void EncodeRevision(const Revision& revision, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.Bytes(revision.agent);
  w.U32(revision.ref.agent.value());
  w.U32(revision.ref.number.value());
  w.Bytes(revision.version);
  w.Tail(
      {reinterpret_cast<const char*>(revision.module.bytes.data()), revision.module.bytes.size()});
  WriteLimits(revision.limits, w);
  w.U8(static_cast<uint8_t>(revision.delivery.mode));
  w.I32(revision.delivery.max_attempts);
  w.U8(static_cast<uint8_t>(revision.delivery.on_poison));
  WritePairs(revision.settings, w);
  WriteTraits(revision.traits, w);
  w.I64(revision.created_ns);
  w.U64(revision.deployment.value());
}

absl::StatusOr<Revision> DecodeRevision(std::string_view bytes) {
  ByteReader r(bytes);
  Revision v;
  ReadFormat(r);
  v.agent = r.BytesCopy();
  v.ref.agent = AgentId(r.U32());
  v.ref.number = RevisionNumber(r.U32());
  v.version = r.BytesCopy();
  for (uint8_t& byte : v.module.bytes) byte = r.U8();
  v.limits = ReadLimits(r);
  v.delivery.mode = ReadEnum<Delivery>(r, 3);
  v.delivery.max_attempts = r.I32();
  v.delivery.on_poison = ReadEnum<OnPoison>(r, 2);
  for (auto& [name, value] : ReadPairs(r)) v.settings[name] = std::move(value);
  v.traits = ReadTraits(r);
  v.created_ns = r.I64();
  v.deployment = DeploymentId(r.U64());
  RETURN_IF_ERROR(r.Finish("revision"));
  return v;
}

}  // namespace caxton
