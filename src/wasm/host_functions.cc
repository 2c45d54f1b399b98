// SPDX-License-Identifier: Apache-2.0
#include "host_functions.h"

#include <utility>

namespace caxton::wasm {

HostState& StateOf(wasmtime_caller_t* caller) {
  wasmtime_context_t* context = wasmtime_caller_context(caller);
  auto& state = *static_cast<HostState*>(wasmtime_context_get_data(context));
  if (!state.has_memory()) {
    wasmtime_extern_t item;
    if (wasmtime_caller_export_get(caller, kMemoryExport.data(), kMemoryExport.size(), &item)) {
      if (item.kind == WASMTIME_EXTERN_MEMORY) state.BindMemory(context, item.of.memory);
      wasmtime_extern_delete(&item);
    }
  }
  return state;
}

wasm_trap_t* HostFailure(HostState& state) noexcept {
  constexpr std::string_view kText = "the host ran out of memory";
  try {
    state.Stop(StopReason::kHostError, std::string(kText));
  } catch (...) {
    // The reason still gets through with the trap's own text.
  }
  return wasmtime_trap_new(kText.data(), kText.size());
}

wasm_trap_t* StopGuest(HostState& state, StopReason reason, std::string text) {
  wasm_trap_t* trap = wasmtime_trap_new(text.data(), text.size());
  state.Stop(reason, std::move(text));
  return trap;
}

}  // namespace caxton::wasm
