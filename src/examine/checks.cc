// SPDX-License-Identifier: Apache-2.0
#include "checks.h"

#include <algorithm>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"
#include "caxton/wasm/abi.h"
#include "caxton/wasm/limits.h"

namespace caxton::examine {
namespace {

constexpr std::string_view kMagic("\0asm", 4);
constexpr std::string_view kCoreVersion("\1\0\0\0", 4);
constexpr std::string_view kComponentVersion("\xd\0\1\0", 4);
// What the engine's validator says of a proposal that is off, and how to build without it.
struct RefusedProposal {
  std::string_view sign;
  std::string_view fix;
};
constexpr RefusedProposal kRefusedProposals[] = {
    {"requires gc",
     "build without externref and garbage-collected types: references to functions only (Rust: "
     "-C target-feature=-reference-types)"},
    {"threads must be enabled",
     "build without threads (emcc: no -pthread; Rust: -C target-feature=-atomics)"},
    {"exception",
     "build without exceptions (clang: -fno-exceptions; emcc: no -fwasm-exceptions; Rust: "
     "-C panic=abort)"},
    {"relaxed SIMD", "build without -mrelaxed-simd; plain SIMD is accepted"},
    {"tail call", "build without tail calls (clang: no -mtail-call)"},
    {"memory64", "compile for wasm32"},
    {"multi-memory", "build with one memory"},
    {"multiple memories", "build with one memory"},
};

constexpr std::string_view kReactorFix =
    "build a reactor: with clang add -mexec-model=reactor (and --export for the agent's "
    "functions), with Rust use crate-type = [\"cdylib\"], with Go -buildmode=c-shared";
constexpr std::string_view kCommandSuffix = ".command_export";

struct Lookalike {
  std::string_view prefix;
  std::string_view what;
  std::string_view fix;
};
constexpr Lookalike kLookalikes[] = {
    {"(module", "it is WebAssembly in text form", "convert it: wat2wasm FILE.wat -o FILE.wasm"},
    {"\x7f"
     "ELF",
     "it is a native program or library", "compile for wasm32 instead"},
    {"!<arch>", "it is a library archive", "link it into a module"},
    {"\x1f\x8b", "it is compressed with gzip", "unpack it first: gunzip FILE.wasm.gz"},
    {"PK", "it is a zip archive", "unpack it first"},
    {"#!", "it is a script", "deploy the .wasm file that it builds"},
    {"BC\xc0\xde", "it is LLVM bitcode", "link it into a module with wasm-ld"},
};

const Export* FindExport(const ModuleShape& shape, std::string_view name) {
  for (const Export& item : shape.exports) {
    if (item.name == name) return &item;
  }
  return nullptr;
}

void CheckExportRule(const wasm::ExportRule& rule, const Export* item, Findings* findings) {
  const std::string place = StrCat("export ", rule.name);
  if (item == nullptr) {
    if (rule.need != wasm::ExportNeed::kRequired) return;
    findings->Error(
        "MISSING_EXPORT", place,
        StrCat("the module does not export ", rule.name, ", without which no agent can be run"),
        StrCat("define ", rule.name, wasm::SignatureText(rule.signature),
               " and export it (clang: __attribute__((export_name(\"", rule.name, "\"))))"));
    return;
  }
  if (rule.need == wasm::ExportNeed::kLater) {
    findings->Error("NOT_IN_THIS_RELEASE", place,
                    StrCat("the module exports ", rule.name,
                           ": this release has no stateful agents and no timers"),
                    "build the agent without it");
    return;
  }
  if (item->kind != ItemKind::kFunction) {
    findings->Error("EXPORT_KIND", place,
                    StrCat("the export ", rule.name, " is a ", ItemKindName(item->kind),
                           ", but must be a function"),
                    StrCat("export a function of type ", wasm::SignatureText(rule.signature)));
    return;
  }
  if (item->signature != rule.signature) {
    findings->Error("EXPORT_TYPE", place,
                    StrCat("the export ", rule.name, " is ", SignatureShown(item->signature),
                           ", but must be ", wasm::SignatureText(rule.signature)),
                    "correct its parameters and result");
  }
}

// What to change in the build of a module that the engine refuses with `message`.
std::string InvalidModuleFix(std::string_view message) {
  for (const RefusedProposal& refused : kRefusedProposals) {
    if (StrContains(message, refused.sign)) return std::string(refused.fix);
  }
  return "build for WebAssembly 2.0 without threads, 64-bit memory, exceptions, garbage "
         "collection, tail calls and relaxed SIMD";
}

// Whether the last section is longer than the rest of the file. A section is an id, its length in
// LEB128, and as many bytes.
bool IsCutShort(std::string_view wasm) {
  constexpr size_t kHeaderBytes = 8;
  for (size_t at = kHeaderBytes; at < wasm.size();) {
    ++at;
    uint64_t length = 0;
    for (int shift = 0;; shift += 7) {
      if (at == wasm.size()) return true;
      if (shift > 28) return false;  // not a number: another fault
      const auto byte = static_cast<uint8_t>(wasm[at++]);
      length |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    if (length > wasm.size() - at) return true;
    at += length;
  }
  return false;
}

}  // namespace

std::string SignatureShown(const std::string& signature) {
  return signature.find('?') == std::string::npos ? wasm::SignatureText(signature)
                                                  : "a type that the ABI does not use";
}

void ReportInvalid(std::string_view wasm, std::string_view message, Findings* findings) {
  if (IsCutShort(wasm)) {
    findings->Error(
        "INVALID_MODULE", "",
        StrCat("the file is cut short: a section goes on beyond its ", wasm.size(), " bytes (",
               message, ")"),
        "give the whole .wasm file that your compiler wrote; copy or download it again");
    return;
  }
  findings->Error(
      "INVALID_MODULE", "",
      StrCat("the module is not valid, or uses a proposal that is not accepted: ", message),
      InvalidModuleFix(message));
}

bool CheckHeader(std::string_view wasm, Findings* findings) {
  constexpr std::string_view kBuildFix = "give the .wasm file that your compiler wrote";
  if (wasm.empty()) {
    findings->Error("NOT_A_MODULE", "byte 0", "the file is empty", std::string(kBuildFix));
    return false;
  }
  if (wasm.substr(0, kMagic.size()) != kMagic) {
    for (const Lookalike& other : kLookalikes) {
      if (!wasm.starts_with(other.prefix)) continue;
      findings->Error("NOT_A_MODULE", "byte 0",
                      StrCat("the file is no WebAssembly module: ", other.what),
                      std::string(other.fix));
      return false;
    }
    findings->Error("NOT_A_MODULE", "byte 0",
                    "the file is no WebAssembly module: it does not begin with the bytes "
                    "00 61 73 6d",
                    std::string(kBuildFix));
    return false;
  }
  const std::string_view version = wasm.substr(kMagic.size(), kCoreVersion.size());
  if (version == kCoreVersion) return true;
  if (version == kComponentVersion) {
    findings->Error("COMPONENT", "byte 4", "the file is a component, not a core module",
                    "build a core module: with Rust use the target wasm32-wasip1 or "
                    "wasm32-unknown-unknown, not wasm32-wasip2");
    return false;
  }
  findings->Error("NOT_A_MODULE", "byte 4",
                  version.size() < kCoreVersion.size()
                      ? "the file ends in the middle of its header"
                      : "the file has an unknown version of the binary format",
                  std::string(kBuildFix));
  return false;
}

void CheckExports(const ModuleShape& shape, Findings* findings) {
  if (FindExport(shape, "_start") != nullptr) {
    findings->Error("COMMAND_MODULE", "export _start",
                    "the module is a program that runs once from _start to its end (a command "
                    "module), but an agent is called again and again",
                    std::string(kReactorFix));
  }
  for (const Export& item : shape.exports) {
    if (item.name != "handle_message" || !item.function_name.ends_with(kCommandSuffix)) continue;
    findings->Error("COMMAND_MODULE", "export handle_message",
                    "the linker wrapped the module's exports to start and end the program with "
                    "each call (a command module)",
                    std::string(kReactorFix));
  }
  for (const wasm::ExportRule& rule : wasm::ExportRules()) {
    CheckExportRule(rule, FindExport(shape, rule.name), findings);
  }
}

void CheckMemory(const ModuleShape& shape, int64_t memory_limit_bytes, Findings* findings) {
  const Export* exported = FindExport(shape, wasm::kMemoryExport);
  const std::string place = StrCat("export ", wasm::kMemoryExport);
  if (exported == nullptr) {
    findings->Error("MISSING_EXPORT", place,
                    shape.memories.empty()
                        ? "the module has no memory of its own, and exports none as \"memory\""
                        : "the module does not export its memory as \"memory\"",
                    "define one memory and export it under that name");
  } else if (exported->kind != ItemKind::kMemory) {
    findings->Error("EXPORT_KIND", place,
                    StrCat("the export memory is a ", ItemKindName(exported->kind),
                           ", but must be the module's memory"),
                    "export the memory under that name");
  }
  if (shape.memories.size() > 1) {
    findings->Error("MEMORY_COUNT", "memory section",
                    StrCat("the module has ", shape.memories.size(), " memories, one is allowed"),
                    "build without multi-memory");
  }
  for (const MemoryShape& memory : shape.memories) {
    if (memory.is64 || memory.shared) {
      findings->Error("MEMORY_KIND", "memory section",
                      memory.is64 ? "the module's memory is a 64-bit one"
                                  : "the module's memory is a shared one",
                      memory.is64 ? "compile for wasm32" : "build without threads");
      continue;
    }
    const auto limit_pages = static_cast<uint64_t>(memory_limit_bytes) / kPageBytes;
    if (memory.min_pages > limit_pages) {
      const uint64_t bytes = memory.min_pages * kPageBytes;
      findings->Error("MEMORY_TOO_LARGE", "memory section",
                      StrCat("the module starts with ", bytes,
                             " bytes of memory, the agent's "
                             "limit is ",
                             memory_limit_bytes),
                      StrCat("raise the limit (--memory ", (bytes + (1 << 20) - 1) >> 20,
                             "Mi), or link with less initial memory"));
    }
  }
}

void CheckTables(const ModuleShape& shape, Findings* findings) {
  if (shape.tables.size() > wasm::kMaxTablesPerModule) {
    findings->Error("TABLE_COUNT", "table section",
                    StrCat("the module has ", shape.tables.size(), " tables, the limit is ",
                           wasm::kMaxTablesPerModule),
                    "build without several tables");
  }
  for (const TableShape& table : shape.tables) {
    if (table.min <= wasm::kMaxTableElements) continue;
    findings->Error("TABLE_TOO_LARGE", "table section",
                    StrCat("the module has a table of ", table.min, " elements, the limit is ",
                           wasm::kMaxTableElements),
                    "make the module smaller: fewer functions whose address is taken");
  }
}

}  // namespace caxton::examine
