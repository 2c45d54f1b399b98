// SPDX-License-Identifier: Apache-2.0
#include "schema_values.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

namespace caxton::fuzz {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 3;
constexpr size_t kMaxMadeItems = 5;
constexpr std::array kTypes = {"object", "array", "string", "number", "integer", "boolean", "null"};
constexpr std::array kNames = {"a", "b", "c"};
constexpr std::array kBounds = {"minimum",   "maximum",  "minLength",
                                "maxLength", "minItems", "maxItems"};
// Keywords that cannot be decided, and ones that mean nothing.
constexpr std::array kOther = {
    "pattern", "not", "format", "title", "x-own", "multipleOf", "patternProperties", "prefixItems"};

// Numbers where kinds of numbers meet.
json Number(uint64_t choice) {
  switch (choice % 20) {
    case 0:
      return int64_t{-1};
    case 1:
      return INT64_MIN;
    case 2:
      return INT64_MAX;
    case 3:
      return uint64_t{1} << 63;
    case 4:
      return UINT64_MAX;
    case 5:
      return 0.5;
    case 6:
      return -0.0;
    case 7:
      return 2.0;
    case 8:
      return 9007199254740992.0;
    case 9:
      return uint64_t{9007199254740993};
    case 10:
      return 1e300;
    case 11:
      return -9223372036854775808.0;
    case 12:
      return 18446744073709551615.0;
    default:
      return static_cast<uint64_t>(choice % 20 - 13);
  }
}

json SmallValue(uint64_t choice) {
  switch (choice % 12) {
    case 0:
      return nullptr;
    case 1:
      return true;
    case 2:
      return false;
    case 3:
      return "";
    case 4:
      return "a";
    case 5:
      return "\u00e9\u00e9";
    case 6:
      return json::array();
    case 7:
      return json::array({1, "a"});
    case 8:
      return json::object();
    case 9:
      return json{{"a", Number(choice / 12)}};
    default:
      return Number(choice / 12);
  }
}

json List(ByteSource& in, int depth) {
  json list = json::array();
  for (unsigned left = 1 + in.Below(3); left > 0; --left) list.push_back(MakeSchema(in, depth + 1));
  return list;
}

void AddKeyword(ByteSource& in, int depth, json* schema) {
  switch (in.Below(10)) {
    case 0:
      (*schema)["type"] = in.Pick(kTypes);
      break;
    case 1:
      (*schema)["type"] = json::array({in.Pick(kTypes), in.Pick(kTypes)});
      break;
    case 2: {
      const std::string name = in.Pick(kBounds);
      (*schema)[name] = name.ends_with("mum") ? Number(in.Byte()) : json(uint64_t{in.Below(4)});
      break;
    }
    case 3: {
      json values = json::array();
      for (unsigned left = 1 + in.Below(3); left > 0; --left) {
        values.push_back(SmallValue(in.Byte()));
      }
      (*schema)["enum"] = std::move(values);
      break;
    }
    case 4:
      (*schema)["const"] = SmallValue(in.Byte());
      break;
    case 5:
      (*schema)["required"] = json::array({in.Pick(kNames)});
      break;
    case 6:
      (*schema)[in.Chance(2) ? "items" : "additionalProperties"] = MakeSchema(in, depth + 1);
      break;
    case 7:
      (*schema)["properties"][in.Pick(kNames)] = MakeSchema(in, depth + 1);
      break;
    case 8:
      (*schema)[in.Chance(2) ? "anyOf" : "oneOf"] = List(in, depth);
      break;
    default:
      (*schema)[in.Pick(kOther)] = "a";
      break;
  }
}

// One of the schemas below `schema`, or itself.
json* Below(json* schema, ByteSource& in) {
  if (!schema->is_object() || schema->empty() || in.Chance(3)) return schema;
  auto it = schema->begin();
  std::advance(it, in.Below(static_cast<unsigned>(schema->size())));
  json& value = it.value();
  if (it.key() == "items" || it.key() == "additionalProperties") return Below(&value, in);
  if (it.key() == "properties" && !value.empty()) {
    auto child = value.begin();
    std::advance(child, in.Below(static_cast<unsigned>(value.size())));
    return Below(&child.value(), in);
  }
  if (it.key() == "anyOf" || it.key() == "oneOf") {
    return Below(&value[in.Below(static_cast<unsigned>(value.size()))], in);
  }
  return schema;
}

json ObjectFor(const json& schema, RandomSource& random, int depth) {
  json object = json::object();
  for (const char* name : kNames) {
    const bool named = schema.contains("properties") && schema["properties"].contains(name);
    bool required = false;
    for (const json& item : schema.value("required", json::array())) required |= item == name;
    if (!required && random.Below(2) == 0) continue;
    object[name] = MakeValue(
        named ? schema["properties"][name] : schema.value("additionalProperties", json(true)),
        random, depth + 1);
  }
  return object;
}

// A count near the bounds.
size_t CountFor(const json& schema, const char* lowest, const char* highest, RandomSource& random) {
  const uint64_t low = schema.value(lowest, uint64_t{0});
  const uint64_t high = std::min<uint64_t>(schema.value(highest, low + 2), low + kMaxMadeItems);
  return std::min<uint64_t>(high > low ? low + random.Below(high - low + 1) : low, kMaxMadeItems);
}

json OfType(const std::string& type, const json& schema, RandomSource& random, int depth) {
  if (type == "object") return ObjectFor(schema, random, depth);
  if (type == "array") {
    json list = json::array();
    for (size_t left = CountFor(schema, "minItems", "maxItems", random); left > 0; --left) {
      list.push_back(MakeValue(schema.value("items", json(true)), random, depth + 1));
    }
    return list;
  }
  if (type == "string") {
    return std::string(CountFor(schema, "minLength", "maxLength", random), 'a');
  }
  if (type == "boolean") return random.Below(2) == 0;
  if (type == "null") return nullptr;
  const uint64_t choice = random.Below(4);
  if (choice == 0 && schema.contains("minimum")) return schema["minimum"];
  if (choice == 1 && schema.contains("maximum")) return schema["maximum"];
  return Number(random.Next64());
}

}  // namespace

