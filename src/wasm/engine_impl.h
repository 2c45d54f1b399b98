// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "caxton/wasm/engine.h"
#include "wasmtime_support.h"

namespace caxton::wasm {

struct Engine::Impl {
  EnginePtr engine;
};

}  // namespace caxton::wasm
