// SPDX-License-Identifier: Apache-2.0
//
// CpuClock: MonoNanos is the processor time of the calling thread. What a guest takes is measured
// with it: how busy the machine is makes no difference to what is found. Private to src/examine.
//
// Thread rule: thread-safe; only values read on one thread can be compared with each other.
#pragma once

#include "caxton/base/clock.h"

namespace caxton::examine {

class CpuClock final : public Clock {
 public:
  // That of the system: nothing here asks for it.
  int64_t WallNanos() const override { return SystemClock().WallNanos(); }
  int64_t MonoNanos() const override;
};

}  // namespace caxton::examine
