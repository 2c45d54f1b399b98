// SPDX-License-Identifier: Apache-2.0
//
// A manifest in YAML as the JSON that goes into the module. Plain scalars mean what the core schema
// of YAML 1.2 says: null, true, 1, 1.5; yes and on are texts.
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/deployment/yaml_tree.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"

namespace caxton::examine {
namespace {

using deployment::YamlFault;
using deployment::YamlNode;
using nlohmann::ordered_json;

constexpr deployment::YamlLimits kLimits = {
    .bytes = kMaxManifestBytes, .depth = kMaxManifestDepth, .nodes = kMaxManifestBytes};

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (text == word) return true;
  }
  return false;
}

// All of `text` as a number; false where it is none.
template <typename Number>
bool ParseAll(std::string_view text, Number* number) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

// What from_chars takes beside numbers: inf, nan.
bool LooksLikeNumber(std::string_view text) {
  return text.find_first_of("0123456789") != std::string_view::npos &&
         text.find_first_not_of("+-.eE0123456789") == std::string_view::npos;
}

ordered_json Scalar(const YamlNode& node, std::vector<YamlFault>* faults) {
  const std::string& text = node.text;
  if (!node.plain) return text;
  if (IsOneOf(text, {"~", "null", "Null", "NULL"})) return nullptr;
  if (IsOneOf(text, {"true", "True", "TRUE"})) return true;
  if (IsOneOf(text, {"false", "False", "FALSE"})) return false;
  if (IsOneOf(text, {".inf", "-.inf", "+.inf", ".nan", ".NaN", ".Inf", "-.Inf"})) {
    faults->push_back({node.line, node.column, StrCat(text, " is no number of JSON")});
    return nullptr;
  }
  if (!LooksLikeNumber(text)) return text;
  int64_t integer;
  if (ParseAll(text, &integer)) return integer;
  double number;
  if (ParseAll(text, &number) && std::isfinite(number)) return number;
  return text;
}

// As deep as kMaxManifestDepth at most.
ordered_json ToJson(const YamlNode& node, std::vector<YamlFault>* faults) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return nullptr;
    case YamlNode::Kind::kScalar:
      return Scalar(node, faults);
    case YamlNode::Kind::kList: {
      ordered_json list = ordered_json::array();
      for (const YamlNode& item : node.items) list.push_back(ToJson(item, faults));
      return list;
    }
    case YamlNode::Kind::kMap: {
      ordered_json object = ordered_json::object();
      for (const auto& [key, value] : node.entries) object[key.text] = ToJson(value, faults);
      return object;
    }
  }
  return nullptr;
}

absl::Status Refuse(const std::vector<YamlFault>& faults, std::string_view file) {
  std::string text;
  for (const YamlFault& fault : faults) {
    if (!text.empty()) text.push_back('\n');
    StrAppend(&text, file, ":", fault.line, ":", fault.column, ": ", fault.text);
  }
  return WithFix(WithReason(absl::InvalidArgumentError(text), "BAD_MANIFEST"),
                 "correct these lines, or write the manifest as JSON");
}

}  // namespace

absl::StatusOr<std::string> ManifestFromYaml(std::string_view yaml, std::string_view file) {
  YamlNode root;
  std::vector<YamlFault> faults;
  ordered_json manifest;
  if (deployment::ParseYaml(yaml, kLimits, &root, &faults)) manifest = ToJson(root, &faults);
  if (!faults.empty()) return Refuse(faults, file);
  return manifest.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace caxton::examine
