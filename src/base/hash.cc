// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/hash.h"

#include <openssl/evp.h>

#include <bit>
#include <cstring>

#include "absl/strings/escaping.h"
#include "caxton/base/assert.h"
#include "caxton/base/strings.h"

namespace caxton {
namespace {

uint64_t LoadLittleEndian(const uint8_t* p) {
  uint64_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

struct SipState {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Absorb(uint64_t m) {
    v3 ^= m;
    Round();
    Round();
    v0 ^= m;
  }
};

}  // namespace

std::string HexEncode(std::string_view bytes) { return absl::BytesToHexString(AbslView(bytes)); }

std::string Digest::ToHex() const {
  return HexEncode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

absl::StatusOr<Digest> Digest::FromHex(std::string_view hex) {
  Digest digest;
  if (hex.size() != 2 * digest.bytes.size()) {
    return absl::InvalidArgumentError(StrCat("a digest has 64 hex digits, this has ", hex.size()));
  }
  for (char c : hex) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
      return absl::InvalidArgumentError("a digest consists of the hex digits 0-9 and a-f");
    }
  }
  const std::string raw = absl::HexStringToBytes(AbslView(hex));
  std::memcpy(digest.bytes.data(), raw.data(), digest.bytes.size());
  return digest;
}

bool Digest::empty() const { return *this == Digest{}; }

Digest Sha256(std::string_view data) {
  // SHA256() would look the algorithm up in OpenSSL's tables each time, which takes longer than the
  // hash of a short text.
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Digest digest;
  const int done =
      EVP_Digest(data.data(), data.size(), digest.bytes.data(), nullptr, kSha256, nullptr);
  CAXTON_ASSERT(done == 1, "OpenSSL has SHA-256");
  return digest;
}

uint64_t SipHash24(const Salt& salt, std::string_view data) {
  const uint64_t k0 = LoadLittleEndian(salt.data());
  const uint64_t k1 = LoadLittleEndian(salt.data() + 8);
  SipState s{k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
             k1 ^ 0x7465646279746573u};
  const auto* p = reinterpret_cast<const uint8_t*>(data.data());
  size_t left = data.size();
  for (; left >= 8; left -= 8, p += 8) s.Absorb(LoadLittleEndian(p));
  uint8_t last[8] = {};
  if (left > 0) std::memcpy(last, p, left);
  last[7] = static_cast<uint8_t>(data.size());
  s.Absorb(LoadLittleEndian(last));
  s.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) s.Round();
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

}  // namespace caxton
