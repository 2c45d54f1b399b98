// SPDX-License-Identifier: Apache-2.0
//
// InstancePool: instances of one module made ahead, off the hot path.
//
// Lifecycle: empty when made; Refill while there is nothing else to do; Take for each step, Return
// after it. A fresh-instance agent gets a new one for each step, a reused-instance agent the same
// one while it stays usable. Thread rule: one thread (two instantiating threads in a process fight
// for the kernel's lock on its mappings).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/wasm/instance.h"
#include "caxton/wasm/module.h"

namespace caxton::wasm {

struct InstancePoolOptions {
  uint32_t prepared = kDefaultPreparedInstances;
  bool reused = false;                    // the manifest's "instance": "reused"
  int64_t init_limit_ns = 1'000'000'000;  // for making one instance
};

class InstancePool final {
 public:
  // `module` and `config` outlive it; `control` says how to stop an initialization (its deadline is
  // replaced).
  InstancePool(const Module& module, const AgentConfig& config, const StepControl& control,
               const InstancePoolOptions& options);

  // A prepared instance, else a new one; an error where none can be made.
  absl::StatusOr<std::unique_ptr<Instance>> Take();
  // Keeps an instance that may run again; else gives it back, to be dropped when that disturbs
  // nobody.
  std::unique_ptr<Instance> Keep(std::unique_ptr<Instance> instance);
  // Makes at most one instance. Ok(false): there was nothing to do.
  absl::StatusOr<bool> RefillOne();

  // Tells kept instances that they are going to be dropped, and drops all. The first failure of one
  // to end in order; the others are told all the same.
  absl::Status Shutdown(const StepControl& control);

  size_t ready() const { return ready_.size(); }
  // The one that Take would give; there is one.
  const Instance& next() const { return *ready_.back(); }

 private:
  absl::StatusOr<std::unique_ptr<Instance>> Make();

  const Module& module_;
  const AgentConfig& config_;
  const StepControl control_;
  const InstancePoolOptions options_;
  std::vector<std::unique_ptr<Instance>> ready_;
};

}  // namespace caxton::wasm
