// SPDX-License-Identifier: Apache-2.0
//
// Randomness as a dependency. OsRandom draws from the kernel; SeededRandom is reproducible (tests,
// simulation). Thread rule: OsRandom is thread-safe, SeededRandom is not.
#pragma once

#include <cstdint>
#include <span>

namespace caxton {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  virtual void Fill(std::span<uint8_t> out) = 0;

  uint64_t Next64();
  // Uniform in [0, bound); bound > 0.
  uint64_t Below(uint64_t bound);
};

class OsRandom final : public RandomSource {
 public:
  void Fill(std::span<uint8_t> out) override;
};

// SplitMix64 (Steele, Lea, Flood 2014): fine for simulation, never for salts or keys in production.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  void Fill(std::span<uint8_t> out) override;

 private:
  uint64_t state_;
};

}  // namespace caxton