json MakeSchema(ByteSource& in, int depth) {
  const unsigned choice = in.Below(16);
  if (depth > kMaxDepth || choice == 0) return choice % 2 == 0 ? json(true) : json::object();
  if (choice == 1) return false;
  json schema = json::object();
  for (unsigned left = 1 + in.Below(4); left > 0; --left) AddKeyword(in, depth, &schema);
  return schema;
}

json EditSchema(const json& schema, ByteSource& in) {
  json edited = schema;
  for (unsigned left = 1 + in.Below(3); left > 0; --left) {
    json* place = Below(&edited, in);
    switch (in.Below(5)) {
      case 0:
        if (place->is_object() && !place->empty()) {
          auto it = place->begin();
          std::advance(it, in.Below(static_cast<unsigned>(place->size())));
          place->erase(it);
        }
        break;
      case 1:
        if (!place->is_object()) *place = json::object();
        AddKeyword(in, kMaxDepth, place);
        break;
      case 2:
        *place = json{
            {in.Chance(2) ? "anyOf" : "oneOf", json::array({*place, MakeSchema(in, kMaxDepth)})}};
        break;
      case 3: {
        const std::string name = in.Pick(kBounds);
        if (place->is_object() && place->contains(name)) {
          (*place)[name] = name.ends_with("mum") ? Number(in.Byte()) : json(uint64_t{in.Below(4)});
        }
        break;
      }
      default:
        *place = MakeSchema(in, kMaxDepth - 1);
    }
  }
  return edited;
}

json MakeValue(const json& schema, RandomSource& random, int depth) {
  if (depth > kMaxDepth + 1 || !schema.is_object() || random.Below(8) == 0) {
    return SmallValue(random.Next64() >> 1);
  }
  if (schema.contains("const")) return schema["const"];
  if (schema.contains("enum")) return schema["enum"][random.Below(schema["enum"].size())];
  for (const char* name : {"anyOf", "oneOf"}) {
    if (!schema.contains(name) || random.Below(3) == 0) continue;
    json branch = schema[name][random.Below(schema[name].size())];
    if (branch.is_object()) {
      branch.update(schema);  // both speak; the outer one wins
      branch.erase(name);
    }
    return MakeValue(branch, random, depth + 1);
  }
  json type = schema.value("type", json(kTypes[random.Below(kTypes.size())]));
  if (type.is_array()) type = type[random.Below(type.size())];
  return OfType(type.get<std::string>(), schema, random, depth);
}

}  // namespace caxton::fuzz
