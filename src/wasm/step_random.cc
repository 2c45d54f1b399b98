// SPDX-License-Identifier: Apache-2.0
#include "step_random.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace caxton::wasm {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

void QuarterRound(std::array<uint32_t, 16>& s, int a, int b, int c, int d) {
  s[a] += s[b];
  s[d] = std::rotl(s[d] ^ s[a], 16);
  s[c] += s[d];
  s[b] = std::rotl(s[b] ^ s[c], 12);
  s[a] += s[b];
  s[d] = std::rotl(s[d] ^ s[a], 8);
  s[c] += s[d];
  s[b] = std::rotl(s[b] ^ s[c], 7);
}

}  // namespace

std::array<uint8_t, 64> ChaCha20Block(const std::array<uint32_t, 8>& key, uint32_t counter,
                                      const std::array<uint32_t, 3>& nonce) {
  const std::array<uint32_t, 16> start = {
      0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0],  key[1],   key[2],   key[3],
      key[4],     key[5],     key[6],     key[7],     counter, nonce[0], nonce[1], nonce[2]};
  std::array<uint32_t, 16> s = start;
  for (int round = 0; round < 10; ++round) {
    QuarterRound(s, 0, 4, 8, 12);
    QuarterRound(s, 1, 5, 9, 13);
    QuarterRound(s, 2, 6, 10, 14);
    QuarterRound(s, 3, 7, 11, 15);
    QuarterRound(s, 0, 5, 10, 15);
    QuarterRound(s, 1, 6, 11, 12);
    QuarterRound(s, 2, 7, 8, 13);
    QuarterRound(s, 3, 4, 9, 14);
  }
  for (int i = 0; i < 16; ++i) s[i] += start[i];
  std::array<uint8_t, 64> out;
  std::memcpy(out.data(), s.data(), out.size());
  return out;
}

void StepRandom::Reset(const std::array<uint8_t, 32>& seed) {
  std::memcpy(key_.data(), seed.data(), seed.size());
  counter_ = 0;
  nonce_ = 0;
  used_ = block_.size();
}

void StepRandom::NextBlock() {
  block_ = ChaCha20Block(key_, counter_, {nonce_, 0, 0});
  if (++counter_ == 0) ++nonce_;
  used_ = 0;
}

void StepRandom::Fill(std::span<uint8_t> out) {
  while (!out.empty()) {
    if (used_ == block_.size()) NextBlock();
    const size_t n = std::min(out.size(), block_.size() - used_);
    std::memcpy(out.data(), block_.data() + used_, n);
    used_ += n;
    out = out.subspan(n);
  }
}

}  // namespace caxton::wasm
