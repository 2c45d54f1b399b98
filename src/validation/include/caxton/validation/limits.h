// SPDX-License-Identifier: Apache-2.0
//
// Every limit of validation, with its unit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caxton/base/clock.h"

namespace caxton::validation {

inline constexpr size_t kMaxValidations = 2;  // children at once
// Waiting for a child; more is refused: RESOURCE_EXHAUSTED. What is answered from a kept report
// does not wait and is not counted.
inline constexpr size_t kMaxQueuedValidations = 64;
// Asked for, and not looked at yet: the validator's thread reads the disk for each. The same.
inline constexpr size_t kMaxArrivedValidations = 256;
inline constexpr int kMaxAttempts = 3;  // children of one validation, where somebody kills them
inline constexpr int64_t kMaxValidateNs =
    10 * 60 * kNanosPerSecond;  // of one, whatever the caller says
// A second examination of the same module may take this many times what the first took, even where
// the first used up the limit; never more than the limit itself.
inline constexpr int64_t kSecondExaminationFactor = 2;
// Compiling is memory-hungry: this much for the compiler, and the instance's own memory on top.
inline constexpr int64_t kCompilerMemoryBytes = int64_t{1} << 30;
inline constexpr int64_t kCompilerCpuSeconds = 120;  // of all its threads together
// Its share of the processors, whatever the agent's own: an author who waits for a verdict yields
// to messages under way.
inline constexpr int64_t kCompilerCpuMillis = 250;
inline constexpr int64_t kInitLimitMs = 2000;  // _initialize and agent_init together
inline constexpr int32_t kCompilerThreadsMax = 32;
inline constexpr size_t kMaxNativeCodeBytes = size_t{1} << 30;
inline constexpr int64_t kTickNs = 100 * kNanosPerMilli;

}  // namespace caxton::validation
