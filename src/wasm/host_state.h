// SPDX-License-Identifier: Apache-2.0
//
// What the host knows about one instance while its guest runs, and what its imports read and write.
// Lives in the Instance; the store's data pointer is its address. One thread at a time. Private to
// src/wasm.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/model/envelope.h"
#include "caxton/model/step.h"
#include "caxton/wasm/instance.h"
#include "step_random.h"
#include "wasmtime_support.h"

namespace caxton::wasm {

// Which export is running: decides which imports answer (sdk/abi, "Which import may be called in
// which export").
enum class Phase : uint8_t {
  kIdle,       // none
  kStart,      // the module's start function: log only
  kNoEffects,  // _initialize, agent_init, agent_alloc, health_check, agent_shutdown
  kHandler,    // handle_message
};

// Why the host ended the guest; kNone: it did not (a trap is the guest's own).
enum class StopReason : uint8_t { kNone, kDeadline, kInterrupted, kExit, kAbort, kHostError };

// Answers of the `caxton` imports.
inline constexpr int32_t kAbsent = -1;
inline constexpr int32_t kBadPointer = -2;
inline constexpr int32_t kNotAllowed = -3;
inline constexpr int32_t kLimit = -4;
inline constexpr int32_t kUnknown = -5;
inline constexpr int32_t kAlreadyReplied = -6;

class HostState final {
 public:
  explicit HostState(const AgentConfig& config) : config_(config) {}

  // --- set by the instance around each call ---
  void BeginPhase(Phase phase, int64_t time_ns, const std::array<uint8_t, 32>& seed);
  void BeginStep(const Envelope* message, StepResult* result);
  // Flushes half-written log lines and lets go of the message and result.
  void EndStep();
  void set_phase(Phase phase) { phase_ = phase; }
  void set_control(const StepControl& control, Ticket ticket) {
    control_ = control;
    ticket_ = ticket;
  }

  const AgentConfig& config() const { return config_; }
  Phase phase() const { return phase_; }
  const StepControl& control() const { return control_; }
  Ticket ticket() const { return ticket_; }

  // --- what stopped the guest ---
  void Stop(StopReason reason, std::string text) {
    stop_ = reason;
    stop_text_ = std::move(text);
  }
  StopReason stop() const { return stop_; }
  const std::string& stop_text() const { return stop_text_; }

  // --- guest memory ---
  void BindMemory(wasmtime_context_t* context, const wasmtime_memory_t& memory) {
    context_ = context;
    memory_ = memory;
    has_memory_ = true;
  }
  bool has_memory() const { return has_memory_; }
  uint64_t MemorySize() const;
  // [ptr, ptr + len) of the guest's memory; null if any of it lies outside. Valid until the guest
  // runs again. An empty range may lie at the very end, not behind it.
  uint8_t* Bytes(uint32_t ptr, uint32_t len) const;
  bool ReadText(uint32_t ptr, uint32_t len, std::string_view* out) const;
  bool WriteU32(uint32_t ptr, uint32_t value) const;
  bool WriteU64(uint32_t ptr, uint64_t value) const;

  // --- the step's clock and random bytes ---
  int64_t now() const { return time_ns_; }
  void AdvanceTo(int64_t time_ns);
  StepRandom& random() { return random_; }

  // --- log: bounded, the excess counted ---
  void Log(uint8_t level, std::string_view text);
  // Standard output and error: bytes until the next newline wait here.
  void LogStream(int fd, std::string_view bytes);
  void CountDroppedLog();

  // --- effects of the step; only in Phase::kHandler ---
  const Envelope& message() const { return *message_; }
  int32_t SetReply(uint8_t performative, std::string_view content);
  int32_t NewMessage(std::string_view to, uint8_t performative);
  int32_t SetField(uint32_t handle, uint32_t field, std::string_view value);
  int32_t SetHeader(uint32_t handle, std::string_view name, std::string_view value);
  int32_t Send(uint32_t handle);

 private:
  OutgoingMessage* Open(uint32_t handle);
  // Counts `bytes` more of output (open messages included) in place of `before`; false: over the
  // limit.
  bool Charge(size_t before, size_t bytes);

  const AgentConfig& config_;
  StepControl control_;
  Ticket ticket_;
  Phase phase_ = Phase::kIdle;
  StopReason stop_ = StopReason::kNone;
  std::string stop_text_;

  wasmtime_context_t* context_ = nullptr;  // owned by the instance's store
  wasmtime_memory_t memory_{};
  bool has_memory_ = false;

  int64_t time_ns_ = 0;
  StepRandom random_;

  const Envelope* message_ = nullptr;  // the caller's, for the length of the step
  StepResult* result_ = nullptr;       // the caller's, for the length of the step
  size_t log_bytes_ = 0;
  std::string stream_[2];  // of fd 1 and 2

  std::vector<std::optional<OutgoingMessage>> handles_;  // handle n is at n - 1
  size_t open_ = 0;
  size_t output_bytes_ = 0;
};

}  // namespace caxton::wasm
