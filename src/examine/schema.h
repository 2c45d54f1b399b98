// SPDX-License-Identifier: Apache-2.0
//
// JSON Schema, as much as can be decided without surprises: whether a schema is well-formed, and
// whether a value fits it. No regular expression of a module's author is ever run, and work is
// bounded; what that leaves open is answered "undecided". Private to src/examine.
//
// Thread rule: functions on values. Both arguments are at most kMaxSchemaDepth and kMaxContentDepth
// deep: the callers check before they parse.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace caxton::examine {

enum class Verdict { kYes, kNo, kUndecided };

// Where and why something does not fit; `path` is that of the value: "/order/items/*".
struct SchemaFault {
  std::string path;
  std::string reason;
  bool undecided = false;
};

// Work left; every look at a schema takes a step.
class SchemaBudget final {
 public:
  explicit SchemaBudget(int steps) : left_(steps) {}
  bool Take() { return left_ > 0 && left_-- > 0; }

 private:
  int left_;
};

// Title, description and the like: they restrict nothing.
bool IsAnnotation(std::string_view keyword);
// Keywords that ValueFits and containment understand.
bool IsDecidable(std::string_view keyword);
// A keyword of `schema` that changes what other keywords of it mean (patternProperties that of
// additionalProperties, $ref that of all): with one, nothing about `schema` is decided. Null: none.
const char* EntangledKeyword(const nlohmann::json& schema);
// "object", "integer" ...; an integer is also a "number".
bool HasType(const nlohmann::json& value, std::string_view type);

// What is malformed in `schema`, at most kMaxSchemaFaults.
std::vector<SchemaFault> CheckSchema(const nlohmann::json& schema);

// Whether `value` fits; unless kYes, `*fault` tells the first reason.
Verdict ValueFits(const nlohmann::json& schema, const nlohmann::json& value, SchemaBudget* budget,
                  SchemaFault* fault);

}  // namespace caxton::examine
