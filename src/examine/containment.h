// SPDX-License-Identifier: Apache-2.0
//
// Whether every value that one JSON Schema accepts is accepted by another. Decides the usual
// keywords; whatever it cannot decide it says so: never "yes" by guess. Private to src/examine.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "schema.h"

namespace caxton::examine {

// Empty: every value of `inner` fits `outer`. Else where not, at most kMaxSchemaFaults; faults with
// `undecided` could not be decided, and come after those that are certain. Both schemas are
// well-formed (CheckSchema).
std::vector<SchemaFault> FindNarrowing(const nlohmann::json& inner, const nlohmann::json& outer,
                                       SchemaBudget* budget);
// With kMaxSchemaSteps of its own.
std::vector<SchemaFault> FindNarrowing(const nlohmann::json& inner, const nlohmann::json& outer);

}  // namespace caxton::examine
