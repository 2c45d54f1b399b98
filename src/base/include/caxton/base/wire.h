// SPDX-License-Identifier: Apache-2.0
//
// The binary form of everything Caxton writes to disk or to a worker's channel: little-endian
// fixed-width numbers and u32-length-prefixed bytes, no padding. ByteReader never reads past its
// input: after the first malformed field it returns zeros and ok() is false, so that a decoder
// checks once, at its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace caxton {

class ByteWriter {
 public:
  // Appends to `*out`, which outlives the writer.
  explicit ByteWriter(std::string* out) : out_(out) {}

  void U8(uint8_t v) { out_->push_back(static_cast<char>(v)); }
  void U16(uint16_t v) { Raw(&v, sizeof v); }
  void U32(uint32_t v) { Raw(&v, sizeof v); }
  void U64(uint64_t v) { Raw(&v, sizeof v); }
  void I32(int32_t v) { Raw(&v, sizeof v); }
  void I64(int64_t v) { Raw(&v, sizeof v); }
  void F64(double v) { Raw(&v, sizeof v); }
  void Bool(bool v) { U8(v ? 1 : 0); }
  // u32 length, then the bytes. At most 4 GiB - 1.
  void Bytes(std::string_view v);
  // Big-endian forms, for store keys whose byte order must be their number order.
  void U32BigEndian(uint32_t v);
  void U64BigEndian(uint64_t v);
  // The bytes alone, no length: only as the last field of a key.
  void Tail(std::string_view v) { out_->append(v); }

 private:
  void Raw(const void* p, size_t n) { out_->append(static_cast<const char*>(p), n); }
  std::string* out_;
};

class ByteReader {
 public:
  // `in` outlives the reader and every view it returns.
  explicit ByteReader(std::string_view in) : in_(in) {}

  uint8_t U8();
  uint16_t U16();
  uint32_t U32();
  uint64_t U64();
  int32_t I32();
  int64_t I64();
  double F64();
  bool Bool();  // anything but 0 and 1 is malformed
  std::string_view Bytes();
  std::string BytesCopy() { return std::string(Bytes()); }
  uint32_t U32BigEndian();
  uint64_t U64BigEndian();
  std::string_view Tail();

  bool ok() const { return ok_; }
  size_t remaining() const { return in_.size(); }
  // Marks the input malformed (a decoder found a value out of range).
  void Fail() { ok_ = false; }
  // Ok only if every field was there and nothing is left over. `what` names the record in the
  // message.
  absl::Status Finish(std::string_view what) const;

 private:
  bool Take(void* to, size_t n);
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace caxton
