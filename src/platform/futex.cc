// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "caxton/base/clock.h"

namespace caxton::platform {

static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free);

FutexResult FutexWait(std::atomic<uint32_t>* word, uint32_t expected, int64_t deadline_ns) {
  timespec until{};
  if (deadline_ns != kNoDeadline) {
    if (deadline_ns < 0) return FutexResult::kTimeout;
    until.tv_sec = deadline_ns / kNanosPerSecond;
    until.tv_nsec = deadline_ns % kNanosPerSecond;
  }
  // FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, so a wait that was woken early just
  // goes on.
  const long result =
      ::syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected,
                deadline_ns == kNoDeadline ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
  if (result == 0 || errno == EINTR) return FutexResult::kWoken;
  return errno == ETIMEDOUT ? FutexResult::kTimeout : FutexResult::kChanged;
}

int FutexWake(std::atomic<uint32_t>* word, int count) {
  const long woken = ::syscall(SYS_futex, word, FUTEX_WAKE, count, nullptr, nullptr, 0);
  return woken < 0 ? 0 : static_cast<int>(woken);
}

int64_t MonotonicNanos() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

}  // namespace caxton::platform
