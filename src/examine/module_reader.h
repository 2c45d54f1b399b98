// SPDX-License-Identifier: Apache-2.0
//
// Reads from a module's bytes what the static checks look at: imports, exports, memories, tables,
// the start function and custom sections. It runs nothing, compiles nothing, and reads what it can
// of an invalid module as well, so that all faults can be told at once. Whether the module is valid
// is the engine's to say. Private to src/examine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace caxton::examine {

enum class ItemKind : uint8_t { kFunction = 0, kTable = 1, kMemory = 2, kGlobal = 3, kTag = 4 };
std::string_view ItemKindName(ItemKind kind);

inline constexpr uint64_t kPageBytes = 64 << 10;

struct MemoryShape {
  uint64_t min_pages = 0;
  std::optional<uint64_t> max_pages;
  bool shared = false;
  bool is64 = false;
};

struct TableShape {
  uint64_t min = 0;
};

struct Import {
  std::string_view module;
  std::string_view name;
  ItemKind kind = ItemKind::kFunction;
  std::string signature;  // of a function, in the short form of caxton/wasm/abi.h; '?' for other
                          // value types
};

struct Export {
  std::string_view name;
  ItemKind kind = ItemKind::kFunction;
  uint32_t index = 0;
  std::string signature;      // of a function
  std::string function_name;  // of a function, from the name section; may be empty
};

struct CustomSection {
  std::string_view name;
  std::string_view bytes;
  size_t begin = 0;  // of the whole section in the module: [begin, end)
  size_t end = 0;
};

struct Section {
  uint8_t id = 0;    // 0: custom
  size_t bytes = 0;  // with its head
};

struct ModuleShape {
  std::vector<Import> imports;
  std::vector<Export> exports;
  std::vector<MemoryShape> memories;  // those that the module defines
  std::vector<TableShape> tables;     // those that the module defines
  std::vector<CustomSection> customs;
  std::vector<Section> sections;  // all, in order
  bool has_start = false;
  bool complete = false;  // all sections were read
};

// Views into `wasm`, which outlives the shape.
ModuleShape ReadModule(std::string_view wasm);

}  // namespace caxton::examine
