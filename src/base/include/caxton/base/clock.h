// SPDX-License-Identifier: Apache-2.0
//
// Time as a dependency. Production hands out SystemClock, tests and the simulator SimClock
// (caxton/base/testing/sim_world.h). Thread-safe.
#pragma once

#include <cstdint>

namespace caxton {

inline constexpr int64_t kNanosPerMicro = 1'000;
inline constexpr int64_t kNanosPerMilli = 1'000'000;
inline constexpr int64_t kNanosPerSecond = 1'000'000'000;

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since the Unix epoch, UTC. May jump; used for what people and agents see, never for
  // intervals.
  virtual int64_t WallNanos() const = 0;
  // Nanoseconds since an arbitrary start; never goes back. Every interval is measured with this.
  virtual int64_t MonoNanos() const = 0;
};

class SystemClock final : public Clock {
 public:
  int64_t WallNanos() const override;
  int64_t MonoNanos() const override;
};

}  // namespace caxton
