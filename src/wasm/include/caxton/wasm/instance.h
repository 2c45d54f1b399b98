// SPDX-License-Identifier: Apache-2.0
//
// Instance: one guest with its memory. Runs one step at a time.
//
// Lifecycle: made, already initialized, by Module::NewInstance; HandleMessage any number of times
// while usable(); after a trap, an interrupt, a limit or a failed step it is not, and must be
// dropped. Thread rule: one thread at a time; only what StepControl points at is shared.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/model/envelope.h"
#include "caxton/model/limits.h"
#include "caxton/model/step.h"
#include "caxton/wasm/limits.h"

namespace caxton::wasm {

// What a guest may know and use beside its message: the same for every instance of a revision. A
// value.
struct AgentConfig {
  std::string agent;                            // name
  std::map<std::string, std::string> settings;  // what config_get answers
  int64_t memory_bytes = kDefaultAgentMemoryBytes;
  int64_t max_message_bytes = kDefaultMaxMessageBytes;
  // Clock and seed during initialization: fixed, so that every instance starts the same.
  int64_t init_time_ns = kDefaultInitTimeNs;
  std::array<uint8_t, 32> init_seed{};
};

// Asked about once a millisecond while a step runs, on the step's thread.
class InterruptSource {
 public:
  virtual ~InterruptSource() = default;
  // Whether the step with `ticket` shall end now. A ticket and not a flag: a late answer must not
  // hit the next step.
  virtual bool IsKilled(Ticket ticket) const = 0;
};

// When to stop a guest. Somebody must call Engine::IncrementEpoch meanwhile (EpochTicker): without
// it nothing here is looked at.
struct StepControl {
  const Clock* clock = nullptr;  // never null; its MonoNanos measures deadlines
  int64_t deadline_mono_ns = INT64_MAX;
  const InterruptSource* interrupts = nullptr;  // may be null
  uint64_t fuel = kFuelPerStep;
};

struct InitStats {
  uint64_t fuel = 0;
  uint64_t memory_bytes = 0;
  std::vector<LogLine> logs;
};

class Module;

class Instance final {
 public:
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // One step. The result's effects (reply, sends) are there only if it was handled; logs always
  // are.
  StepResult HandleMessage(const StepInput& input, const Envelope& message,
                           const StepControl& control);
  // What health_check returned (0 = well); 0 where it is not exported; an error if it trapped or
  // took too long.
  absl::StatusOr<int32_t> HealthCheck(const StepControl& control);
  // What get_capabilities returned: the manifest as JSON, unchecked; empty where it is not
  // exported.
  absl::StatusOr<std::string> Capabilities(const StepControl& control);
  // Tells the guest that it is going to be dropped, which it is whatever comes of it: an error says
  // how agent_shutdown trapped or that it took too long.
  absl::Status Shutdown(const StepControl& control);

  bool usable() const;
  const InitStats& init_stats() const;

  // Behind Module::NewInstance.
  static absl::StatusOr<std::unique_ptr<Instance>> Create(const Module& module,
                                                          const AgentConfig& config,
                                                          const StepControl& control);

 private:
  struct Impl;
  explicit Instance(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caxton::wasm
