// SPDX-License-Identifier: Apache-2.0
//
// Module: native code, mapped and linked with the host functions, ready to be instantiated in
// microseconds.
//
// Lifecycle: Load, then NewInstance as often as wanted; outlives its instances; the engine outlives
// it. Thread rule: thread-safe once loaded (an instance is not).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "caxton/wasm/engine.h"
#include "caxton/wasm/instance.h"

namespace caxton::wasm {

class Module final {
 public:
  // Native code from a file; "/proc/self/fd/N" of a sealed memfd is one. Only what Engine::Compile
  // made, in a child of our own: native code is trusted as code is. A version or configuration
  // mismatch is FailedPrecondition (a cache miss). Exports are checked against the ABI here, so
  // that calls may be unchecked later.
  static absl::StatusOr<std::unique_ptr<Module>> LoadFile(const Engine& engine,
                                                          const std::string& path);
  // The same from memory (copies it): where no file system can be seen.
  static absl::StatusOr<std::unique_ptr<Module>> LoadBytes(const Engine& engine,
                                                           std::string_view native);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Runs the start function, _initialize and agent_init under `control`. `config` outlives the
  // instance. An error carries message and backtrace.
  absl::StatusOr<std::unique_ptr<Instance>> NewInstance(const AgentConfig& config,
                                                        const StepControl& control) const;

  bool has_health_check() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit Module(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caxton::wasm
