// SPDX-License-Identifier: Apache-2.0
//
// Limits of running a guest. Those on messages are in caxton/model/limits.h and
// caxton/model/step.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::wasm {

// Instructions, roughly. Far beyond any deadline: the deadline ends a step, fuel measures it. The
// bound is there so that the counter can never wrap.
inline constexpr uint64_t kFuelPerStep = 1'000'000'000'000;

// The clock of initialization where none is given (14 November 2023): Go's runtime refuses to start
// at zero.
inline constexpr int64_t kDefaultInitTimeNs = 1'700'000'000'000'000'000;

inline constexpr size_t kMaxWasmStackBytes = 512 << 10;
inline constexpr uint32_t kMaxTablesPerModule = 4;
inline constexpr size_t kMaxTableElements = 100'000;
inline constexpr size_t kMaxInstanceBytes = 4 << 20;  // the engine's own record of one instance

// Address space set aside for one linear memory, and the guard behind it: with both, generated code
// needs no bounds checks. Part of the compiled code: changing one makes every cached artifact a
// miss.
inline constexpr uint64_t kMemoryReservationBytes = uint64_t{4} << 30;
inline constexpr uint64_t kMemoryGuardBytes = 32 << 20;
// Of a pooled slot, kept between two instances (cleared by writing, which is cheaper than giving it
// back).
inline constexpr size_t kMemoryKeepResidentBytes = 128 << 10;
inline constexpr size_t kTableKeepResidentBytes = 16 << 10;

inline constexpr uint32_t kDefaultPreparedInstances = 4;
inline constexpr uint32_t kMaxPreparedInstances = 256;

inline constexpr size_t kMaxOpenHandles = 64;  // messages a step is building
inline constexpr size_t kMaxRandomBytesPerCall = 1 << 20;
inline constexpr uint32_t kMaxPollSubscriptions = 1024;
inline constexpr uint32_t kMaxIoVectors = 1024;
inline constexpr size_t kMaxLogLineBytes = 4 << 10;  // longer ones are cut
inline constexpr size_t kLogLineOverheadBytes = 16;  // what an empty line counts for
inline constexpr size_t kMaxCapabilitiesBytes = 64 << 10;
inline constexpr size_t kMaxAbortTextBytes = 1 << 10;
inline constexpr size_t kMaxBacktraceFrames = 32;
inline constexpr size_t kMaxLastWords = 32;  // log lines told with a failed initialization
inline constexpr size_t kMaxFrameNameBytes = 200;

// A trap with less than this left to grow is told as "memory limit": the engine has no event for a
// refused growth.
inline constexpr int64_t kMemoryLimitSlackBytes = 64 << 10;

inline constexpr int64_t kTickNanos = 1'000'000;  // how late a deadline or an interrupt may be seen
inline constexpr int kIdleTicksBeforePark = 20;

}  // namespace caxton::wasm
