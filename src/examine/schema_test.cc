// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "containment.h"

namespace caxton::examine {
namespace {

using nlohmann::json;

Verdict Fits(const char* schema, const char* value) {
  SchemaBudget budget(kMaxSchemaSteps);
  SchemaFault fault;
  return ValueFits(json::parse(schema), json::parse(value), &budget, &fault);
}

TEST(SchemaTest, ValuesFitOrDoNot) {
  const struct {
    const char* schema;
    const char* value;
    Verdict verdict;
  } cases[] = {
      {"true", "1", Verdict::kYes},
      {"false", "1", Verdict::kNo},
      {R"({"type":"integer"})", "2.0", Verdict::kYes},
      {R"({"type":"integer"})", "2.5", Verdict::kNo},
      {R"({"type":["string","null"]})", "null", Verdict::kYes},
      {R"({"minimum":1,"maximum":3})", "4", Verdict::kNo},
      {R"({"minLength":2})", R"("é")", Verdict::kNo},
      {R"({"required":["a"]})", "{}", Verdict::kNo},
      {R"({"properties":{"a":{"type":"string"}}})", R"({"a":1})", Verdict::kNo},
      {R"({"properties":{"a":{}},"additionalProperties":false})", R"({"b":1})", Verdict::kNo},
      {R"({"items":{"enum":[1,2]}})", "[1,3]", Verdict::kNo},
      {R"({"anyOf":[{"type":"string"},{"type":"null"}]})", "null", Verdict::kYes},
      {R"({"oneOf":[{"type":"number"},{"type":"integer"}]})", "1", Verdict::kNo},
      {R"({"pattern":"(a+)+$"})", R"("aaaaaaaaaaaaaaaaaaaaaaaa!")", Verdict::kUndecided},
      {R"({"pattern":"a","type":"null"})", R"("a")", Verdict::kNo},
      {R"({"patternProperties":{"^x":{}},"additionalProperties":false})", R"({"x":1})",
       Verdict::kUndecided},
      {R"({"prefixItems":[{}],"items":false})", "[1]", Verdict::kUndecided},
      // What stays open of one item says nothing of the next.
      {R"({"items":{"pattern":"a","type":"string"}})", R"(["a",1])", Verdict::kNo},
      {R"({"items":{"pattern":"a"}})", R"(["a","b"])", Verdict::kUndecided},
      {R"({"properties":{"a":{"pattern":"a"},"b":false}})", R"({"a":"a","b":1})", Verdict::kNo},
      {R"({"additionalProperties":{"pattern":"a","type":"string"}})", R"({"a":"a","b":1})",
       Verdict::kNo},
  };
  for (const auto& c : cases) EXPECT_EQ(Fits(c.schema, c.value), c.verdict) << c.schema;
}

// The JSON library converts numbers before it compares them: -1 to 2^64 - 1, and 2^53 + 1 to 2^53.
TEST(SchemaTest, NumbersAreComparedExactly) {
  const struct {
    const char* schema;
    const char* value;
    Verdict verdict;
  } cases[] = {
      {R"({"const":18446744073709551615})", "-1", Verdict::kNo},
      {R"({"enum":[[9007199254740993]]})", "[9007199254740992.0]", Verdict::kNo},
      {R"({"const":{"a":1}})", R"({"a":1.0})", Verdict::kYes},
      {R"({"minimum":18446744073709551615})", "-1", Verdict::kNo},
      {R"({"minimum":18446744073709551615})", "0", Verdict::kNo},
      {R"({"maximum":-1})", "9223372036854775808", Verdict::kNo},
      {R"({"maximum":9007199254740992.0})", "9007199254740993", Verdict::kNo},
      {R"({"maximum":0.5})", "0", Verdict::kYes},
      {R"({"minimum":-0.5})", "-1", Verdict::kNo},
      {R"({"minimum":1e300})", "18446744073709551615", Verdict::kNo},
      {R"({"maximum":-1e300})", "-9223372036854775808", Verdict::kNo},
      {R"({"type":"integer"})", "1e300", Verdict::kYes},
  };
  for (const auto& c : cases) EXPECT_EQ(Fits(c.schema, c.value), c.verdict) << c.schema << c.value;
}

TEST(SchemaTest, MalformedSchemasAreToldByPath) {
  const auto faults = CheckSchema(json::parse(
      R"({"type":"strnig","required":"a","properties":{"p":{"minLength":-1}},"anyOf":[]})"));
  ASSERT_EQ(faults.size(), 4u);
  json many = json::object();
  for (int i = 0; i < 100; ++i) many[StrCat("p", i)] = 7;
  EXPECT_EQ(CheckSchema({{"properties", many}}).size(), kMaxSchemaFaults);
}

TEST(SchemaTest, WorkIsBounded) {
  SchemaFault fault;
  SchemaBudget budget(10);
  const json list = json::array({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  EXPECT_EQ(ValueFits({{"items", {{"type", "integer"}}}}, list, &budget, &fault),
            Verdict::kUndecided);
  EXPECT_TRUE(fault.undecided);
}

TEST(SchemaTest, EntriesOfListsAreWork) {
  json list = json::array();
  for (int i = 0; i < 1000; ++i) list.push_back(i);
  json names = json::array(), object = json::object();
  for (int i = 0; i < 1000; ++i) {
    names.push_back(StrCat("p", i));
    object[StrCat("p", i)] = i;
  }
  const json long_text = std::string(1000 * kTextBytesPerStep, 'x');
  const struct {
    const char* keyword;
    json rule, value;
  } cases[] = {{"enum", list, 999},
               {"const", list, list},
               {"required", names, object},
               {"additionalProperties", true, object},
               {"const", long_text, long_text},
               {"maxLength", 1'000'000, long_text}};
  for (const auto& [keyword, rule, value] : cases) {
    json schema = json::object();
    schema[keyword] = rule;
    SchemaFault fault;
    SchemaBudget budget(3000);
    EXPECT_EQ(ValueFits(schema, value, &budget, &fault), Verdict::kYes) << keyword;
    EXPECT_LE(budget.left(), 2000) << keyword;
    budget.Charge(2000);
    EXPECT_EQ(budget.left(), 0);
    EXPECT_EQ(ValueFits(schema, value, &budget, &fault), Verdict::kUndecided) << keyword;
  }
}

TEST(SchemaTest, LargeValuesAreShownByTheirStart) {
  EXPECT_EQ(ShownJson(json::parse(R"({"a":[1,"x",null],"b":{}})")), R"({"a":[1,"x",null],"b":{}})");
  json large = json::array();
  for (int i = 0; i < 1000; ++i) large.push_back(std::string(1000, 'x'));
  EXPECT_EQ(ShownJson(large), StrCat("[\"", std::string(kMaxShownNameBytes - 2, 'x'), "..."));
  const std::string path = Inside(Inside("", std::string(1000, 'a')), "b");
  EXPECT_LE(path.size(), kMaxShownNameBytes + 2) << "no longer with each level";
}

enum class Is { kContained, kNot, kOpen };

Is Contained(const char* inner, const char* outer) {
  const auto faults = FindNarrowing(json::parse(inner), json::parse(outer));
  if (faults.empty()) return Is::kContained;
  for (const SchemaFault& fault : faults) {
    if (!fault.undecided) return Is::kNot;
  }
  return Is::kOpen;
}

TEST(ContainmentTest, UsualKeywords) {
  const struct {
    const char* inner;
    const char* outer;
    Is is;
  } cases[] = {
      {R"({"type":"string"})", "{}", Is::kContained},
      {"{}", R"({"type":"string"})", Is::kNot},
      {R"({"type":"integer"})", R"({"type":"number"})", Is::kContained},
      {R"({"type":"number"})", R"({"type":"integer"})", Is::kNot},
      {R"({"type":"integer","minimum":2})", R"({"type":"integer","minimum":1})", Is::kContained},
      {R"({"type":"integer","minimum":1})", R"({"type":"integer","minimum":2})", Is::kNot},
      {R"({"type":"string","maxLength":9})", R"({"type":"string","maxLength":8})", Is::kNot},
      {R"({"type":"string"})", R"({"type":"string","minLength":0})", Is::kContained},
      {R"({"enum":[1,2]})", R"({"type":"integer"})", Is::kContained},
      {R"({"enum":[1,"a"]})", R"({"type":"integer"})", Is::kNot},
      {R"({"enum":[1,2]})", R"({"enum":[1,2,3]})", Is::kContained},
      {R"({"type":"string"})", R"({"enum":["a"]})", Is::kNot},
      {R"({"type":"boolean"})", R"({"enum":[true,false]})", Is::kOpen},
      {R"({"type":"object","required":["a"]})", R"({"type":"object"})", Is::kContained},
      {R"({"type":"object"})", R"({"type":"object","required":["a"]})", Is::kNot},
      {R"({"type":"object"})", R"({"type":"object","additionalProperties":false})", Is::kNot},
      {R"({"type":"array","items":{"type":"null"}})", R"({"type":"array"})", Is::kContained},
      {R"({"type":"array"})", R"({"type":"array","items":{"type":"null"}})", Is::kNot},
      {R"({"type":"null"})", R"({"anyOf":[{"type":"string"},{"type":"null"}]})", Is::kContained},
      {R"({"anyOf":[{"type":"string"},{"type":"null"}]})", R"({"type":"string"})", Is::kNot},
      {R"({"type":["string","null"]})", R"({"anyOf":[{"type":"string"},{"type":"null"}]})",
       Is::kOpen},
      {R"({"type":"null"})", R"({"oneOf":[{"type":"null"},{"type":"string"}]})", Is::kContained},
      {R"({"type":"null"})", R"({"oneOf":[{"type":"null"},{}]})", Is::kOpen},
      {R"({"type":"string","pattern":"a"})", R"({"type":"string","pattern":"a"})", Is::kContained},
      {R"({"type":"string","pattern":"a"})", R"({"type":"string"})", Is::kContained},
      {R"({"type":"string","pattern":"a"})", R"({"type":"string","pattern":"b"})", Is::kOpen},
      {R"({"type":"string","pattern":"a"})", R"({"type":"null"})", Is::kOpen},
      {R"({"not":{}})", R"({"type":"null"})", Is::kOpen},
      {R"({"minimum":-1})", R"({"minimum":18446744073709551615})", Is::kNot},
      {R"({"enum":[1],"type":"string"})", "false", Is::kContained},
      {R"({"enum":[1]})", "false", Is::kNot},
      // Keywords that change what their neighbours mean.
      {R"({"patternProperties":{"^x":{}},"additionalProperties":false})",
       R"({"additionalProperties":false})", Is::kOpen},
      {R"({"patternProperties":{"^x":{}}})", R"({"patternProperties":{"^x":{}}})", Is::kContained},
      {R"({"properties":{"a":{},"b":{}},"unevaluatedProperties":false})",
       R"({"properties":{"a":{}},"unevaluatedProperties":false})", Is::kOpen},
      {R"({"prefixItems":[{}],"items":false})", R"({"items":false})", Is::kOpen},
      {R"({"contains":{},"minContains":0})", R"({"contains":{}})", Is::kOpen},
      {R"({"$ref":"#/x","type":"null"})", R"({"type":"null"})", Is::kOpen},
      {R"({"maximum":9007199254740993})", R"({"maximum":9007199254740992.0})", Is::kNot},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Contained(c.inner, c.outer), c.is) << c.inner << " in " << c.outer;
  }
}

std::string ListOf(int first, int last, std::string_view quote) {
  std::string list;
  for (int i = first; i != last; i += first < last ? 1 : -1) {
    StrAppend(&list, list.empty() ? "" : ",", quote, i, quote);
  }
  return StrCat(R"({"enum":[)", list, "]}");
}

TEST(ContainmentTest, LongListsAreLookedUp) {
  for (const char* quote : {"\"", ""}) {
    const std::string some = ListOf(1, 5'000, quote), more = ListOf(5'000, 0, quote);
    EXPECT_EQ(Contained(some.c_str(), more.c_str()), Is::kContained);
    EXPECT_EQ(Contained(more.c_str(), some.c_str()), Is::kNot);
  }
  EXPECT_EQ(Contained(R"({"enum":[1,"a",[2],null]})", R"({"enum":[null,[2.0],"a",1.0,7]})"),
            Is::kContained);
  EXPECT_EQ(Contained(R"({"enum":[1,2],"maximum":1})", R"({"enum":[1,3]})"), Is::kContained);
  EXPECT_EQ(Contained(R"({"enum":[1,2]})", R"({"enum":[1,2,3],"maximum":1})"), Is::kNot);
  EXPECT_EQ(Contained(R"({"enum":[1,2]})", R"({"enum":[1],"$ref":"#/a"})"), Is::kOpen);
}

// Where they cannot be looked up, each with each is too much work, and is cut off.
TEST(ContainmentTest, ListsInBranchesAreBounded) {
  const std::string list = ListOf(0, 6'000, "\""), turned = ListOf(5'999, -1, "\"");
  const std::string branches = StrCat(R"({"anyOf":[)", turned, R"(,{"type":"null"}]})");
  EXPECT_EQ(Contained(list.c_str(), branches.c_str()), Is::kOpen);
}

// However many branches there are, no "yes" by guess.
TEST(ContainmentTest, WhatIsCutOffIsNotContained) {
  json outer = {{"oneOf", json::array({{{"type", "string"}}})}};
  for (int i = 0; i < 2 * kMaxSchemaSteps; ++i) outer["oneOf"].push_back({{"type", "null"}});
  const auto faults = FindNarrowing({{"type", "string"}, {"maxLength", 3}}, outer);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_TRUE(faults[0].undecided);
}

TEST(ContainmentTest, NarrowingIsNamedByPath) {
  const auto faults =
      FindNarrowing(json::parse(R"({"type":"object","properties":{"order":{"properties":{"n":{
          "type":["integer","string"]}}}}})"),
                    json::parse(R"({"type":"object","properties":{"order":{"properties":{"n":{
          "type":"integer"}}}}})"));
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].path, "/order/n");
  EXPECT_NE(faults[0].reason.find("string"), std::string::npos);
}

