// SPDX-License-Identifier: Apache-2.0
//
// Limits of the command line; each says its unit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::cli {

inline constexpr char kDefaultServer[] = "127.0.0.1:50051";
inline constexpr int64_t kDefaultTimeoutNs =
    30'000'000'000;                                    // of a call, and of reconnecting a stream
inline constexpr size_t kInlineModuleBytes = 3 << 20;  // larger modules go by UploadModule
inline constexpr size_t kUploadChunkBytes = 1 << 20;
inline constexpr size_t kMaxUserNameBytes = 128;  // told to the server
inline constexpr size_t kMaxDeploymentFileBytes = 1 << 20;
inline constexpr int kMaxReceiveBytes = 64 << 20;  // one gRPC message
inline constexpr int kReconnectFirstMs = 100;      // doubles up to kReconnectMaxMs
inline constexpr int kReconnectMaxMs = 1'000;
inline constexpr int kConnectTimeoutMs = 5'000;                  // one attempt
inline constexpr int64_t kPlainProgressEveryNs = 1'000'000'000;  // numbers in a pipe
inline constexpr size_t kMaxToolOutputBytes = 16 << 20;          // caxton-worker's stdout
inline constexpr size_t kShownContentBytes = 80;                 // of a message, in a table
inline constexpr int kListPageSize = 200;
inline constexpr int kDeadLetterPageSize = 1'000;  // each page costs a scan: few and large ones
inline constexpr size_t kDeadLetterBatch = 100;    // retried or dropped by one call

// caxton load
inline constexpr int kDefaultOutstanding = 64;
inline constexpr int kMaxOutstanding = 1'000'000;
inline constexpr int64_t kMaxLoadCount = (int64_t{1} << 32) - 1;  // also the ledger's last number
inline constexpr int kMaxLoadKeys = 1'000'000;
inline constexpr int kDefaultLoadKeys = 64;
inline constexpr size_t kDefaultLoadBytes = 256;
inline constexpr size_t kMaxFrameItems = 256;             // messages in one frame of the stream
inline constexpr size_t kMaxFrameBytes = 1 << 20;         // contents in one frame
inline constexpr int64_t kMinRefusedDelayNs = 5'000'000;  // before a refused message is sent again
inline constexpr int64_t kMaxRefusedDelayNs = 2'000'000'000;
inline constexpr uint64_t kMaxVerifiedNumber = uint64_t{1} << 28;  // two bytes each
inline constexpr int64_t kTailPollNs = 200'000'000;                // between looks at a tail
inline constexpr int64_t kInterruptedDrainNs = 5'000'000'000;      // wait for answers after Ctrl-C

}  // namespace caxton::cli
