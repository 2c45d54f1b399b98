// SPDX-License-Identifier: Apache-2.0
//
// Revision: one immutable version of an agent: module, settings, limits. Everything that decides
// how a step runs is in here, so that two runs of a step on one revision differ in nothing but its
// inputs. A value.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "caxton/base/hash.h"
#include "caxton/model/envelope.h"
#include "caxton/model/ids.h"
#include "caxton/model/limits.h"
#include "caxton/model/module_traits.h"

namespace caxton {

struct ResourceLimits {
  int64_t memory_bytes = kDefaultAgentMemoryBytes;  // per instance
  int64_t cpu_millis = 1000;            // a weight against other agents, 1000 = one share
  int64_t cpu_max_millis = 0;           // a quota; 0: none
  int64_t deadline_ns = 1'000'000'000;  // of one step
  int64_t max_message_bytes = kDefaultMaxMessageBytes;
  int32_t instances = 1;  // worker processes of this revision, each runs one step at a time

  friend bool operator==(const ResourceLimits&, const ResourceLimits&) = default;
};
absl::Status ValidateLimits(const ResourceLimits& limits);

enum class OnPoison : uint8_t { kHold = 0, kSkip = 1 };

struct DeliveryPolicy {
  Delivery mode = Delivery::kDurable;
  int32_t max_attempts = kDefaultMaxAttempts;
  OnPoison on_poison = OnPoison::kHold;

  friend bool operator==(const DeliveryPolicy&, const DeliveryPolicy&) = default;
};

absl::Status ValidateDelivery(const DeliveryPolicy& delivery);
// Names: printable ASCII without blanks and '='; values: UTF-8; all within limits.h.
absl::Status ValidateSettings(const std::map<std::string, std::string>& settings);

struct Revision {
  std::string agent;  // name
  RevisionRef ref;
  std::string version;  // label, unique per agent; may be empty
  Digest module;
  ResourceLimits limits;
  DeliveryPolicy delivery;
  std::map<std::string, std::string> settings;
  ModuleTraits traits;
  int64_t created_ns = 0;  // wall clock
  DeploymentId deployment;

  // "greeter@7"
  std::string Name() const;
  // Whether `other` would run the same: module, settings, limits, delivery. Labels and times do not
  // count.
  bool SameContent(const Revision& other) const;
};

void EncodeRevision(const Revision& revision, std::string* out);
absl::StatusOr<Revision> DecodeRevision(std::string_view bytes);

}  // namespace caxton
