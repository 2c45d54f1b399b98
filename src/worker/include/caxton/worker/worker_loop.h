// SPDX-License-Identifier: Apache-2.0
//
// WorkerLoop: serves one revision's steps over a channel, one after the other.
//
// Lifecycle: made with a fresh channel; Run waits for Configure, loads and prepares, answers Ready,
// then turns Dispatch into Result until Stop, until RequestStop of the channel, or until the server
// is gone. Runs once. Thread rule: Run uses the calling thread for everything a guest does, and one
// more for the ticker; everything else belongs to that thread. Interrupts arrive through the
// channel's control block, from another process.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/ipc/channel.h"
#include "caxton/ipc/frames.h"
#include "caxton/ipc/worker_command.h"
#include "caxton/wasm/engine.h"
#include "caxton/wasm/epoch_ticker.h"
#include "caxton/wasm/instance_pool.h"
#include "caxton/wasm/module.h"

namespace caxton::worker {

// What the loop needs of the process it runs in.
class WorkerEnvironment {
 public:
  virtual ~WorkerEnvironment() = default;
  // The native code, loaded.
  virtual absl::StatusOr<std::unique_ptr<wasm::Module>> Load(const wasm::Engine& engine) = 0;
  // Called once, when all code is mapped and all threads run, and before the module's own code
  // does.
  virtual absl::Status LockDown() = 0;
  // What of the jail the machine did not permit.
  virtual std::vector<std::string> NotEnforced() const = 0;
};

class WorkerLoop final {
 public:
  // All outlive the loop. `clock` is the system's: the channel waits on CLOCK_MONOTONIC.
  WorkerLoop(ipc::WorkerChannel& channel, const Clock& clock, WorkerEnvironment& environment);
  ~WorkerLoop();

  ipc::WorkerExit Run();
  // Why Run ended with anything but kDone.
  const absl::Status& why() const { return why_; }
  // How agent_shutdown failed, if it did: the worker ends all the same.
  const absl::Status& shutdown() const { return shutdown_; }

 private:
  class Interrupts;
  class Ticks;
  enum class Next : uint8_t { kGoOn, kStop };

  absl::Status AwaitConfigure();
  absl::Status Prepare();
  absl::Status SendReady(const absl::Status& prepared);
  absl::StatusOr<Next> Turn();
  absl::StatusOr<Next> HandleFrame();
  absl::Status HandleDispatch();
  absl::Status HandleHealth();
  StepResult RunStep(const StepInput& input, const Envelope& message, int64_t limit_ns);
  // Between frames: tells results, drops and makes instances. False: there was nothing to do.
  bool IdleWork();
  absl::Status SendResult(const StepResult& result);
  absl::Status Send(ipc::FrameType type, const std::string& bytes);
  void ShutDown();
  wasm::StepControl Control(int64_t limit_ns) const;

  ipc::WorkerChannel& channel_;
  const Clock& clock_;
  WorkerEnvironment& environment_;
  absl::Status why_;
  absl::Status shutdown_;

  ipc::Configure configure_;
  wasm::AgentConfig config_;
  std::unique_ptr<Interrupts> interrupts_;
  std::unique_ptr<Ticks> ticks_;
  // In the order of their lifetimes.
  std::unique_ptr<wasm::Engine> engine_;
  std::unique_ptr<wasm::Module> module_;
  std::unique_ptr<wasm::EpochTicker> ticker_;
  std::unique_ptr<wasm::InstancePool> pool_;
  std::unique_ptr<wasm::Instance> spent_;  // dropped when its result has been told

  bool prepared_ = false;    // false: answers every dispatch with init_failed
  std::string init_detail_;  // why not
  bool refill_failed_ =
      false;  // making an instance ahead failed: do not try again until a step did it
  int64_t unflushed_ns_ = 0;
  ipc::Frame frame_;
  std::string scratch_;
};

}  // namespace caxton::worker
