// SPDX-License-Identifier: Apache-2.0
#include "caxton/wasm/instance_pool.h"

#include <algorithm>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"

namespace caxton::wasm {
namespace {

InstancePoolOptions Bounded(InstancePoolOptions options) {
  // A reused instance serves every step: one is all that can be in use.
  options.prepared =
      options.reused ? 1 : std::clamp<uint32_t>(options.prepared, 1, kMaxPreparedInstances);
  return options;
}

}  // namespace

InstancePool::InstancePool(const Module& module, const AgentConfig& config,
                           const StepControl& control, const InstancePoolOptions& options)
    : module_(module), config_(config), control_(control), options_(Bounded(options)) {
  CAXTON_ASSERT(control.clock != nullptr, "initialization needs a clock to be stopped by");
  ready_.reserve(options_.prepared);
}

absl::StatusOr<std::unique_ptr<Instance>> InstancePool::Make() {
  StepControl control = control_;
  control.deadline_mono_ns = control_.clock->MonoNanos() + options_.init_limit_ns;
  control.fuel = kFuelPerStep;
  return module_.NewInstance(config_, control);
}

absl::StatusOr<std::unique_ptr<Instance>> InstancePool::Take() {
  if (ready_.empty()) return Make();
  std::unique_ptr<Instance> instance = std::move(ready_.back());
  ready_.pop_back();
  return instance;
}

std::unique_ptr<Instance> InstancePool::Keep(std::unique_ptr<Instance> instance) {
  const bool again = options_.reused && instance->usable() && ready_.size() < options_.prepared;
  if (again) ready_.push_back(std::move(instance));
  return instance;  // null where it was kept
}

absl::Status InstancePool::Shutdown(const StepControl& control) {
  absl::Status first;
  if (options_.reused) {
    for (const auto& instance : ready_) first.Update(instance->Shutdown(control));
  }
  ready_.clear();
  return first;
}

absl::StatusOr<bool> InstancePool::RefillOne() {
  if (ready_.size() >= options_.prepared) return false;
  ASSIGN_OR_RETURN(std::unique_ptr<Instance> instance, Make());
  ready_.push_back(std::move(instance));
  return true;
}

}  // namespace caxton::wasm
