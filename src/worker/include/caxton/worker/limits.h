// SPDX-License-Identifier: Apache-2.0
//
// Limits of the worker process; those of the channel are in caxton/ipc/limits.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "caxton/model/limits.h"

namespace caxton::worker {

inline constexpr int64_t kConfigureLimitNs = 30'000'000'000;  // from the start to the first frame
inline constexpr int64_t kIdleWaitNs = 1'000'000'000;         // then a heartbeat, and wait again
// Results are told at once when nothing more is waiting, else after this much of running.
inline constexpr int64_t kFlushAfterNs = 20'000;
// A server that leaves no room for a result for this long is taken for dead.
inline constexpr int64_t kPeerPatienceNs = 60'000'000'000;
inline constexpr int64_t kHealthLimitNs = 1'000'000'000;  // of health_check
inline constexpr int64_t kShutdownLimitNs = 100'000'000;  // of agent_shutdown
inline constexpr int64_t kDefaultInitLimitNs = 2'000'000'000;
inline constexpr size_t kMaxConfigureBytes = 32 << 20;  // in compile mode; the settings
inline constexpr size_t kMaxRecentFileBytes = 2 << 20;  // in compile mode; recent messages
inline constexpr int64_t kInspectDataLimitBytes = int64_t{2} << 30;
inline constexpr int64_t kInspectCpuLimitSeconds = 60;
// Of the child of --validate: what the server gives it where the request says nothing else.
inline constexpr int kValidateLimitMs = 30'000;
inline constexpr int64_t kValidateCompilerBytes = int64_t{1} << 30;  // and the agent's own memory
inline constexpr size_t kMaxRevisionFileBytes = 32 << 20;  // in validate mode; the settings
inline constexpr int64_t kValidateCpuLimitSeconds = 120;
// Between SIGXCPU and SIGKILL, for whoever does not end at the first.
inline constexpr int64_t kCpuGraceSeconds = 5;
inline constexpr size_t kValidateCodeLimitBytes = size_t{1} << 30;
// Pool slots beside the prepared ones: the instance that runs, and one that is being dropped.
inline constexpr uint32_t kExtraSlots = 2;

}  // namespace caxton::worker
