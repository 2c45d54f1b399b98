// SPDX-License-Identifier: Apache-2.0
//
// The reader of modules, on bytes that nobody has validated. Properties: every view lies within the
// module; sections do not overlap; what one read finds, the next one finds.
#include "module_reader.h"

#include "caxton/base/assert.h"
#include "caxton/examine/limits.h"
#include "fuzz_target.h"
#include "wasm_module.h"

namespace caxton::fuzz {
namespace {

using namespace std::string_literals;

bool Within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

void OneInput(std::string_view input) {
  const examine::ModuleShape shape = examine::ReadModule(input);
  CAXTON_ASSERT(shape.imports.size() <= examine::kMaxImports, "imports are bounded");
  CAXTON_ASSERT(shape.exports.size() <= examine::kMaxExports, "exports are bounded");
  for (const examine::Import& item : shape.imports) {
    CAXTON_ASSERT(Within(item.module, input) && Within(item.name, input), "views into the module");
    CAXTON_ASSERT(!examine::ItemKindName(item.kind).empty(), "every kind has a name");
  }
  for (const examine::Export& item : shape.exports) {
    CAXTON_ASSERT(Within(item.name, input), "views into the module");
  }
  size_t end = 0;
  for (const examine::CustomSection& section : shape.customs) {
    CAXTON_ASSERT(Within(section.name, input) && Within(section.bytes, input),
                  "views into the module");
    CAXTON_ASSERT(
        section.begin >= end && section.begin < section.end && section.end <= input.size(),
        "sections follow each other");
    end = section.end;
  }
  const examine::ModuleShape again = examine::ReadModule(input);
  CAXTON_ASSERT(again.complete == shape.complete && again.exports.size() == shape.exports.size(),
                "reading is a function");
}

std::vector<std::string> Seeds() {
  const WasmSection types{1, "\3\x60\2\x7f\x7f\1\x7f\x60\1\x7f\1\x7f\x60\0\0"s};
  const WasmSection imports{2, "\3" + WasmName("caxton") + WasmName("reply") + "\0\0"s +
                                   WasmName("env") + WasmName("memory") + "\2\1\1\2"s +
                                   WasmName("env") + WasmName("g") + "\3\x7f\0"s};
  const WasmSection functions{3, "\2\0\1"s};
  const WasmSection tables{4, "\1\x70\1\1\xff\xff\3"s};
  const WasmSection memories{5, "\1\1\1\x80\x02"s};
  const WasmSection exports{7, "\3" + WasmName("memory") + "\2\0"s + WasmName("handle_message") +
                                   "\0\1"s + WasmName("agent_alloc") + "\0\2"s};
  const WasmSection start{8, "\2"s};
  const WasmSection names{0, WasmName("name") + "\1\x0f\1\1\x0chandle_messa"s};
  const WasmSection manifest{0, WasmName("caxton.manifest") + R"({"name":"greeter"})"};
  return {WasmModule({}),
          WasmModule({types, functions, memories, exports}),
          WasmModule({types, imports, functions, tables, memories, exports, start, names}),
          WasmModule({manifest, types, manifest, {0, WasmName("name") + "\1\1\0"s}}),
          WasmModule({{5, "\1\x0f\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\2\1"s}}),
          "\0asm\xd\0\1\0"s};
}

std::vector<std::string> Words() {
  return {"\0asm\1\0\0\0"s,          "\x60\0\0"s,      "\xff\xff\xff\xff\x0f"s,
          "\x80\x80\x80\x80\x80\0"s, WasmName("name"), "\x63\x70"s,
          WasmName("memory"),        "\x40\0"s,        WasmName("handle_message")};
}

}  // namespace caxton::fuzz
