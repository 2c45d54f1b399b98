// SPDX-License-Identifier: Apache-2.0
#include "cpu_clock.h"

#include <time.h>

#include "caxton/base/assert.h"

namespace caxton::examine {

int64_t CpuClock::MonoNanos() const {
  timespec now{};
  const int failed = ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  CAXTON_ASSERT(failed == 0, "every thread has a clock of its processor time");
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

}  // namespace caxton::examine
