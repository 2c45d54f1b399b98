// SPDX-License-Identifier: Apache-2.0
//
// WebAssembly text on standard input, the module on standard output: for the build of the corpus.
#include <iostream>
#include <iterator>
#include <string>

#include "caxton/wasm/engine.h"

int main() {
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  const auto wasm = caxton::wasm::Engine::WatToWasm(text);
  if (!wasm.ok()) {
    std::cerr << wasm.status().message() << "\n";
    return 1;
  }
  std::cout.write(wasm->data(), static_cast<std::streamsize>(wasm->size()));
  return std::cout.flush() ? 0 : 1;
}
