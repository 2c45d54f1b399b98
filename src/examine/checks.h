// SPDX-License-Identifier: Apache-2.0
//
// The static checks on a module's shape, against the ABI's tables. Private to src/examine.
#pragma once

#include <cstdint>

#include "caxton/model/revision.h"
#include "findings.h"
#include "module_reader.h"

namespace caxton::examine {

// Whether `wasm` begins like a core module; else a finding that says what it is instead.
bool CheckHeader(std::string_view wasm, Findings* findings);
void CheckImports(const ModuleShape& shape, Findings* findings);
// Functions, and whether it is a command module.
void CheckExports(const ModuleShape& shape, Findings* findings);
void CheckMemory(const ModuleShape& shape, int64_t memory_limit_bytes, Findings* findings);
void CheckTables(const ModuleShape& shape, Findings* findings);

}  // namespace caxton::examine
