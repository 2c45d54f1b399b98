// SPDX-License-Identifier: Apache-2.0
//
// Every limit of the worker channel, with its unit.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "caxton/model/limits.h"
#include "caxton/model/step.h"

namespace caxton::ipc {

inline constexpr size_t kDefaultRingBytes = 4 << 20;  // each direction
inline constexpr size_t kMinRingBytes = 4 << 10;
inline constexpr size_t kMaxRingBytes = 64 << 20;
inline constexpr size_t kRingHeaderBytes = 4096;  // its own page before the bytes
inline constexpr size_t kFrameHeaderBytes = 8;
inline constexpr size_t kFrameAlignment = 8;
// What a frame carries beside contents: envelope fields and headers (at most 146 KiB), logs,
// detail.
inline constexpr size_t kFrameOverheadBytes = 256 << 10;
inline constexpr int64_t kMaxSpinNs = 20'000;  // more costs more than a parked wake on busy cores
inline constexpr size_t kMaxPendingInterrupts =
    64;  // single steps; withdrawals of all use a watermark
inline constexpr size_t kControlBytes = 4096;
inline constexpr size_t kSlotBytes = 4096;
inline constexpr size_t kMaxSlotFiles = 4096;  // workers of one server
inline constexpr size_t kMaxReadyNotes = 16;
inline constexpr size_t kMaxTextBytes = 16 << 10;  // each free text of a frame
inline constexpr uint32_t kMaxPoolSize = 1024;     // instances prepared ahead, per worker

// The largest frame for agents whose messages hold at most `max_message_bytes`.
constexpr size_t MaxFrameBytes(size_t max_message_bytes) {
  return std::max(kMaxStepOutputBytes, max_message_bytes) + kFrameOverheadBytes;
}
// The capacity that holds such a frame: a power of two, at least kDefaultRingBytes.
constexpr size_t RingBytesFor(size_t max_message_bytes) {
  return std::max(kDefaultRingBytes,
                  std::bit_ceil(MaxFrameBytes(max_message_bytes) + kFrameHeaderBytes));
}
static_assert(RingBytesFor(kHardMaxMessageBytes) <= kMaxRingBytes);

// Descriptor numbers in the worker process.
inline constexpr int kControlFd = 3;
inline constexpr int kToWorkerFd = 4;
inline constexpr int kFromWorkerFd = 5;
inline constexpr int kSlotFd = 6;
inline constexpr int kCodeFd = 7;  // native code, read-only; the supervisor adds it
inline constexpr int kFirstFreeFd = 8;

}  // namespace caxton::ipc
