// SPDX-License-Identifier: Apache-2.0
#include "caxton/wasm/epoch_ticker.h"

#include <pthread.h>

#include <atomic>
#include <thread>

#include "caxton/platform/futex.h"
#include "caxton/wasm/limits.h"

namespace caxton::wasm {

// `running` and `parked` are the two halves of a Dekker handshake: Begin stores the first and reads
// the second, the ticker stores the second and reads the first, all sequentially consistent; so
// either the ticker sees the step, or Begin sees that it must be woken.
struct EpochTicker::State {
  const Engine* engine = nullptr;
  TickSource* source = nullptr;
  alignas(64) std::atomic<bool> running{false};
  std::atomic<uint64_t> begun{0};  // steps so far; written by the one that runs them
  alignas(64) std::atomic<uint32_t> parked{0};
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> sleep_word{0};  // for plain sleep: bumped to end it
  std::thread thread;

  void Wake() {
    parked.store(0);
    platform::FutexWake(&parked, 1);
  }

  void Park() {
    parked.store(1);
    while (parked.load() == 1 && !running.load() && !stop.load()) {
      platform::FutexWait(&parked, 1, platform::kNoDeadline);
    }
    parked.store(0);
  }

  void Sleep() {
    const int64_t deadline = platform::MonotonicNanos() + kTickNanos;
    if (source != nullptr) {
      source->SleepUntil(deadline);
    } else {
      platform::FutexWait(&sleep_word, 0, deadline);
    }
  }

  void Loop() {
    pthread_setname_np(pthread_self(), "ticker");
    int idle = 0;
    uint64_t seen = begun.load(std::memory_order_relaxed);
    while (!stop.load()) {
      Sleep();
      const uint64_t now = begun.load(std::memory_order_relaxed);
      if (running.load(std::memory_order_relaxed)) {
        engine->IncrementEpoch();
        idle = 0;
      } else if (now != seen) {
        idle = 0;
      } else if (++idle >= kIdleTicksBeforePark) {
        Park();
        idle = 0;
      }
      seen = now;
    }
  }
};

EpochTicker::EpochTicker(const Engine& engine, TickSource* source)
    : state_(std::make_unique<State>()) {
  state_->engine = &engine;
  state_->source = source;
  state_->thread = std::thread([state = state_.get()] { state->Loop(); });
}

EpochTicker::~EpochTicker() {
  state_->stop.store(true);
  state_->sleep_word.store(1);
  platform::FutexWake(&state_->sleep_word, 1);
  state_->Wake();
  state_->thread.join();
}

void EpochTicker::Begin() {
  state_->begun.store(state_->begun.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  state_->running.store(true);
  if (state_->parked.load() != 0) state_->Wake();
}

void EpochTicker::End() { state_->running.store(false, std::memory_order_release); }

}  // namespace caxton::wasm
