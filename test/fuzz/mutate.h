// SPDX-License-Identifier: Apache-2.0
//
// Changes an input a little, for the tests that run where there is no libFuzzer. Thread rule: one
// thread; the random source is the caller's.
#pragma once

#include <string>
#include <vector>

#include "caxton/base/random.h"

namespace caxton::fuzz {

inline constexpr size_t kMaxMutatedBytes = 64 << 10;

struct Material {
  std::vector<std::string> inputs;  // at least one
  std::vector<std::string> words;
};

// One of `material.inputs`, changed one to eight times.
std::string Mutant(const Material& material, RandomSource& random);

}  // namespace caxton::fuzz
