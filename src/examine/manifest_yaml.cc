// SPDX-License-Identifier: Apache-2.0
//
// A manifest in YAML as the JSON that goes into the module. Plain scalars mean what the core schema
// of YAML 1.2 says: null, true, 1, 0x1F, 0o17, 1.5; yes and on are texts.
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <system_error>
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

// Whether all of `text` is a number; kTooLarge: one that `Number` does not hold.
enum class Parsed { kYes, kNo, kTooLarge };
template <typename Number, typename... Base>
Parsed ParseAll(std::string_view text, Number* number, Base... base) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *number, base...);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return Parsed::kNo;
  return error == std::errc() ? Parsed::kYes : Parsed::kTooLarge;
}

// What from_chars takes beside numbers: inf, nan.
bool LooksLikeNumber(std::string_view text) {
  return text.find_first_of("0123456789") != std::string_view::npos &&
         text.find_first_not_of("+-.eE0123456789") == std::string_view::npos;
}

// 0x1F and 0o17, which have no sign; null where `text` is none of them.
ordered_json BasedNumber(const YamlNode& node, std::vector<YamlFault>* faults) {
  const std::string_view text = node.text;
  const int base = text.starts_with("0x") ? 16 : text.starts_with("0o") ? 8 : 0;
  if (base == 0) return nullptr;
  uint64_t number = 0;
  switch (ParseAll(text.substr(2), &number, base)) {
    case Parsed::kYes:
      return number;
    case Parsed::kNo:
      return nullptr;
    case Parsed::kTooLarge:
      faults->push_back({node.line, node.column, StrCat(text, " is more than 64 bits hold")});
  }
  return nullptr;
}

ordered_json Scalar(const YamlNode& node, std::vector<YamlFault>* faults) {
  const std::string& text = node.text;
  if (!node.plain) return text;
  if (IsOneOf(text, {"~", "null", "Null", "NULL"})) return nullptr;
  if (IsOneOf(text, {"true", "True", "TRUE"})) return true;
  if (IsOneOf(text, {"false", "False", "FALSE"})) return false;
  if (IsOneOf(text, {".inf", ".Inf", ".INF", "-.inf", "-.Inf", "-.INF", "+.inf", "+.Inf", "+.INF",
                     ".nan", ".NaN", ".NAN"})) {
    faults->push_back({node.line, node.column, StrCat(text, " is no number of JSON")});
    return nullptr;
  }
  const size_t known = faults->size();
  ordered_json based = BasedNumber(node, faults);
  if (!based.is_null() || faults->size() > known) return based;
  if (!LooksLikeNumber(text)) return text;
  // from_chars knows no plus sign.
  const bool plus = text.starts_with('+');
  if (plus && text.starts_with("+-")) return text;
  const std::string_view digits = std::string_view(text).substr(plus ? 1 : 0);
  int64_t integer = 0;
  if (ParseAll(digits, &integer) == Parsed::kYes) return integer;
  uint64_t large = 0;
  if (ParseAll(digits, &large) == Parsed::kYes) return large;
  double number = 0;
  switch (ParseAll(digits, &number)) {
    case Parsed::kYes:
      return number;
    case Parsed::kNo:
      return text;
    case Parsed::kTooLarge:
      faults->push_back({node.line, node.column, StrCat(text, " is no number that JSON can hold")});
  }
  return nullptr;
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
