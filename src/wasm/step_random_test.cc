// SPDX-License-Identifier: Apache-2.0
#include "step_random.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "caxton/base/hash.h"

namespace caxton::wasm {
namespace {

TEST(StepRandomTest, BlockIsThatOfTheRfc) {
  // RFC 8439, 2.3.2.
  std::array<uint32_t, 8> key;
  for (uint32_t i = 0; i < 8; ++i) {
    const uint32_t b = 4 * i;
    key[i] = b | (b + 1) << 8 | (b + 2) << 16 | (b + 3) << 24;
  }
  const auto block = ChaCha20Block(key, 1, {0x09000000, 0x4a000000, 0});
  const std::string_view bytes(reinterpret_cast<const char*>(block.data()), block.size());
  EXPECT_EQ(HexEncode(bytes),
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e");
}

TEST(StepRandomTest, SameSeedSameBytesHoweverTheyAreAskedFor) {
  std::array<uint8_t, 32> seed{};
  seed[0] = 7;
  StepRandom whole;
  StepRandom parts;
  whole.Reset(seed);
  parts.Reset(seed);
  std::vector<uint8_t> expected(300);
  std::vector<uint8_t> got(300);
  whole.Fill(expected);
  size_t at = 0;
  for (const size_t size : {1, 63, 64, 65, 7, 100}) {
    parts.Fill(std::span(got).subspan(at, size));
    at += size;
  }
  ASSERT_EQ(at, got.size());
  EXPECT_EQ(got, expected);
}

TEST(StepRandomTest, AnotherSeedOtherBytes) {
  std::array<uint8_t, 32> seed{};
  StepRandom random;
  std::array<uint8_t, 32> first;
  std::array<uint8_t, 32> second;
  random.Reset(seed);
  random.Fill(first);
  seed[31] = 1;
  random.Reset(seed);
  random.Fill(second);
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace caxton::wasm
