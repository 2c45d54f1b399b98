// SPDX-License-Identifier: Apache-2.0
#include "meta_rows.h"

#include "caxton/base/status.h"
#include "codec.h"

namespace caxton::journal {
namespace {

std::string NumberedKey(std::string_view prefix, uint32_t number) {
  std::string key(prefix);
  ByteWriter(&key).U32BigEndian(number);
  return key;
}

absl::StatusOr<uint32_t> ParseNumberedKey(std::string_view prefix, std::string_view key) {
  if (!key.starts_with(prefix)) return absl::DataLossError("meta key: unknown");
  ByteReader r(key.substr(prefix.size()));
  const uint32_t number = r.U32BigEndian();
  RETURN_IF_ERROR(r.Finish("meta key"));
  return number;
}

}  // namespace

std::string IdemSizeKey(uint32_t hour_bucket) { return NumberedKey(kIdemSizePrefix, hour_bucket); }

absl::StatusOr<uint32_t> ParseIdemSizeKey(std::string_view key) {
  return ParseNumberedKey(kIdemSizePrefix, key);
}

std::string RetentionKey(AgentId agent) { return NumberedKey(kRetentionPrefix, agent.value()); }

absl::StatusOr<AgentId> ParseRetentionKey(std::string_view key) {
  ASSIGN_OR_RETURN(const uint32_t number, ParseNumberedKey(kRetentionPrefix, key));
  return AgentId(number);
}

std::string EncodeU32(uint32_t value) {
  std::string out;
  ByteWriter(&out).U32(value);
  return out;
}

std::string EncodeU64(uint64_t value) {
  std::string out;
  ByteWriter(&out).U64(value);
  return out;
}

std::string EncodeRetention(const RetentionRow& row) {
  std::string out;
  ByteWriter w(&out);
  w.U8(kRecordFormat);
  w.Bool(row.on);
  w.U64(row.first);
  w.U64(row.next);
  w.U64(row.bytes);
  return out;
}

absl::StatusOr<uint32_t> DecodeU32(std::string_view bytes) {
  ByteReader r(bytes);
  const uint32_t value = r.U32();
  RETURN_IF_ERROR(r.Finish("meta row"));
  return value;
}

absl::StatusOr<uint64_t> DecodeU64(std::string_view bytes) {
  ByteReader r(bytes);
  const uint64_t value = r.U64();
  RETURN_IF_ERROR(r.Finish("meta row"));
  return value;
}

absl::StatusOr<RetentionRow> DecodeRetention(std::string_view bytes) {
  ByteReader r(bytes);
  RetentionRow row;
  ReadFormat(r);
  row.on = r.Bool();
  row.first = r.U64();
  row.next = r.U64();
  row.bytes = r.U64();
  if (row.first == 0 || row.first > row.next) r.Fail();
  RETURN_IF_ERROR(r.Finish("retention row"));
  return row;
}

}  // namespace caxton::journal
