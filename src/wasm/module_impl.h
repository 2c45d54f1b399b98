// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "caxton/wasm/module.h"
#include "wasmtime_support.h"

namespace caxton::wasm {

// Which of the optional exports a module has; their types were checked.
struct OptionalExports {
  bool initialize = false;
  bool agent_init = false;
  bool agent_shutdown = false;
  bool health_check = false;
  bool get_capabilities = false;
};

struct Module::Impl {
  const Engine* engine = nullptr;
  ModulePtr module;
  LinkerPtr linker;
  InstancePrePtr pre;
  OptionalExports exports;
};

}  // namespace caxton::wasm