TEST(ContainmentTest, RemovedAndNarrowedTypesAreNamed) {
  const struct {
    const char* inner;
    const char* outer;
    const char* path;
    const char* says;
  } cases[] = {
      {R"({"type":"object","properties":{"n":{"type":"boolean"}}})",
       R"({"type":"object","properties":{"n":false}})", "/n",
       "removed: accepted no longer is what was boolean"},
      {R"({"type":"object","properties":{"n":{"type":"string"}}})",
       R"({"type":"object","properties":{"n":{"type":"string"}},"required":["n"]})", "/n",
       "narrowed string: it is required"},
      {R"({"type":"array","items":{"type":"integer"}})",
       R"({"type":"array","items":{"type":"integer","minimum":1}})", "/*",
       "narrowed integer: minimum is raised to 1"},
      {R"({"type":"string"})", R"({"type":"string","maxLength":4})", "/",
       "narrowed string: maxLength is lowered to 4"},
      {R"({})", R"({"type":"string"})", "/", "values of type object, array"},
  };
  for (const auto& c : cases) {
    const auto faults = FindNarrowing(json::parse(c.inner), json::parse(c.outer));
    ASSERT_EQ(faults.size(), 1u) << c.outer;
    EXPECT_EQ(faults[0].path, c.path);
    EXPECT_NE(faults[0].reason.find(c.says), std::string::npos) << faults[0].reason;
  }
}

