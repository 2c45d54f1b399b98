// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/hash.h"

#include <gtest/gtest.h>

namespace caxton {
namespace {

// FIPS 180-4's examples.
TEST(Sha256, PublishedVectors) {
  EXPECT_EQ(Sha256("").ToHex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc").ToHex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").ToHex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256(std::string(1'000'000, 'a')).ToHex(),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

Salt CountingSalt() {
  Salt salt;
  for (size_t i = 0; i < salt.size(); ++i) salt[i] = static_cast<uint8_t>(i);
  return salt;
}

// Vectors of the SipHash reference code: key 00..0f, input 00..(n-1).
TEST(SipHash24, PublishedVectors) {
  const uint64_t expected[] = {0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
                               0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
                               0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462};
  std::string input;
  for (size_t n = 0; n < std::size(expected); ++n) {
    EXPECT_EQ(SipHash24(CountingSalt(), input), expected[n]) << n;
    input.push_back(static_cast<char>(n));
  }
  while (input.size() < 15) input.push_back(static_cast<char>(input.size()));
  EXPECT_EQ(SipHash24(CountingSalt(), input), 0xa129ca6149be45e5);  // the paper's example
}

TEST(SipHash24, DependsOnTheSalt) {
  Salt other = CountingSalt();
  other[15] ^= 1;
  EXPECT_NE(SipHash24(CountingSalt(), "key"), SipHash24(other, "key"));
}

TEST(Digest, HexRoundTrip) {
  const Digest digest = Sha256("x");
  EXPECT_EQ(*Digest::FromHex(digest.ToHex()), digest);
  EXPECT_FALSE(digest.empty());
  EXPECT_TRUE(Digest().empty());
}

TEST(Digest, RefusesWhatIsNoDigest) {
  const std::string hex = Sha256("x").ToHex();
  EXPECT_FALSE(Digest::FromHex("").ok());
  EXPECT_FALSE(Digest::FromHex(hex.substr(1)).ok());
  EXPECT_FALSE(Digest::FromHex(hex + "0").ok());
  EXPECT_FALSE(Digest::FromHex("G" + hex.substr(1)).ok());
  EXPECT_FALSE(Digest::FromHex("A" + hex.substr(1)).ok()) << "one spelling per digest";
}

TEST(HexEncode, IsLowerCase) { EXPECT_EQ(HexEncode("\x0f\xa0"), "0fa0"); }

}  // namespace
}  // namespace caxton
