// SPDX-License-Identifier: Apache-2.0
//
// What the server is killed in: every strategy, every way a deployment ends, every command.
#pragma once

#include <vector>

#include "crash_life.h"

namespace caxton::controller::testing {

std::vector<Scenario> CrashScenarios();

}  // namespace caxton::controller::testing
