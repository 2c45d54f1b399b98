// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"
#include "caxton/wasm/abi.h"
#include "findings.h"
#include "manifest.h"
#include "module_reader.h"
#include "report_json.h"

namespace caxton::examine {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 14> kSectionNames = {
    "custom", "type",  "import",  "function", "table", "memory",     "global",
    "export", "start", "element", "code",     "data",  "data count", "tag"};

std::string TypeShown(ItemKind kind, const std::string& signature) {
  if (kind != ItemKind::kFunction) return StrCat(": ", ItemKindName(kind));
  return signature.find('?') == std::string::npos ? wasm::SignatureText(signature)
                                                  : std::string(": a function");
}

std::string Describe(const Import& import) {
  return StrCat(Shown(import.module), ".", Shown(import.name),
                TypeShown(import.kind, import.signature));
}

std::string Describe(const Export& item) {
  return StrCat(Shown(item.name), TypeShown(item.kind, item.signature));
}

std::string Describe(const Section& section) {
  const std::string_view name =
      section.id < kSectionNames.size() ? kSectionNames[section.id] : "unknown";
  return StrCat(name, ": ", section.bytes, " bytes");
}

std::string Describe(const CustomSection& section) {
  return StrCat("custom ", Shown(section.name), ": ", section.end - section.begin, " bytes");
}

template <typename Item>
ordered_json List(const std::vector<Item>& items) {
  ordered_json list = ordered_json::array();
  for (const Item& item : items) {
    if (list.size() == kMaxShownItems) {
      list.push_back(StrCat("and ", items.size() - kMaxShownItems, " more"));
      break;
    }
    list.push_back(Describe(item));
  }
  return list;
}

ordered_json Sections(const ModuleShape& shape) {
  std::vector<Section> own;
  for (const Section& section : shape.sections) {
    if (section.id != 0) own.push_back(section);
  }
  ordered_json list = List(own);
  for (ordered_json& custom : List(shape.customs)) list.push_back(std::move(custom));
  return list;
}

// The manifest's section as it is, where it is JSON within the limits.
ordered_json ManifestOf(const ModuleShape& shape) {
  for (const CustomSection& section : shape.customs) {
    if (section.name != wasm::kManifestSection) continue;
    if (section.bytes.size() > kMaxManifestBytes || JsonDepth(section.bytes) > kMaxManifestDepth) {
      return nullptr;
    }
    ordered_json manifest = ordered_json::parse(section.bytes, nullptr, false);
    return manifest.is_discarded() ? ordered_json() : manifest;
  }
  return nullptr;
}

}  // namespace

std::string InspectionToJson(const ExamineReport& report, std::string_view wasm,
                             std::string_view file) {
  ordered_json out = ReportObject(report, file);
  const ModuleShape shape = ReadModule(wasm);
  out["imports"] = List(shape.imports);
  out["exports"] = List(shape.exports);
  out["sections"] = Sections(shape);
  if (ordered_json manifest = ManifestOf(shape); !manifest.is_null()) {
    out["manifest"] = std::move(manifest);
  }
  return ToText(out);
}

}  // namespace caxton::examine
