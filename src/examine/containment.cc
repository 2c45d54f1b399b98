// SPDX-License-Identifier: Apache-2.0
#include "containment.h"

#include <set>
#include <string>
#include <string_view>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "findings.h"
#include "json_compare.h"

namespace caxton::examine {
namespace {

using nlohmann::json;

// "number" stands for those that are no integers: so that the sets below are disjoint.
constexpr unsigned kAll = (1u << kSchemaTypes.size()) - 1;

unsigned TypeBit(const json& name) {
  unsigned bits = 0;
  for (size_t i = 0; i < kSchemaTypes.size(); ++i) {
    if (name == kSchemaTypes[i]) bits |= 1u << i;
  }
  return name == "number" ? bits | 1u << 4 : bits;
}

unsigned TypeBits(const json& schema) {
  if (!schema.is_object() || !schema.contains("type")) return kAll;
  const json& type = schema["type"];
  if (!type.is_array()) return TypeBit(type);
  unsigned bits = 0;
  for (const json& name : type) bits |= TypeBit(name);
  return bits;
}

bool Has(unsigned bits, std::string_view type) {
  for (size_t i = 0; i < kSchemaTypes.size(); ++i) {
    if (type == kSchemaTypes[i]) return (bits >> i & 1) != 0;
  }
  return false;
}

// "string, null"; "any type".
std::string TypeNames(unsigned bits) {
  if (bits == kAll) return "any type";
  std::string names;
  for (size_t i = 0; i < kSchemaTypes.size(); ++i) {
    if ((bits >> i & 1) != 0) StrAppend(&names, names.empty() ? "" : ", ", kSchemaTypes[i]);
  }
  return names;
}

const json& Member(const json& schema, const char* name) {
  static const json& open = *new json(true);
  const auto found = schema.find(name);
  return found == schema.end() ? open : *found;
}

// The schema of property `name`.
const json& Property(const json& schema, const std::string& name) {
  const auto all = schema.find("properties");
  if (all != schema.end()) {
    const auto found = all->find(name);
    if (found != all->end()) return *found;
  }
  return Member(schema, "additionalProperties");
}

std::set<std::string_view> RequiredOf(const json& schema) {
  std::set<std::string_view> names;
  const auto list = schema.find("required");
  if (list == schema.end()) return names;
  for (const json& item : *list) names.insert(item.get_ref<const std::string&>());
  return names;
}

// How many entries the schema's own lists have: what a look at it costs.
size_t Entries(const json& schema) {
  if (!schema.is_object()) return 0;
  size_t entries = schema.size();
  for (const char* name : {"type", "required", "enum", "properties"}) {
    const auto found = schema.find(name);
    if (found != schema.end()) entries += found->size();
  }
  return entries;
}

bool ListsValues(const json& schema) {
  return schema.is_object() && (schema.contains("enum") || schema.contains("const"));
}
bool IsFalse(const json& schema) { return schema.is_boolean() && !schema.get<bool>(); }
bool IsOpen(const json& schema) {
  return schema.is_boolean() ? schema.get<bool>() : schema.empty();
}

class Comparison final {
 public:
  explicit Comparison(SchemaBudget* budget) : budget_(budget) {}

  // True: contained, and nothing was found.
  bool Contained(const json& inner, const json& outer, const std::string& path) {
    const size_t before = found_;
    Compare(inner, outer, path);
    return found_ == before;
  }
  // The certain ones first.
  std::vector<SchemaFault> Take() {
    for (SchemaFault& fault : open_) {
      if (certain_.size() < kMaxSchemaFaults) certain_.push_back(std::move(fault));
    }
    return std::move(certain_);
  }

 private:
  void Fault(const std::string& path, std::string reason) {
    ++found_;
    // Where `inner` was widened to be understood, its values need not exist.
    const bool unsure = widened_ > 0;
    std::vector<SchemaFault>& kept = unsure ? open_ : certain_;
    if (kept.size() >= kMaxSchemaFaults) return;
    kept.push_back({path.empty() ? "/" : Shown(path), std::move(reason), unsure});
  }
  void Open(const std::string& path, std::string reason) {
    ++widened_;
    Fault(path, std::move(reason));
    --widened_;
  }

  // Without leaving faults behind.
  bool Try(const json& inner, const json& outer, const std::string& path) {
    const size_t certain = certain_.size(), open = open_.size(), found = found_;
    const bool contained = Contained(inner, outer, path);
    certain_.resize(certain);
    open_.resize(open);
    found_ = found;
    return contained;
  }