TEST(ContainmentTest, CertainFaultsComeFirstAndBothAreBounded) {
  const int limit = static_cast<int>(kMaxSchemaFaults);
  for (const auto& [open, certain] :
       {std::pair(3 * limit, 1), std::pair(1, 3 * limit), std::pair(2, limit - 2)}) {
    json inner = json::object(), outer = json::object();
    for (int i = 0; i < open; ++i) {
      inner[StrCat("a", i)] = {{"type", "string"}};
      outer[StrCat("a", i)] = {{"type", "string"}, {"pattern", "x"}};
    }
    for (int i = 0; i < certain; ++i) {
      inner[StrCat("z", i)] = {{"type", {"string", "null"}}};
      outer[StrCat("z", i)] = {{"type", "string"}};
    }
    const auto faults = FindNarrowing({{"properties", inner}}, {{"properties", outer}});
    ASSERT_EQ(faults.size(), kMaxSchemaFaults);
    const size_t told = std::min<size_t>(certain, kMaxSchemaFaults);
    for (size_t i = 0; i < faults.size(); ++i) {
      EXPECT_EQ(faults[i].undecided, i >= told) << open << " " << certain << " " << i;
    }
  }
}

// Branches in branches: the work doubles with each level, and is cut off.
TEST(ContainmentTest, WorkIsBounded) {
  json inner = {{"type", "string"}, {"maxLength", 5}};
  json outer = {{"type", "string"}, {"pattern", "a"}};
  for (int i = 0; i < 12; ++i) {
    inner = {{"anyOf", {inner, inner, {{"type", "null"}}}}};
    outer = {{"anyOf", {outer, outer, {{"pattern", "b"}}}}};
  }
  const auto faults = FindNarrowing(inner, outer);
  ASSERT_FALSE(faults.empty());
  EXPECT_LE(faults.size(), kMaxSchemaFaults);
}

}  // namespace
}  // namespace caxton::examine
