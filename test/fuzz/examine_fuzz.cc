// SPDX-License-Identifier: Apache-2.0
//
// A whole examination of any bytes as a module, in this process: where an examination ends, and
// what it must keep on its way, is in examine_check.h. Needs Wasmtime, so it is no part of the
// sanitizer builds of the tests.
#include "caxton/wasm/engine.h"
#include "examine_check.h"
#include "files.h"
#include "fuzz_target.h"

namespace caxton::fuzz {

void OneInput(std::string_view input) {
  // Made once: an engine installs signal handlers.
  static ExamineCheck& check = *new ExamineCheck();
  check.Examine(input);
}

std::vector<std::string> Seeds() {
  std::vector<std::string> seeds;
  for (const std::string& text : ProjectFiles("sdk/abi/conformance", ".wat")) {
    // What never ends takes its whole time limit, every time.
    if (text.find("loop") != std::string::npos) continue;
    auto wasm = wasm::Engine::WatToWasm(text);
    if (wasm.ok()) seeds.push_back(*std::move(wasm));
  }
  return seeds;
}

std::vector<std::string> Words() {
  return {"handle_message", "agent_alloc",        "agent_init", "memory", "caxton", "reply",
          "\x0b",           std::string(2, '\0'), "\x10",       "\x0c",   "\x0d",   "\x41"};
}

}  // namespace caxton::fuzz
