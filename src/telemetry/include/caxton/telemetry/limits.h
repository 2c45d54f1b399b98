// SPDX-License-Identifier: Apache-2.0
//
// Every limit of telemetry, with its unit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::telemetry {

inline constexpr size_t kMaxLogMessageBytes = 4 << 10;  // of one line's message, before escaping
inline constexpr size_t kMaxLogFieldBytes = 2 << 10;    // each text field, before escaping
inline constexpr size_t kMaxLogFields = 24;             // of one line
inline constexpr size_t kMaxQueuedLogBytes = 1
                                             << 20;  // waiting for stderr; more is dropped, counted
inline constexpr int64_t kLogDrainMs = 300;          // at the end, for what still waits
// Label sets of one metric. Further ones share a series whose labels all say "other".
inline constexpr size_t kMaxSeriesPerMetric = 2000;

}  // namespace caxton::telemetry
