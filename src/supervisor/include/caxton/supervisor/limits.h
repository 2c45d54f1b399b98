// SPDX-License-Identifier: Apache-2.0
//
// Every limit of the supervisor, with its unit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caxton/base/clock.h"

namespace caxton::supervisor {

// Steps dispatched to one worker and not answered. Enough to hide the way there and back, few
// enough that a withdrawal finds little under way.
inline constexpr size_t kWorkerWindow = 128;
// A full window asks for more work once it is down to this.
inline constexpr size_t kWindowLowWater = kWorkerWindow / 2;
// An empty worker waits this long for the step that wants to run alone.
inline constexpr int64_t kAloneReserveNs = 100 * kNanosPerMilli;

// A worker that lived for less than kHealthyAfterNs is restarted after a backoff that starts at 0,
// then kRestartBackoffFirstNs, doubled up to kRestartBackoffMaxNs; one that lived longer is
// replaced at once (a start costs some 10 ms).
inline constexpr int64_t kRestartBackoffFirstNs = 50 * kNanosPerMilli;
inline constexpr int64_t kRestartBackoffMaxNs = 5 * kNanosPerSecond;
inline constexpr int64_t kHealthyAfterNs = 2 * kNanosPerSecond;
inline constexpr int64_t kRestartReadyLimitNs = 30 * kNanosPerSecond;  // of a replacement
inline constexpr int kPrepareAttempts = 3;  // processes that may die before Prepare fails
// Initialization of an instance in a running worker. Validation is stricter; here the machine may
// be busy.
inline constexpr int64_t kInitDeadlineNs = 10 * kNanosPerSecond;
inline constexpr int64_t kStopGraceNs = 2 * kNanosPerSecond;
// Beyond a step's own deadline, until its worker counts as hung: interrupts may be late inside one
// long instruction, and a machine may be busy.
inline constexpr int64_t kHungGraceNs = 2 * kNanosPerSecond;
// A worker whose step runs longer than this has its share of the processors divided by
// kLongStepShare until the step ends: loops and long computations yield to short steps of others
// where there are not enough processors, and lose nothing where there are.
inline constexpr int64_t kLongStepNs = 10 * kNanosPerMilli;
inline constexpr int64_t kLongStepShare = 10;
inline constexpr int64_t kBackgroundShare = 10;  // divides the share of a shadow's workers
// For this long after a result a worker's reader looks for long steps by itself; later the
// supervisor's tick does.
inline constexpr int64_t kLongStepWatchNs = 1 * kNanosPerSecond;
inline constexpr int64_t kHealthPeriodNs = 10 * kNanosPerSecond;
inline constexpr int64_t kTickNs =
    100 * kNanosPerMilli;  // the supervisor's thread looks at least this often

// What a worker process needs beside its instances' memory: engine, native code, channel.
inline constexpr int64_t kWorkerOverheadBytes = 96 << 20;
inline constexpr uint32_t kDefaultPool = 8;  // instances prepared ahead in one worker
inline constexpr int32_t kWorkerThreadsMax = 32;
inline constexpr int64_t kMaxPoolBytes = int64_t{512}
                                         << 20;  // fewer instances where each may be large
inline constexpr size_t kMaxRevisions = 4096;    // with workers at one time
inline constexpr size_t kMaxNativeBytes = size_t{1} << 30;
// Kept of one module, by what it was examined with: agent, limits, settings, surroundings. The
// oldest goes first.
inline constexpr size_t kMaxReportsPerModule = 16;
inline constexpr int kMaxLogLinesPerTick = 256;  // outside of steps, of one worker
inline constexpr int64_t kUsagePeriodNs =
    2 * kNanosPerSecond;  // memory and CPU are read this often
inline constexpr size_t kMaxSettingsBytes =
    1 << 20;  // all settings of an agent together, names included
inline constexpr int kIdentityLimitMs = 10'000;  // caxton-worker --version

}  // namespace caxton::supervisor
