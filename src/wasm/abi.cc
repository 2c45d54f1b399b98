// SPDX-License-Identifier: Apache-2.0
#include "caxton/wasm/abi.h"

#include <array>

#include "caxton/base/strings.h"
#include "host_functions.h"

namespace caxton::wasm {
namespace {

constexpr std::array kExports = {
    ExportRule{"agent_alloc", "i:i", ExportNeed::kRequired},
    ExportRule{"handle_message", "ii:i", ExportNeed::kRequired},
    ExportRule{"_initialize", ":", ExportNeed::kOptional},
    ExportRule{"agent_init", ":i", ExportNeed::kOptional},
    ExportRule{"agent_shutdown", ":", ExportNeed::kOptional},
    ExportRule{"health_check", ":i", ExportNeed::kOptional},
    ExportRule{"get_capabilities", ":I", ExportNeed::kOptional},
    ExportRule{"handle_timer", "I:i", ExportNeed::kLater},
    ExportRule{"agent_apply", "iii:i", ExportNeed::kLater},
    ExportRule{"agent_snapshot", ":I", ExportNeed::kLater},
    ExportRule{"agent_restore", "iii:i", ExportNeed::kLater},
    ExportRule{"agent_downgrade", "i:I", ExportNeed::kLater},
};

constexpr std::array kLaterImports = {
    ImportRule{kAbiModule, "emit", "iii:i", true},
    ImportRule{kAbiModule, "timer_set", "II:i", true},
    ImportRule{kAbiModule, "timer_cancel", "I:i", true},
};

std::vector<ImportRule> AllImports() {
  std::vector<ImportRule> rules;
  for (const auto& functions : {CaxtonFunctions(), WasiFunctions(), EnvFunctions()}) {
    for (const HostFunction& function : functions) rules.push_back(function.rule);
  }
  rules.insert(rules.end(), kLaterImports.begin(), kLaterImports.end());
  return rules;
}

std::string TypesText(std::string_view letters) {
  std::string out = "(";
  for (size_t i = 0; i < letters.size(); ++i) {
    if (i > 0) out += ", ";
    switch (letters[i]) {
      case 'i':
        out += "i32";
        break;
      case 'I':
        out += "i64";
        break;
      case 'f':
        out += "f32";
        break;
      case 'F':
        out += "f64";
        break;
      default:
        out += "?";
    }
  }
  return out + ")";
}

}  // namespace

std::string SignatureText(Signature signature) {
  const size_t colon = signature.find(':');
  const std::string_view results = signature.substr(colon + 1);
  std::string out = StrCat(TypesText(signature.substr(0, colon)), " -> ");
  std::string types = TypesText(results);
  if (results.size() == 1) types = types.substr(1, types.size() - 2);
  return out + types;
}

std::span<const ImportRule> ImportRules() {
  static const std::vector<ImportRule>& rules = *new std::vector<ImportRule>(AllImports());
  return rules;
}

std::span<const ExportRule> ExportRules() { return kExports; }

const ImportRule* FindImportRule(std::string_view module, std::string_view name) {
  for (const ImportRule& rule : ImportRules()) {
    if (rule.module == module && rule.name == name) return &rule;
  }
  return nullptr;
}

const ExportRule* FindExportRule(std::string_view name) {
  for (const ExportRule& rule : kExports) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

}  // namespace caxton::wasm
