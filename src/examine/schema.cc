// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "findings.h"
#include "json_compare.h"

namespace caxton::examine {
namespace {

using nlohmann::json;

constexpr std::array kAnnotations = {"title",    "description", "default",   "examples",
                                     "$schema",  "$id",         "$comment",  "format",
                                     "readOnly", "writeOnly",   "deprecated"};
constexpr std::array kDecidable = {"type",     "properties", "required",  "additionalProperties",
                                   "enum",     "const",      "items",     "minimum",
                                   "maximum",  "minLength",  "maxLength", "minItems",
                                   "maxItems", "anyOf",      "oneOf"};

constexpr std::array kEntangled = {
    "patternProperties", "unevaluatedProperties", "prefixItems", "additionalItems",
    "unevaluatedItems",  "minContains",           "maxContains", "$ref",
    "$dynamicRef",       "$recursiveRef"};

template <typename List>
bool In(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

size_t CodePoints(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

bool IsTypeName(const json& value) {
  return value.is_string() && In(kSchemaTypes, value.get_ref<const std::string&>());
}

void AppendJson(const json& value, std::string* out) {
  const bool object = value.is_object();
  if (value.is_string()) {
    const json start = value.get_ref<const std::string&>().substr(0, kMaxShownNameBytes + 1);
    out->append(start.dump(-1, ' ', false, json::error_handler_t::replace));
  } else if (!object && !value.is_array()) {
    out->append(value.dump());
  } else {
    out->push_back(object ? '{' : '[');
    for (auto it = value.begin(); it != value.end() && out->size() <= kMaxShownNameBytes; ++it) {
      if (it != value.begin()) out->push_back(',');
      if (object) {
        AppendJson(it.key(), out);
        out->push_back(':');
      }
      AppendJson(*it, out);
    }
    out->push_back(object ? '}' : ']');
  }
}

class Checker final {
 public:
  void Check(const json& schema, const std::string& path) {
    if (faults_.size() >= kMaxSchemaFaults) return;
    if (schema.is_boolean()) return;
    if (!schema.is_object()) return Fault(path, "a schema is an object, or true or false");
    for (const auto& [name, value] : schema.items()) Keyword(name, value, Inside(path, name));
  }

  std::vector<SchemaFault> Take() { return std::move(faults_); }

 private:
  void Fault(const std::string& path, std::string reason) {
    if (faults_.size() < kMaxSchemaFaults) faults_.push_back({Shown(path), std::move(reason)});
  }

  void Keyword(const std::string& name, const json& value, const std::string& path) {
    if (name == "type") return Type(value, path);
    if (name == "properties") return Map(value, path);
    if (name == "items" || name == "additionalProperties") return Check(value, path);
    if (name == "anyOf" || name == "oneOf") return List(value, path);
    if (name == "required") {
      const bool good = value.is_array() && std::all_of(value.begin(), value.end(), [](auto& item) {
                          return item.is_string();
                        });
      if (!good) Fault(path, "is no list of names");
    } else if (name == "enum") {
      if (!value.is_array() || value.empty()) Fault(path, "is no list of values");
    } else if (name == "minimum" || name == "maximum") {
      if (!value.is_number()) Fault(path, "is no number");
    } else if (name == "minLength" || name == "maxLength" || name == "minItems" ||
               name == "maxItems") {
      if (!value.is_number_unsigned()) Fault(path, "is no count");
    } else if (name == "pattern") {
      if (!value.is_string()) Fault(path, "is no text");
    }
  }

  void Type(const json& value, const std::string& path) {
    const bool good = IsTypeName(value) || (value.is_array() && !value.empty() &&
                                            std::all_of(value.begin(), value.end(), IsTypeName));
    if (!good) {
      Fault(path, "names no type: use object, array, string, number, integer, boolean or null");
    }
  }

  void Map(const json& value, const std::string& path) {
    if (!value.is_object()) return Fault(path, "is no object of schemas");
    for (const auto& [name, schema] : value.items()) Check(schema, Inside(path, name));
  }

  void List(const json& value, const std::string& path) {
    if (!value.is_array() || value.empty()) return Fault(path, "is no list of schemas");
    for (size_t i = 0; i < value.size(); ++i) Check(value[i], Inside(path, StrCat(i)));
  }

  std::vector<SchemaFault> faults_;
};

// The verdict on several parts that must all fit. A certain "no" of a later part counts more than
// what stays open of an earlier one; `*fault` tells the first that counts.
class All final {
 public:
  explicit All(SchemaFault* fault) : fault_(fault) {}

  void Add(Verdict one) {
    if (one == Verdict::kUndecided && verdict_ == Verdict::kYes) open_ = *fault_;
    if (one != Verdict::kYes) verdict_ = one;
  }
  // No part can change it any more.
  bool decided() const { return verdict_ == Verdict::kNo; }
  Verdict Take() {
    if (verdict_ == Verdict::kUndecided) *fault_ = std::move(open_);
    return verdict_;
  }

 private:
  SchemaFault* const fault_;
  Verdict verdict_ = Verdict::kYes;
  SchemaFault open_;
};

class Fitter final {
 public:
  Fitter(SchemaBudget* budget, SchemaFault* fault) : budget_(budget), fault_(fault) {}

  Verdict Fits(const json& schema, const json& value, const std::string& path) {
    if (!budget_->Take()) return Undecided(path, "it takes too much work to decide");
    budget_->Charge(schema.is_object() ? schema.size() : 0);
    if (schema.is_boolean()) {
      return schema.get<bool>() ? Verdict::kYes : No(path, "nothing is allowed here");
    }
    if (const char* keyword = EntangledKeyword(schema); keyword != nullptr) {
      return Undecided(path, StrCat("\"", keyword, "\" is not understood here"));
    }
    All all(fault_);
    for (const auto& [name, rule] : schema.items()) {
      all.Add(Keyword(schema, name, rule, value, path));
      if (all.decided()) break;
    }
    return all.Take();
  }

 private:
  Verdict No(const std::string& path, std::string reason) {
    *fault_ = {Shown(path), std::move(reason)};
    return Verdict::kNo;
  }
  Verdict Undecided(const std::string& path, std::string reason) {
    *fault_ = {Shown(path), std::move(reason), true};
    return Verdict::kUndecided;
  }

  Verdict Keyword(const json& schema, const std::string& name, const json& rule, const json& value,
                  const std::string& path) {
    if (name == "type") {
      const auto fits = [&value](const json& type) {
        return HasType(value, type.get_ref<const std::string&>());
      };
      budget_->Charge(rule.size());
      if (rule.is_array() ? std::any_of(rule.begin(), rule.end(), fits) : fits(rule)) {
        return Verdict::kYes;
      }
      return No(path, StrCat("is ", value.type_name(), ", not ", ShownJson(rule)));
    }
    if (name == "const") {
      return Same(value, rule) ? Verdict::kYes : No(path, StrCat("is not ", ShownJson(rule)));
    }
    if (name == "enum") {
      const bool found = std::any_of(rule.begin(), rule.end(), [this, &value](const json& listed) {
        return Same(listed, value);
      });
      return found ? Verdict::kYes : No(path, StrCat("is none of ", ShownJson(rule)));
    }
    if (name == "anyOf" || name == "oneOf") return Branches(name, rule, value, path);
    if (IsAnnotation(name)) return Verdict::kYes;
    if (!IsDecidable(name)) {
      return Undecided(path, StrCat("\"", Shown(name), "\" is not understood here"));
    }
    if (value.is_object()) return Object(schema, name, rule, value, path);
    if (value.is_array()) return Array(name, rule, value, path);
    return Scalar(name, rule, value, path);
  }

  Verdict Scalar(const std::string& name, const json& rule, const json& value,
                 const std::string& path) {
    bool good = true;
    if (value.is_number()) {
      if (name == "minimum") good = CompareNumbers(value, rule) >= 0;
      if (name == "maximum") good = CompareNumbers(value, rule) <= 0;
    } else if (value.is_string() && (name == "minLength" || name == "maxLength")) {
      const auto& text = value.get_ref<const std::string&>();
      const size_t length = CodePoints(text);
      budget_->Charge(text.size() / kTextBytesPerStep);
      if (name == "minLength") good = length >= rule.get<size_t>();
      if (name == "maxLength") good = length <= rule.get<size_t>();
    }
    return good ? Verdict::kYes : No(path, StrCat("breaks ", name, " ", ShownJson(rule)));
  }

  Verdict Array(const std::string& name, const json& rule, const json& value,
                const std::string& path) {
    if ((name == "minItems" && value.size() < rule.get<size_t>()) ||
        (name == "maxItems" && value.size() > rule.get<size_t>())) {
      return No(path, StrCat("has ", value.size(), " items and breaks ", name));
    }
    All all(fault_);
    if (name != "items") return Verdict::kYes;
    for (size_t i = 0; i < value.size() && !all.decided(); ++i) {
      all.Add(Fits(rule, value[i], Inside(path, StrCat(i))));
    }
    return all.Take();
  }

  Verdict Object(const json& schema, const std::string& name, const json& rule, const json& value,
                 const std::string& path) {
    if (name == "required") {
      budget_->Charge(rule.size());
      for (const json& key : rule) {
        const auto& text = key.get_ref<const std::string&>();
        if (!value.contains(text)) return No(Inside(path, text), "is missing");
      }
      return Verdict::kYes;
    }
    if (name != "properties" && name != "additionalProperties") return Verdict::kYes;
    All all(fault_);
    budget_->Charge(value.size());
    for (const auto& [key, item] : value.items()) {
      const bool named = schema.contains("properties") && schema["properties"].contains(key);
      if (named != (name == "properties")) continue;
      all.Add(Fits(named ? rule[key] : rule, item, Inside(path, key)));
      if (all.decided()) break;
    }
    return all.Take();
  }

  Verdict Branches(const std::string& name, const json& rule, const json& value,
                   const std::string& path) {
    size_t fit = 0, open = 0;
    for (const json& branch : rule) {
      const Verdict one = Fits(branch, value, path);
      if (one == Verdict::kYes) ++fit;
      if (one == Verdict::kUndecided) ++open;
    }
    const bool any = name == "anyOf";
    if (any ? fit > 0 : (fit == 1 && open == 0)) return Verdict::kYes;
    if (open > 0 && (any || fit <= 1)) return Undecided(path, StrCat(name, " cannot be decided"));
    return No(path, StrCat("fits ", fit, " branches of ", name));
  }

  bool Same(const json& a, const json& b) {
    int steps = 0;
    const bool same = SameJson(a, b, &steps);
    budget_->Charge(static_cast<size_t>(steps));
    return same;
  }

  SchemaBudget* const budget_;
  SchemaFault* const fault_;
};

}  // namespace

std::string ShownJson(const json& value) {
  std::string text;
  AppendJson(value, &text);
  return Shown(text);
}

std::string Inside(const std::string& path, std::string_view name) {
  if (path.size() > kMaxShownNameBytes) return path;
  return StrCat(path, "/", name.substr(0, kMaxShownNameBytes + 1));
}

ListedValues::ListedValues(const json& list, SchemaBudget* budget) : budget_(budget) {
  budget_->Charge(list.size());
  for (const json& value : list) {
    if (value.is_string()) {
      texts_.insert(value.get_ref<const std::string&>());
    } else {
      (value.is_number() ? numbers_ : others_).push_back(&value);
    }
  }
  std::sort(numbers_.begin(), numbers_.end(),
            [](const json* a, const json* b) { return CompareNumbers(*a, *b) < 0; });
}

bool ListedValues::Has(const json& value) const {
  if (value.is_string()) return texts_.contains(value.get_ref<const std::string&>());
  if (value.is_number()) {
    const auto at =
        std::lower_bound(numbers_.begin(), numbers_.end(), value,
                         [](const json* a, const json& b) { return CompareNumbers(*a, b) < 0; });
    return at != numbers_.end() && CompareNumbers(**at, value) == 0;
  }
  int steps = 0;
  const bool found = std::any_of(others_.begin(), others_.end(), [&](const json* listed) {
    return SameJson(*listed, value, &steps);
  });
  budget_->Charge(static_cast<size_t>(steps));
  return found;
}

bool IsAnnotation(std::string_view keyword) { return In(kAnnotations, keyword); }
bool IsDecidable(std::string_view keyword) { return In(kDecidable, keyword); }

const char* EntangledKeyword(const json& schema) {
  for (const char* keyword : kEntangled) {
    if (schema.is_object() && schema.contains(keyword)) return keyword;
  }
  return nullptr;
}

bool HasType(const json& value, std::string_view type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "number") return value.is_number();
  if (type != "integer") return false;
  if (value.is_number_integer()) return true;
  // 2.0 is an integer too; beyond 2^53 every double is.
  return value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>();
}

std::vector<SchemaFault> CheckSchema(const json& schema) {
  Checker checker;
  checker.Check(schema, "");
  return checker.Take();
}

Verdict ValueFits(const json& schema, const json& value, SchemaBudget* budget, SchemaFault* fault) {
  return Fitter(budget, fault).Fits(schema, value, "");
}

}  // namespace caxton::examine
