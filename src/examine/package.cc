// SPDX-License-Identifier: Apache-2.0
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

// The first error of `findings` as a status.
absl::Status FirstError(Findings* findings) {
  for (const Finding& finding : findings->Take()) {
    if (finding.severity != FindingSeverity::kError) continue;
    return WithFix(WithReason(absl::InvalidArgumentError(finding.message), finding.code),
                   finding.fix);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> WithManifest(std::string_view wasm, std::string_view manifest_json) {
  Findings findings;
  ModuleTraits traits;
  if (wasm.size() > kMaxModuleBytes) {
    return absl::InvalidArgumentError(
        StrCat("the module has ", wasm.size(), " bytes, the limit is ", kMaxModuleBytes));
  }
  ReadManifest(manifest_json, "manifest", "", &traits, &findings);
  if (!findings.has_error()) ReadContracts(manifest_json, "manifest", &findings);
  if (CheckHeader(wasm, &findings) && !ReadModule(wasm).complete) {
    findings.Error("INVALID_MODULE", "", "the module is damaged: its sections cannot be read",
                   "build it again");
  }
  RETURN_IF_ERROR(FirstError(&findings));
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
