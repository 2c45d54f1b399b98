// SPDX-License-Identifier: Apache-2.0
//
// The rows of Table::kMeta: format version, start count, sizes of the idempotency buckets, state of
// retention.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "caxton/model/ids.h"

namespace caxton::journal {

inline constexpr std::string_view kFormatRow = "format";                   // u32
inline constexpr std::string_view kStartCountRow = "start-count";          // u64
inline constexpr std::string_view kLastDeploymentRow = "last-deployment";  // u64
inline constexpr std::string_view kIdemSizePrefix = "idem-bytes/";         // hour bucket -> u64
inline constexpr std::string_view kRetentionPrefix = "retention/";         // agent -> RetentionRow

struct RetentionRow {
  bool on = false;
  uint64_t first = 1;  // the oldest row kept
  uint64_t next = 1;   // the number the next row gets
  uint64_t bytes = 0;  // of the rows kept
};

std::string IdemSizeKey(uint32_t hour_bucket);
absl::StatusOr<uint32_t> ParseIdemSizeKey(std::string_view key);
std::string RetentionKey(AgentId agent);
absl::StatusOr<AgentId> ParseRetentionKey(std::string_view key);

std::string EncodeU32(uint32_t value);
std::string EncodeU64(uint64_t value);
std::string EncodeRetention(const RetentionRow& row);
absl::StatusOr<uint32_t> DecodeU32(std::string_view bytes);
absl::StatusOr<uint64_t> DecodeU64(std::string_view bytes);
absl::StatusOr<RetentionRow> DecodeRetention(std::string_view bytes);

}  // namespace caxton::journal
