// SPDX-License-Identifier: Apache-2.0
//
// Limits on the values themselves. Each is tested at its edge.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton {

inline constexpr size_t kMaxAgentNameBytes = 63;
inline constexpr size_t kMaxEnvelopeFieldBytes =
    1024;  // each text field of an envelope but content
inline constexpr size_t kMaxEnvelopeHeaders = 32;
inline constexpr size_t kMaxEnvelopeHeaderNameBytes = 128;
inline constexpr size_t kMaxEnvelopeHeaderValueBytes = 4096;
inline constexpr size_t kEnvelopeOverheadBytes = 256;  // what a message costs beside its strings
inline constexpr int64_t kDefaultMaxMessageBytes = 1 << 20;
inline constexpr int64_t kHardMaxMessageBytes = 16
                                                << 20;  // resources.max_message may not exceed it
inline constexpr size_t kMaxModuleBytes = 64 << 20;     // a .wasm file
inline constexpr size_t kMaxSettings = 256;
inline constexpr size_t kMaxSettingNameBytes = 128;
inline constexpr size_t kMaxSettingValueBytes = 64 << 10;
inline constexpr size_t kMaxVersionLabelBytes = 64;
inline constexpr size_t kMaxStages = 32;
inline constexpr size_t kMaxRollbackConditions = 16;
inline constexpr size_t kMaxShadowCompare = 16;
inline constexpr int32_t kMaxHistory = 1000;  // messages replayed before a deployment's traffic
// An agent's recent messages that validation runs a module on.
inline constexpr size_t kMaxRecentMessages = 50;
inline constexpr size_t kMaxRecentBytes = 1 << 20;
inline constexpr int64_t kMaxMinSamples = 1'000'000'000;

// Weights and shares are parts per million.
inline constexpr uint32_t kFullWeightPpm = 1'000'000;
// The longest duration a person may write.
inline constexpr int64_t kMaxDurationNs = int64_t{100 * 365 * 24} * 3'600 * 1'000'000'000;

inline constexpr int64_t kDefaultAgentMemoryBytes = 64 << 20;
inline constexpr int64_t kMinAgentMemoryBytes = 64 << 10;  // one wasm page
inline constexpr int64_t kMaxAgentMemoryBytes = int64_t{4} << 30;
inline constexpr int32_t kMaxInstances = 64;
inline constexpr int64_t kMaxCpuMillis = 1'000'000;  // a thousand cores
inline constexpr int64_t kMinStepDeadlineNs = 1'000'000;
inline constexpr int64_t kMaxStepDeadlineNs = int64_t{600} * 1'000'000'000;
inline constexpr int32_t kDefaultMaxAttempts = 10;
inline constexpr int32_t kMaxMaxAttempts = 1000;

}  // namespace caxton
