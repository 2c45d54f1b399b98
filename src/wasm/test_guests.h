// SPDX-License-Identifier: Apache-2.0
//
// Guests in text form and what is needed to run one, for the tests of this module.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "caxton/base/clock.h"
#include "caxton/base/strings.h"
#include "caxton/wasm/engine.h"
#include "caxton/wasm/epoch_ticker.h"
#include "caxton/wasm/instance.h"
#include "caxton/wasm/module.h"

namespace caxton::wasm {

// A module whose handle_message has `body`, with `more` before it.
inline std::string GuestWat(std::string_view body, std::string_view more = "") {
  return StrCat(R"((module
    (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
    (import "caxton" "log" (func $log (param i32 i32 i32)))
    (memory (export "memory") 2)
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 1024)))",
                more, R"((func $handle (export "handle_message") (param $ptr i32) (param $len i32)
                          (result i32) )",
                body, "))");
}

inline constexpr std::string_view kEchoBody =
    "(call $reply (i32.const 1) (local.get $ptr) (local.get $len))";

// Moves on by a millisecond each time it is read.
class SteppingClock final : public Clock {
 public:
  int64_t WallNanos() const override { return now_; }
  int64_t MonoNanos() const override { return now_ += kNanosPerMilli; }

 private:
  mutable int64_t now_ = 0;
};

// Kills one ticket.
class KillOne final : public InterruptSource {
 public:
  explicit KillOne(Ticket ticket) : ticket_(ticket) {}
  bool IsKilled(Ticket ticket) const override { return ticket == ticket_; }

 private:
  const Ticket ticket_;
};

// An engine with one module and everything to run it.
class Bench final {
 public:
  explicit Bench(std::string_view wat, const EngineOptions& options = {}) {
    config.agent = "test";
    config.memory_bytes = 1 << 20;
    config.max_message_bytes = 64 << 10;
    engine = *Engine::Create(options);
    const absl::StatusOr<std::string> wasm = Engine::WatToWasm(wat);
    EXPECT_TRUE(wasm.ok()) << wasm.status();
    const absl::StatusOr<std::string> native = engine->Compile(*wasm);
    EXPECT_TRUE(native.ok()) << native.status();
    absl::StatusOr<std::unique_ptr<Module>> loaded = Module::LoadBytes(*engine, *native);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    module = *std::move(loaded);
    control.clock = &clock;
  }

  std::unique_ptr<Instance> New() {
    auto instance = module->NewInstance(config, control);
    EXPECT_TRUE(instance.ok()) << instance.status();
    return *std::move(instance);
  }

  StepResult Run(Instance& instance, std::string_view content, Ticket ticket = Ticket(1)) {
    StepInput input;
    input.ticket = ticket;
    input.time_ns = 5'000'000'000;
    Envelope message;
    message.content = std::string(content);
    message.sender = "client:test";
    return instance.HandleMessage(input, message, control);
  }

  SteppingClock clock;
  AgentConfig config;
  StepControl control;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Module> module;
};

}  // namespace caxton::wasm
