// SPDX-License-Identifier: Apache-2.0
//
// Engine: compiles modules to native code and owns the memory that instances live in. One per
// process.
//
// Lifecycle: Create, then Module::Load, then instances; it outlives them. Creating it installs
// Wasmtime's signal handlers: install your own (crash reports) before. Thread rule: thread-safe,
// IncrementEpoch also from signal handlers. The only module that names Wasmtime is this one
// (src/wasm); no header under include/ does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/base/hash.h"
#include "caxton/model/limits.h"
#include "caxton/wasm/limits.h"

namespace caxton::wasm {

struct EngineOptions {
  // Slots for instances that exist at one time. 0: no pool, each instance maps its own memory
  // (compiling and examining make one instance and need no pool). The generated code is the same
  // either way.
  uint32_t max_instances = 0;
  int64_t max_memory_bytes = kDefaultAgentMemoryBytes;  // of one instance; only with a pool
  bool parallel_compilation = true;                     // false where threads may not be started
};

class Engine final {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const EngineOptions& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // "48.0.8"
  static std::string Version();
  // Covers everything that decides about the native code but the module: version, configuration,
  // CPU features.
  static Digest ConfigHash();

  // Whether `wasm` is a valid module within the proposals we accept. The message says where it is
  // not.
  absl::Status Validate(std::string_view wasm) const;
  // The native code of `wasm`, for Module::Load. CPU- and memory-hungry: only in a jailed child.
  absl::StatusOr<std::string> Compile(std::string_view wasm) const;
  // `wat` (the text format) as binary: for tests.
  static absl::StatusOr<std::string> WatToWasm(std::string_view wat);

  // Lets running guests look at their deadline and interrupts (StepControl).
  void IncrementEpoch() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace caxton::wasm
