// SPDX-License-Identifier: Apache-2.0
//
// What each file NAME_fuzz.cc here provides: one entry that takes any bytes, and what to start
// from. A property that does not hold is a CAXTON_ASSERT that fails: the process ends, and whoever
// drives it keeps the input. Two drivers: libfuzzer_main.cc (the fuzzers, coverage-guided) and
// replay_main.cc (a test in every build: seeds, kept cases and a number of mutations).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace caxton::fuzz {

// Takes one input; returns if every property held. Any bytes, any number of times.
void OneInput(std::string_view input);

// Inputs that get past the first checks.
std::vector<std::string> Seeds();
// What is worth inserting: keywords of the format.
std::vector<std::string> Words();

}  // namespace caxton::fuzz
