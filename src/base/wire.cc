// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/wire.h"

#include <bit>
#include <cstring>

#include "caxton/base/assert.h"
#include "caxton/base/strings.h"

namespace caxton {

static_assert(std::endian::native == std::endian::little,
              "the fixed-width fields are written in the machine's order");

void ByteWriter::Bytes(std::string_view v) {
  CAXTON_ASSERT(v.size() <= UINT32_MAX, "lengths on the wire are 32-bit");
  U32(static_cast<uint32_t>(v.size()));
  out_->append(v);
}

void ByteWriter::U32BigEndian(uint32_t v) { U32(__builtin_bswap32(v)); }
void ByteWriter::U64BigEndian(uint64_t v) { U64(__builtin_bswap64(v)); }

bool ByteReader::Take(void* to, size_t n) {
  if (!ok_ || in_.size() < n) {
    ok_ = false;
    std::memset(to, 0, n);
    return false;
  }
  std::memcpy(to, in_.data(), n);
  in_.remove_prefix(n);
  return true;
}

namespace {
template <typename T, typename Take>
T Number(Take take) {
  T v{};
  take(&v, sizeof v);
  return v;
}
}  // namespace

uint8_t ByteReader::U8() {
  return Number<uint8_t>([this](void* p, size_t n) { Take(p, n); });
}
uint16_t ByteReader::U16() {
  return Number<uint16_t>([this](void* p, size_t n) { Take(p, n); });
}
uint32_t ByteReader::U32() {
  return Number<uint32_t>([this](void* p, size_t n) { Take(p, n); });
}
uint64_t ByteReader::U64() {
  return Number<uint64_t>([this](void* p, size_t n) { Take(p, n); });
}
int32_t ByteReader::I32() { return static_cast<int32_t>(U32()); }
int64_t ByteReader::I64() { return static_cast<int64_t>(U64()); }
double ByteReader::F64() { return std::bit_cast<double>(U64()); }

bool ByteReader::Bool() {
  const uint8_t v = U8();
  if (v > 1) ok_ = false;
  return ok_ && v == 1;
}

std::string_view ByteReader::Bytes() {
  const uint32_t size = U32();
  if (!ok_ || in_.size() < size) {
    ok_ = false;
    return {};
  }
  std::string_view v = in_.substr(0, size);
  in_.remove_prefix(size);
  return v;
}

uint32_t ByteReader::U32BigEndian() { return __builtin_bswap32(U32()); }
uint64_t ByteReader::U64BigEndian() { return __builtin_bswap64(U64()); }

std::string_view ByteReader::Tail() {
  if (!ok_) return {};
  std::string_view v = in_;
  in_ = {};
  return v;
}

absl::Status ByteReader::Finish(std::string_view what) const {
  if (!ok_) return absl::DataLossError(StrCat(what, ": malformed or cut short"));
  if (!in_.empty()) {
    return absl::DataLossError(StrCat(what, ": ", in_.size(), " bytes too many"));
  }
  return absl::OkStatus();
}

}  // namespace caxton
