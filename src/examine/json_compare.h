// SPDX-License-Identifier: Apache-2.0
//
// Equality and order of JSON values as JSON Schema means them: by value and exactly. The library's
// own operators convert first: to it -1 is 18446744073709551615, and 2^53 + 1 is 2^53.0. Private to
// src/examine.
//
// Thread rule: functions on values, at most kMaxContentDepth deep.
#pragma once

#include <nlohmann/json.hpp>

namespace caxton::examine {

// Of two numbers: negative, 0 or positive as `a` is less than, equal to or greater than `b`.
int CompareNumbers(const nlohmann::json& a, const nlohmann::json& b);

// 1 and 1.0 are the same; members of objects have no order.
bool SameJson(const nlohmann::json& a, const nlohmann::json& b);
// The same, and adds to `*steps` what it took: one for each pair of values and of long texts'
// parts.
bool SameJson(const nlohmann::json& a, const nlohmann::json& b, int* steps);

// What a copy of `value` costs, in those steps.
int StepsOf(const nlohmann::json& value);

}  // namespace caxton::examine
