// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <vector>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"
#include "caxton/model/limits.h"
#include "caxton/wasm/abi.h"
#include "checks.h"
#include "contracts.h"
#include "manifest.h"
#include "module_reader.h"

namespace caxton::examine {
namespace {

void AppendLeb(uint64_t value, std::string* out) {
  do {
    uint8_t byte = value & 0x7f;
    value >>= 7;
    if (value != 0) byte |= 0x80;
    out->push_back(static_cast<char>(byte));
  } while (value != 0);
}

// All errors of `findings` as one status: of several each with its place and what to do, a line
// each.
absl::Status AllErrors(Findings* findings) {
  std::vector<Finding> errors = findings->Take();
  std::erase_if(errors, [](const Finding& f) { return f.severity != FindingSeverity::kError; });
  if (errors.empty()) return absl::OkStatus();
  std::string text = errors[0].message;
  std::string fix = errors[0].fix;
  if (errors.size() > 1) {
    text = StrCat("there are ", errors.size(), " faults:");
    for (const Finding& error : errors) {
      StrAppend(&text, "\n  ", error.code, " ", error.place, ": ", error.message,
                "\n    To fix: ", error.fix);
    }
    fix = "correct each of them as its line says";
  }
  return WithFix(WithReason(absl::InvalidArgumentError(text), errors[0].code), fix);
}

}  // namespace

absl::StatusOr<std::string> WithManifest(std::string_view wasm, std::string_view manifest_json) {
  Findings findings;
  ModuleTraits traits;
  if (wasm.size() > kMaxModuleBytes) {
    return absl::InvalidArgumentError(
        StrCat("the module has ", wasm.size(), " bytes, the limit is ", kMaxModuleBytes));
  }
  if (ReadManifest(manifest_json, "manifest", "", &traits, &findings)) {
    ReadContracts(manifest_json, "manifest", &findings);
  }
  if (CheckHeader(wasm, &findings) && !ReadModule(wasm).complete) {
    findings.Error("INVALID_MODULE", "", "the module is damaged: its sections cannot be read",
                   "build it again");
  }
  RETURN_IF_ERROR(AllErrors(&findings));
  std::string out;
  size_t kept = 0;
  for (const CustomSection& section : ReadModule(wasm).customs) {
    if (section.name != wasm::kManifestSection) continue;
    out.append(wasm.substr(kept, section.begin - kept));
    kept = section.end;
  }
  out.append(wasm.substr(kept));
  std::string body;
  AppendLeb(wasm::kManifestSection.size(), &body);
  body.append(wasm::kManifestSection);
  body.append(manifest_json);
  out.push_back('\0');
  AppendLeb(body.size(), &out);
  out.append(body);
  return out;
}

}  // namespace caxton::examine
