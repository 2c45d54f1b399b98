// SPDX-License-Identifier: Apache-2.0
//
// Agent ABI version 1 as data: what a module may import and what it may or must export, with exact
// types. The one table for the static check (src/examine), the linker and the instance; sdk/abi is
// the text it follows. Immutable, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace caxton::wasm {

// A function type in short form: one letter a value, parameters, ':', results. i = i32, I = i64, f
// = f32, F = f64. "iiI:i" is (i32, i32, i64) -> i32.
using Signature = std::string_view;
// "(i32, i32, i64) -> i32"; "() -> ()" for ":".
std::string SignatureText(Signature signature);

struct ImportRule {
  std::string_view module;
  std::string_view name;
  Signature signature;
  bool later =
      false;  // part of the ABI, but refused by name in this release; the linker does not know it
};

enum class ExportNeed : uint8_t {
  kRequired,
  kOptional,
  kLater,  // part of the ABI, but refused by name in this release
};

struct ExportRule {
  std::string_view name;
  Signature signature;
  ExportNeed need;
};

inline constexpr std::string_view kMemoryExport = "memory";
inline constexpr std::string_view kAbiModule = "caxton";
inline constexpr std::string_view kWasiModule = "wasi_snapshot_preview1";
inline constexpr std::string_view kManifestSection = "caxton.manifest";

std::span<const ImportRule> ImportRules();
std::span<const ExportRule> ExportRules();  // functions only; `memory` beside them

// Null where there is no such rule.
const ImportRule* FindImportRule(std::string_view module, std::string_view name);
const ExportRule* FindExportRule(std::string_view name);

}  // namespace caxton::wasm
