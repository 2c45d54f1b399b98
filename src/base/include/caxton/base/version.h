// SPDX-License-Identifier: Apache-2.0
//
// The version of this build, from the project's version in CMake. Pure.
#pragma once

#include <string_view>

namespace caxton {

// "0.1.0"
std::string_view Version();

}  // namespace caxton
