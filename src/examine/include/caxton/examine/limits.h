// SPDX-License-Identifier: Apache-2.0
//
// Limits of examining a module; those on the report are in caxton/model/examine_report.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace caxton::examine {

inline constexpr size_t kMaxManifestBytes = 64 << 10;
inline constexpr int kMaxManifestDepth = 32;
inline constexpr size_t kMaxManifestItems = 256;  // capabilities, performatives
inline constexpr size_t kMaxCapabilityBytes = 128;

// Of a module's tables, as far as we read them; WebAssembly's own limits are far higher.
inline constexpr uint32_t kMaxTypes = 1'000'000;
inline constexpr uint32_t kMaxFunctions = 1'000'000;
inline constexpr uint32_t kMaxImports = 10'000;
inline constexpr uint32_t kMaxExports = 10'000;
inline constexpr uint32_t kMaxValuesPerType = 1'000;
inline constexpr size_t kMaxNamesRead = 200'000;   // of the name section
inline constexpr size_t kMaxShownNameBytes = 100;  // of an import or export, in a message

}  // namespace caxton::examine
