// SPDX-License-Identifier: Apache-2.0
//
// Futexes on memory that two processes share (never FUTEX_PRIVATE). Async-signal-safe, thread-safe.
#pragma once

#include <atomic>
#include <cstdint>

namespace caxton::platform {

inline constexpr int64_t kNoDeadline = -1;

enum class FutexResult {
  kWoken,    // by a wake, a signal or for no reason: look again
  kChanged,  // *word was not `expected` when the kernel looked
  kTimeout,
};

// Sleeps while *word == expected, until woken or until CLOCK_MONOTONIC reaches `deadline_ns`
// (SystemClock's MonoNanos; kNoDeadline: without end).
FutexResult FutexWait(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline_ns);

// Wakes at most `count` waiters; returns how many.
int FutexWake(std::atomic<uint32_t>* word, int count);

// CLOCK_MONOTONIC, nanoseconds: the clock of the deadlines above.
int64_t MonotonicNanos();

}  // namespace caxton::platform
