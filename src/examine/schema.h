// SPDX-License-Identifier: Apache-2.0
//
// JSON Schema, as much as can be decided without surprises: whether a schema is well-formed, and
// whether a value fits it. No regular expression of a module's author is ever run, and work is
// bounded; what that leaves open is answered "undecided". Private to src/examine.
//
// Thread rule: functions on values. Schemas are at most kMaxManifestDepth deep, values at most
// kMaxContentDepth: the callers check before they parse.
#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace caxton::examine {

// The types of JSON Schema. Sets of them are bits in this order.
inline constexpr std::array kSchemaTypes = {"object",  "array",   "string", "number",
                                            "integer", "boolean", "null"};

enum class Verdict { kYes, kNo, kUndecided };

// Where and why something does not fit; `path` is that of the value: "/order/items/*".
struct SchemaFault {
  std::string path;
  std::string reason;
  bool undecided = false;
};

// Work left. Every look at a schema takes a step; what a look costs beyond that (entries of lists,
// comparisons) is charged when it is done, so that the last one may go over: by no more than what
// is linear in the two documents.
class SchemaBudget final {
 public:
  explicit SchemaBudget(int steps) : left_(steps) {}
  bool Take() { return left_ > 0 && left_-- > 0; }
  void Charge(size_t steps) {
    left_ = steps < static_cast<size_t>(left_) ? left_ - static_cast<int>(steps) : 0;
  }
  int left() const { return left_; }

 private:
  int left_;
};

// The values of an "enum", for looking up many: texts and numbers, which most of them are, without
// a look at each. `list` outlives it.
class ListedValues final {
 public:
  ListedValues(const nlohmann::json& list, SchemaBudget* budget);
  bool Has(const nlohmann::json& value) const;

 private:
  SchemaBudget* const budget_;
  std::set<std::string_view> texts_;
  std::vector<const nlohmann::json*> numbers_, others_;  // numbers in their order
};

// `value` as JSON, shortened while it is written; where something is inside of `path`, no longer
// than what can be shown of it.
std::string ShownJson(const nlohmann::json& value);
std::string Inside(const std::string& path, std::string_view name);

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
