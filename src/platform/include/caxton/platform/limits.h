// SPDX-License-Identifier: Apache-2.0
//
// Every limit of platform, with its unit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::platform {

inline constexpr size_t kMaxControlFileBytes = 256 << 10;  // one /proc or cgroup file
inline constexpr int64_t kCpuQuotaPeriodUsec =
    5'000;                                          // at 100 ms, a quota of 500m stalls for 52 ms
inline constexpr int64_t kMinCpuQuotaUsec = 1'000;  // the kernel refuses less
inline constexpr int64_t kMemoryHighPercent = 90;   // v2: memory.high, of memory.max
inline constexpr int kMaxPassedFds = 32;            // to one child
inline constexpr int kMaxRemoveAttempts = 50;       // a dying process keeps its cgroup for a moment
inline constexpr uint32_t kNobodyId = 65534;        // user and group of a jailed child of root

}  // namespace caxton::platform
