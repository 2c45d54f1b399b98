// SPDX-License-Identifier: Apache-2.0
//
// The functions a guest imports. Each is a plain function on (HostState, arguments); Entry<> turns
// it into the C API's callback: finds the state, and lets no C++ exception out into generated code.
// Private to src/wasm.
#pragma once

#include <cstdint>
#include <span>

#include "caxton/wasm/abi.h"
#include "host_state.h"
#include "wasmtime_support.h"

namespace caxton::wasm {

// Arguments come in and results go out through the same slots, as the signature says.
using Slots = wasmtime_val_raw_t*;
using Body = void (*)(HostState&, Slots);
// May end the guest: null, or a trap that the caller takes (the reason is in HostState::stop).
using TrappingBody = wasm_trap_t* (*)(HostState&, Slots);

struct HostFunction {
  ImportRule rule;
  wasmtime_func_unchecked_callback_t callback;
};

std::span<const HostFunction> CaxtonFunctions();
std::span<const HostFunction> WasiFunctions();
std::span<const HostFunction> EnvFunctions();

// The instance's state behind a call. While the start function runs the instance does not exist
// yet: its memory is then looked up through `caller`, once.
HostState& StateOf(wasmtime_caller_t* caller);
// For a callback that has caught a C++ exception (out of memory).
wasm_trap_t* HostFailure(HostState& state) noexcept;
// Ends the guest.
wasm_trap_t* StopGuest(HostState& state, StopReason reason, std::string text);

template <auto Function>
wasm_trap_t* Entry(void*, wasmtime_caller_t* caller, Slots slots, size_t) noexcept {
  HostState& state = StateOf(caller);
  try {
    if constexpr (std::is_same_v<decltype(Function), TrappingBody>) {
      return Function(state, slots);
    } else {
      Function(state, slots);
      return nullptr;
    }
  } catch (...) {
    return HostFailure(state);
  }
}

inline uint32_t U32(const wasmtime_val_raw_t& slot) { return static_cast<uint32_t>(slot.i32); }

}  // namespace caxton::wasm