  void Compare(const json& inner, const json& outer, const std::string& path) {
    if (!budget_->Take()) return Open(path, "it takes too much work to decide");
    budget_->Charge(Entries(inner) + Entries(outer));
    if (Same(inner, outer) || IsOpen(outer) || IsFalse(inner)) return;
    if (ListsValues(inner)) return Values(inner, outer, path);
    if (IsFalse(outer)) {
      return Fault(path,
                   StrCat("removed: accepted no longer is what was ", TypeNames(TypeBits(inner))));
    }
    for (const json* schema : {&inner, &outer}) {
      const char* keyword = EntangledKeyword(*schema);
      if (keyword == nullptr) continue;
      return Open(path, StrCat("\"", keyword, "\" cannot be compared"));
    }
    static const json& nothing_said = *new json(json::object());
    const json& whole = inner.is_boolean() ? nothing_said : inner;
    for (const char* name : {"anyOf", "oneOf"}) {
      if (whole.contains(name)) return InnerBranches(whole, name, outer, path);
    }
    for (const char* name : {"anyOf", "oneOf"}) {
      if (outer.contains(name)) return OuterBranches(whole, name, outer, path);
    }
    const int widened = widened_;
    for (const auto& [name, value] : whole.items()) {
      if (!IsAnnotation(name) && !IsDecidable(name)) ++widened_;
    }
    Rules(whole, outer, path);
    widened_ = widened;
  }

  bool Same(const json& a, const json& b) {
    int steps = 0;
    const bool same = SameJson(a, b, &steps);
    budget_->Charge(static_cast<size_t>(steps));
    return same;
  }

  // `schema` without one of its keywords.
  json Without(const json& schema, std::string_view keyword) {
    json rest = json::object();
    for (const auto& [name, value] : schema.items()) {
      if (name != keyword) rest[name] = value;
    }
    budget_->Charge(static_cast<size_t>(StepsOf(rest)));
    return rest;
  }

  // `inner` lists its values.
  void Values(const json& inner, const json& outer, const std::string& path) {
    const bool fixed = inner.contains("const");
    const char* keyword = fixed ? "const" : "enum";
    const json& given = *inner.find(keyword);
    const json own_rules = Without(inner, keyword);
    // Lists against lists: looked up, not compared each with each.
    const bool looked_up =
        outer.is_object() && outer.contains("enum") && EntangledKeyword(outer) == nullptr;
    const json none = json::array();
    const json& allowed = looked_up ? *outer.find("enum") : none;
    const ListedValues listed(allowed, budget_);
    json rest;
    if (looked_up) rest = Without(outer, "enum");
    const json& rules = looked_up ? rest : outer;
    const auto check = [&](const json& value) {
      SchemaFault fault;
      const Verdict own = ValueFits(own_rules, value, budget_, &fault);
      if (own == Verdict::kNo) return;
      Verdict fits = Verdict::kNo;
      if (looked_up && !listed.Has(value)) {
        fault = {"", StrCat("is none of ", ShownJson(allowed))};
      } else {
        fits = ValueFits(rules, value, budget_, &fault);
      }
      if (fits == Verdict::kYes) return;
      std::string reason = StrCat("the value ", ShownJson(value), ": ", fault.reason);
      if (fits == Verdict::kNo && own == Verdict::kYes) {
        Fault(path + fault.path, std::move(reason));
      } else {
        Open(path + fault.path, std::move(reason));
      }
    };
    if (fixed) return check(given);
    for (const json& value : given) check(value);
  }

  void InnerBranches(const json& inner, const char* name, const json& outer,
                     const std::string& path) {
    const json rest = Without(inner, name);
    if (Try(rest, outer, path)) return;
    bool plain = true;
    for (const auto& [keyword, value] : rest.items()) plain = plain && IsAnnotation(keyword);
    // Only the branches of a plain anyOf have all of their values in `inner`.
    const bool exact = plain && std::string_view(name) == "anyOf";
    if (!exact) ++widened_;
    for (const json& branch : inner[name]) Compare(branch, outer, path);
    if (!exact) --widened_;
  }

  void OuterBranches(const json& inner, const char* name, const json& outer,
                     const std::string& path) {
    Compare(inner, Without(outer, name), path);
    const json& branches = outer[name];
    const bool one = std::string_view(name) == "oneOf";
    for (size_t i = 0; i < branches.size(); ++i) {
      if (!Try(inner, branches[i], path)) continue;
      bool alone = true;
      for (size_t k = 0; one && alone && k < branches.size(); ++k) {
        budget_->Charge(Entries(branches[k]) + Entries(inner));
        const bool meets = k != i && (TypeBits(branches[k]) & TypeBits(inner)) != 0;
        alone = budget_->Take() && !meets;
      }
      if (alone) return;
    }
    unsigned offered = 0;
    for (const json& branch : branches) {
      budget_->Charge(1 + Entries(branch));
      offered |= IsFalse(branch) ? 0 : TypeBits(branch);
    }
    if ((TypeBits(inner) & ~offered) != 0) {
      return Fault(path, StrCat("a type is accepted by no branch of ", name, " any more"));
    }
    Open(path, StrCat("no single branch of ", name, " is known to accept all of it"));
  }

