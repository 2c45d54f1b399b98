// SPDX-License-Identifier: Apache-2.0
//
// The random bytes a step sees: the ChaCha20 key stream (RFC 8439) of the step's 32-byte seed as
// key, an all-zero nonce and a block counter from 0, read from its beginning. So a run again, a
// shadow and a replay see the same bytes. Not thread-safe; a value.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace caxton::wasm {

class StepRandom final {
 public:
  StepRandom() = default;
  // Starts the stream of `seed` anew.
  void Reset(const std::array<uint8_t, 32>& seed);
  void Fill(std::span<uint8_t> out);

 private:
  void NextBlock();

  std::array<uint32_t, 8> key_{};
  std::array<uint8_t, 64> block_{};
  uint32_t counter_ = 0;
  uint32_t nonce_ = 0;  // counts the wraps of the block counter (after 256 GiB)
  size_t used_ = 64;    // bytes of block_ already given out
};

// One ChaCha20 block (RFC 8439, 2.3), exposed for its test vector.
std::array<uint8_t, 64> ChaCha20Block(const std::array<uint32_t, 8>& key, uint32_t counter,
                                      const std::array<uint32_t, 3>& nonce);

}  // namespace caxton::wasm
