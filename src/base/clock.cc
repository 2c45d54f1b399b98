// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/clock.h"

#include <ctime>

namespace caxton {
namespace {

int64_t Read(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

}  // namespace

int64_t SystemClock::WallNanos() const { return Read(CLOCK_REALTIME); }
int64_t SystemClock::MonoNanos() const { return Read(CLOCK_MONOTONIC); }

}  // namespace caxton