  void Rules(const json& inner, const json& outer, const std::string& path) {
    const unsigned types = TypeBits(inner);
    const unsigned lost = types & ~TypeBits(outer);
    if (lost != 0) {
      Fault(path, StrCat("narrowed: accepted no longer are values of type ", TypeNames(lost)));
    }
    for (const auto& [name, value] : outer.items()) {
      if (name == "enum" || name == "const") {
        Fixed(inner, value, path);
      } else if (!IsAnnotation(name) && !IsDecidable(name)) {
        if (!inner.contains(name) || !Same(inner[name], value)) {
          Open(path, StrCat("\"", Shown(name), "\" cannot be compared"));
        }
      }
    }
    const unsigned both = types & ~lost;
    if (Has(both, "number") || Has(both, "integer")) {
      const std::string_view type = Has(both, "number") ? "number" : "integer";
      Bounds(inner, outer, {"minimum", "maximum", type}, path);
    }
    if (Has(both, "string")) Bounds(inner, outer, {"minLength", "maxLength", "string"}, path);
    if (Has(both, "array")) {
      Bounds(inner, outer, {"minItems", "maxItems", "array"}, path);
      Compare(Member(inner, "items"), Member(outer, "items"), Inside(path, "*"));
    }
    if (Has(both, "object")) Objects(inner, outer, path);
  }

  // `outer` lists its values, and `inner` does not: only small types could still be covered.
  void Fixed(const json& inner, const json& listed, const std::string& path) {
    const unsigned small = 1u << 5 | 1u << 6;  // boolean, null
    std::string reason = StrCat("only ", ShownJson(listed), " is accepted now");
    if ((TypeBits(inner) & ~small) == 0) return Open(path, std::move(reason));
    // A number or text between equal bounds is one value.
    const bool bounded = inner.contains("maximum") || inner.contains("maxLength") ||
                         inner.contains("maxItems") || IsFalse(Member(inner, "items")) ||
                         IsFalse(Member(inner, "additionalProperties"));
    if (bounded) return Open(path, std::move(reason));
    Fault(path, std::move(reason));
  }

  struct Pair {
    const char* lowest;
    const char* highest;
    std::string_view type;
  };
  void Bounds(const json& inner, const json& outer, const Pair& names, const std::string& path) {
    // A count has a lowest value even where none is said.
    const bool counts = std::string_view(names.lowest) != "minimum";
    if (outer.contains(names.lowest)) {
      const json& now = outer[names.lowest];
      const json before = inner.contains(names.lowest) ? inner[names.lowest]
                          : counts                     ? json(0u)
                                                       : json();
      if (before.is_null() || CompareNumbers(before, now) < 0) {
        Fault(path,
              StrCat("narrowed ", names.type, ": ", names.lowest, " is raised to ", now.dump()));
      }
    }
    if (outer.contains(names.highest)) {
      const json& now = outer[names.highest];
      if (!inner.contains(names.highest) || CompareNumbers(inner[names.highest], now) > 0) {
        Fault(path,
              StrCat("narrowed ", names.type, ": ", names.highest, " is lowered to ", now.dump()));
      }
    }
  }

  void Objects(const json& inner, const json& outer, const std::string& path) {
    if (outer.contains("required")) {
      const std::set<std::string_view> before = RequiredOf(inner);
      for (const json& item : outer["required"]) {
        const auto& name = item.get_ref<const std::string&>();
        if (!before.contains(name)) {
          Fault(Inside(path, name), StrCat("narrowed ", TypeNames(TypeBits(Property(inner, name))),
                                           ": it is required, and was optional"));
        }
      }
    }
    std::set<std::string_view> names;
    for (const json* schema : {&inner, &outer}) {
      const json& all = Member(*schema, "properties");
      for (auto it = all.begin(); all.is_object() && it != all.end(); ++it) names.insert(it.key());
    }
    for (const std::string_view one : names) {
      const std::string name(one);
      Compare(Property(inner, name), Property(outer, name), Inside(path, name));
    }
    Compare(Member(inner, "additionalProperties"), Member(outer, "additionalProperties"),
            Inside(path, "(any other)"));
  }

  SchemaBudget* const budget_;
  int widened_ = 0;
  size_t found_ = 0;                         // kept or not
  std::vector<SchemaFault> certain_, open_;  // kMaxSchemaFaults of each
};

}  // namespace

std::vector<SchemaFault> FindNarrowing(const json& inner, const json& outer, SchemaBudget* budget) {
  Comparison comparison(budget);
  comparison.Contained(inner, outer, "");
  return comparison.Take();
}

std::vector<SchemaFault> FindNarrowing(const json& inner, const json& outer) {
  SchemaBudget budget(kMaxSchemaSteps);
  return FindNarrowing(inner, outer, &budget);
}

}  // namespace caxton::examine
