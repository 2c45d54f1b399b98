// SPDX-License-Identifier: Apache-2.0
//
// The static checks on a module's shape, against the ABI's tables. Private to src/examine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "caxton/model/revision.h"
#include "findings.h"
#include "module_reader.h"

namespace caxton::examine {

// Whether `wasm` begins like a core module; else a finding that says what it is instead.
bool CheckHeader(std::string_view wasm, Findings* findings);
// A module that the engine's validator refuses with `message`.
void ReportInvalid(std::string_view wasm, std::string_view message, Findings* findings);
// imports.cc
void CheckImports(const ModuleShape& shape, Findings* findings);
// Functions, and whether it is a command module.
void CheckExports(const ModuleShape& shape, Findings* findings);
void CheckMemory(const ModuleShape& shape, int64_t memory_limit_bytes, Findings* findings);
void CheckTables(const ModuleShape& shape, Findings* findings);

// "(i32) -> i32", where all of its types are the ABI's.
std::string SignatureShown(const std::string& signature);

}  // namespace caxton::examine
