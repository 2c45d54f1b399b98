// SPDX-License-Identifier: Apache-2.0
//
// Random JSON Schemas, and values that may fit one: what the containment target compares. Small
// ranges on purpose, so that two schemas often say nearly the same.
#pragma once

#include <nlohmann/json.hpp>

#include "byte_source.h"
#include "caxton/base/random.h"

namespace caxton::fuzz {

// A well-formed schema.
nlohmann::json MakeSchema(ByteSource& in, int depth);
// `schema`, changed in one place or a few.
nlohmann::json EditSchema(const nlohmann::json& schema, ByteSource& in);
// A value near `schema`'s limits; fits it more often than not. Nearly all of what `schema` says is
// looked at, none of it is guaranteed.
nlohmann::json MakeValue(const nlohmann::json& schema, RandomSource& random, int depth);

}  // namespace caxton::fuzz
