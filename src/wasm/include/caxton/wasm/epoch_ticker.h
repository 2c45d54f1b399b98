// SPDX-License-Identifier: Apache-2.0
//
// EpochTicker: the thread that makes running guests look at their deadline, once a millisecond, and
// only while one runs. Begin and End cost two atomic stores while steps follow each other; after
// kIdleTicksBeforePark quiet ticks the thread sleeps, and the next Begin wakes it.
//
// Lifecycle: the constructor starts the thread, the destructor ends it. The engine outlives it.
// Thread rule: Begin and End from the one thread that runs guests.
#pragma once

#include <memory>

#include "caxton/wasm/engine.h"

namespace caxton::wasm {

// How the ticker sleeps between two ticks. An implementation may return early when a running guest
// shall look at its interrupts at once. Called on the ticker's thread.
class TickSource {
 public:
  virtual ~TickSource() = default;
  // `deadline_ns` is on CLOCK_MONOTONIC.
  virtual void SleepUntil(int64_t deadline_ns) = 0;
};

class EpochTicker final {
 public:
  // `source` may be null (plain sleep), else it outlives the ticker.
  explicit EpochTicker(const Engine& engine, TickSource* source = nullptr);
  ~EpochTicker();
  EpochTicker(const EpochTicker&) = delete;
  EpochTicker& operator=(const EpochTicker&) = delete;

  void Begin();
  void End();

  // Begin and End around a scope.
  class Scope final {
   public:
    explicit Scope(EpochTicker& ticker) : ticker_(ticker) { ticker_.Begin(); }
    ~Scope() { ticker_.End(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    EpochTicker& ticker_;
  };

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace caxton::wasm
