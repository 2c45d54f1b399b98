// SPDX-License-Identifier: Apache-2.0
//
// Owners for the C API's objects, and its errors as text. Private to src/wasm.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "wasmtime.h"

namespace caxton::wasm {

template <auto Delete>
struct Deleter {
  template <typename T>
  void operator()(T* p) const {
    Delete(p);
  }
};

using EnginePtr = std::unique_ptr<wasm_engine_t, Deleter<wasm_engine_delete>>;
using ErrorPtr = std::unique_ptr<wasmtime_error_t, Deleter<wasmtime_error_delete>>;
using TrapPtr = std::unique_ptr<wasm_trap_t, Deleter<wasm_trap_delete>>;
using ModulePtr = std::unique_ptr<wasmtime_module_t, Deleter<wasmtime_module_delete>>;
using LinkerPtr = std::unique_ptr<wasmtime_linker_t, Deleter<wasmtime_linker_delete>>;
using InstancePrePtr =
    std::unique_ptr<wasmtime_instance_pre_t, Deleter<wasmtime_instance_pre_delete>>;
using StorePtr = std::unique_ptr<wasmtime_store_t, Deleter<wasmtime_store_delete>>;
using FuncTypePtr = std::unique_ptr<wasm_functype_t, Deleter<wasm_functype_delete>>;

// What a call into a guest ended with; both null: it returned.
struct CallFailure {
  ErrorPtr error;
  TrapPtr trap;
  bool failed() const { return error != nullptr || trap != nullptr; }
};

// The message of `error`, bounded and UTF-8.
std::string ErrorText(const wasmtime_error_t* error);
absl::Status ErrorStatus(absl::StatusCode code, std::string_view what, ErrorPtr error);

// "out of bounds memory access" and the like; empty if `failure` is not an instruction trap.
// `*code` is its code.
std::string TrapReason(const CallFailure& failure, int* code);
// The guest's stack, innermost first, one "  at NAME (offset 0x1a2b)" a line; bounded.
std::string Backtrace(const CallFailure& failure);

// The C API's type for a short form (caxton/wasm/abi.h).
FuncTypePtr MakeFuncType(std::string_view signature);
// The short form of a type; '?' for a value type that the ABI does not use.
std::string SignatureOf(const wasm_functype_t* type);

}  // namespace caxton::wasm
