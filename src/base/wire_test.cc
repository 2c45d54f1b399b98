// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/wire.h"

#include <gtest/gtest.h>

#include <limits>

namespace caxton {
namespace {

std::string Everything() {
  std::string out;
  ByteWriter w(&out);
  w.U8(7);
  w.U16(0x1234);
  w.U32(0xdeadbeef);
  w.U64(0x0123456789abcdef);
  w.I32(-5);
  w.I64(std::numeric_limits<int64_t>::min());
  w.F64(-0.25);
  w.Bool(true);
  w.Bytes("hello");
  w.Bytes("");
  w.U32BigEndian(1);
  w.U64BigEndian(2);
  w.Tail("tail");
  return out;
}

// Reads what Everything wrote; the result says whether all of it was there.
bool ReadEverything(std::string_view in) {
  ByteReader r(in);
  const bool same = r.U8() == 7 && r.U16() == 0x1234 && r.U32() == 0xdeadbeef &&
                    r.U64() == 0x0123456789abcdef && r.I32() == -5 &&
                    r.I64() == std::numeric_limits<int64_t>::min() && r.F64() == -0.25 &&
                    r.Bool() && r.Bytes() == "hello" && r.Bytes().empty() &&
                    r.U32BigEndian() == 1 && r.U64BigEndian() == 2;
  return same && r.ok();
}

TEST(Wire, ReadsBackWhatItWrote) {
  const std::string bytes = Everything();
  EXPECT_TRUE(ReadEverything(bytes));
}

TEST(Wire, IsLittleEndianAndUnpadded) {
  std::string out;
  ByteWriter w(&out);
  w.U8(1);
  w.U32(0x04030201);
  w.Bytes("x");
  EXPECT_EQ(out, std::string("\x01\x01\x02\x03\x04\x01\x00\x00\x00x", 10));
}

TEST(Wire, BigEndianKeysSortAsNumbers) {
  std::string small, large;
  ByteWriter(&small).U64BigEndian(0xff);
  ByteWriter(&large).U64BigEndian(0x100);
  EXPECT_LT(small, large);
}

TEST(Wire, EveryTruncationIsMalformed) {
  const std::string bytes = Everything();
  for (size_t n = 0; n + 4 < bytes.size(); ++n) {
    EXPECT_FALSE(ReadEverything(std::string_view(bytes).substr(0, n))) << n;
  }
}

TEST(Wire, AfterTheFirstFaultEverythingIsZero) {
  ByteReader r("\x01\x02");
  EXPECT_EQ(r.U32(), 0u);
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.U8(), 0);
  EXPECT_EQ(r.Bytes(), "");
  EXPECT_EQ(r.Tail(), "");
  EXPECT_EQ(r.Finish("thing").code(), absl::StatusCode::kDataLoss);
}

TEST(Wire, LengthBeyondTheInputIsMalformed) {
  std::string bytes;
  ByteWriter(&bytes).U32(0xffffffff);
  bytes += "abc";
  ByteReader r(bytes);
  EXPECT_EQ(r.Bytes(), "");
  EXPECT_FALSE(r.ok());
}

TEST(Wire, BoolIsZeroOrOne) {
  ByteReader r(std::string_view("\x02", 1));
  EXPECT_FALSE(r.Bool());
  EXPECT_FALSE(r.ok());
}

TEST(Wire, FinishRefusesLeftOvers) {
  ByteReader r("ab");
  r.U8();
  const absl::Status status = r.Finish("record");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "record: 1 bytes too many");
  r.U8();
  EXPECT_TRUE(r.Finish("record").ok());
  r.Fail();
  EXPECT_FALSE(r.Finish("record").ok());
}

}  // namespace
}  // namespace caxton
