// SPDX-License-Identifier: Apache-2.0
#include "caxton/wasm/engine.h"

#include <sys/auxv.h>

#include <algorithm>
#include <utility>

#include "caxton/base/strings.h"
#include "engine_impl.h"
#include "wasmtime_support.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace caxton::wasm {
namespace {

// Every setting that decides what a module may contain or what code it becomes, said explicitly:
// this build's defaults accept proposals that the ABI does not. The text of this table is part of
// ConfigHash.
struct BoolSetting {
  const char* name;
  void (*set)(wasm_config_t*, bool);
  bool value;
};
constexpr BoolSetting kSettings[] = {
    {"consume_fuel", wasmtime_config_consume_fuel_set, true},
    {"epoch_interruption", wasmtime_config_epoch_interruption_set, true},
    {"debug_info", wasmtime_config_debug_info_set, false},
    {"native_unwind_info", wasmtime_config_native_unwind_info_set, false},
    {"nan_canonicalization", wasmtime_config_cranelift_nan_canonicalization_set, false},
    {"debug_verifier", wasmtime_config_cranelift_debug_verifier_set, false},
    {"signals_based_traps", wasmtime_config_signals_based_traps_set, true},
    {"memory_init_cow", wasmtime_config_memory_init_cow_set, true},
    {"memory_may_move", wasmtime_config_memory_may_move_set, false},
    // Accepted: what today's compilers emit by default.
    {"multi_value", wasmtime_config_wasm_multi_value_set, true},
    {"bulk_memory", wasmtime_config_wasm_bulk_memory_set, true},
    {"simd", wasmtime_config_wasm_simd_set, true},
    {"reference_types", wasmtime_config_wasm_reference_types_set, true},
    // Refused.
    {"relaxed_simd", wasmtime_config_wasm_relaxed_simd_set, false},
    {"relaxed_simd_deterministic", wasmtime_config_wasm_relaxed_simd_deterministic_set, false},
    {"tail_call", wasmtime_config_wasm_tail_call_set, false},
    {"function_references", wasmtime_config_wasm_function_references_set, false},
    {"gc", wasmtime_config_wasm_gc_set, false},
    {"gc_support", wasmtime_config_gc_support_set, false},
    {"exceptions", wasmtime_config_wasm_exceptions_set, false},
    {"multi_memory", wasmtime_config_wasm_multi_memory_set, false},
    {"memory64", wasmtime_config_wasm_memory64_set, false},
    {"wide_arithmetic", wasmtime_config_wasm_wide_arithmetic_set, false},
    {"branch_hinting", wasmtime_config_wasm_branch_hinting_set, false},
    {"custom_page_sizes", wasmtime_config_wasm_custom_page_sizes_set, false},
    {"stack_switching", wasmtime_config_wasm_stack_switching_set, false},
    {"shared_memory", wasmtime_config_shared_memory_set, false},
};
// No setting here: threads and components are not compiled into this library.
#if defined(WASMTIME_FEATURE_THREADS) || defined(WASMTIME_FEATURE_COMPONENT_MODEL)
#error "this Wasmtime has proposals that kSettings does not set"
#endif

void SetPool(wasm_config_t* config, const EngineOptions& options) {
  wasmtime_pooling_allocation_config_t* pool = wasmtime_pooling_allocation_config_new();
  const uint32_t slots = options.max_instances;
  wasmtime_pooling_allocation_config_total_core_instances_set(pool, slots);
  wasmtime_pooling_allocation_config_total_memories_set(pool, slots);
  wasmtime_pooling_allocation_config_total_tables_set(pool, slots * kMaxTablesPerModule);
  wasmtime_pooling_allocation_config_max_memories_per_module_set(pool, 1);
  wasmtime_pooling_allocation_config_max_tables_per_module_set(pool, kMaxTablesPerModule);
  wasmtime_pooling_allocation_config_table_elements_set(pool, kMaxTableElements);
  wasmtime_pooling_allocation_config_max_core_instance_size_set(pool, kMaxInstanceBytes);
  wasmtime_pooling_allocation_config_max_memory_size_set(
      pool, static_cast<size_t>(options.max_memory_bytes));
  wasmtime_pooling_allocation_config_max_unused_warm_slots_set(pool, slots);
  wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool,
                                                                     kMemoryKeepResidentBytes);
  wasmtime_pooling_allocation_config_table_keep_resident_set(pool, kTableKeepResidentBytes);
  wasmtime_pooling_allocation_config_total_gc_heaps_set(pool, 0);
  wasmtime_pooling_allocation_config_total_stacks_set(pool, 0);
  wasmtime_pooling_allocation_strategy_set(config, pool);
  wasmtime_pooling_allocation_config_delete(pool);
}

// What the compiler may use of this machine's instruction set, as opaque text.
std::string CpuFeatures() {
  std::string out;
#if defined(__x86_64__)
  for (const unsigned leaf : {1u, 7u, 0x80000001u}) {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(leaf, 0, &a, &b, &c, &d) == 0) continue;
    // Leaf 1: EBX holds the number of the core we happen to run on.
    if (leaf == 1) b = 0;
    StrAppend(&out, "x86-64 ", leaf, " ", b, " ", c, " ", d, ";");
  }
#else
  StrAppend(&out, getauxval(AT_HWCAP), " ", getauxval(AT_HWCAP2));
#endif
  return out;
}

}  // namespace

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const EngineOptions& options) {
  if (options.max_instances > 0 &&
      (options.max_memory_bytes < kMinAgentMemoryBytes ||
       options.max_memory_bytes > static_cast<int64_t>(kMemoryReservationBytes))) {
    return absl::InvalidArgumentError(StrCat("an instance's memory of ", options.max_memory_bytes,
                                             " bytes is outside ", kMinAgentMemoryBytes, " to ",
                                             kMemoryReservationBytes));
  }
  wasm_config_t* config = wasm_config_new();
  for (const BoolSetting& setting : kSettings) setting.set(config, setting.value);
  wasmtime_config_parallel_compilation_set(config, options.parallel_compilation);
  wasmtime_config_strategy_set(config, WASMTIME_STRATEGY_CRANELIFT);
  wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_SPEED);
  wasmtime_config_profiler_set(config, WASMTIME_PROFILING_STRATEGY_NONE);
  wasmtime_config_max_wasm_stack_set(config, kMaxWasmStackBytes);
  wasmtime_config_memory_reservation_set(config, kMemoryReservationBytes);
  wasmtime_config_memory_guard_size_set(config, kMemoryGuardBytes);
  wasmtime_config_memory_reservation_for_growth_set(config, 0);
  if (options.max_instances > 0) SetPool(config, options);
  auto impl = std::make_unique<Impl>();
  impl->engine.reset(wasm_engine_new_with_config(config));  // takes the config
  if (impl->engine == nullptr) {
    return absl::InternalError("Wasmtime refused its configuration");
  }
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

std::string Engine::Version() { return WASMTIME_VERSION; }

Digest Engine::ConfigHash() {
  std::string text = StrCat("caxton engine 1;wasmtime ", WASMTIME_VERSION, ";");
  for (const BoolSetting& setting : kSettings) {
    StrAppend(&text, setting.name, "=", setting.value, ";");
  }
  StrAppend(&text, "cranelift speed;stack ", kMaxWasmStackBytes, ";reservation ",
            kMemoryReservationBytes, ";guard ", kMemoryGuardBytes, ";cpu ", CpuFeatures());
  return Sha256(text);
}

absl::Status Engine::Validate(std::string_view wasm) const {
  ErrorPtr error(wasmtime_module_validate(
      impl_->engine.get(), reinterpret_cast<const uint8_t*>(wasm.data()), wasm.size()));
  if (error == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(ErrorText(error.get()));
}

absl::StatusOr<std::string> Engine::Compile(std::string_view wasm) const {
  wasmtime_module_t* raw = nullptr;
  ErrorPtr error(wasmtime_module_new(
      impl_->engine.get(), reinterpret_cast<const uint8_t*>(wasm.data()), wasm.size(), &raw));
  if (error != nullptr) {
    return ErrorStatus(absl::StatusCode::kInvalidArgument, "cannot compile the module",
                       std::move(error));
  }
  const ModulePtr module(raw);
  wasm_byte_vec_t bytes;
  error.reset(wasmtime_module_serialize(module.get(), &bytes));
  if (error != nullptr) {
    return ErrorStatus(absl::StatusCode::kInternal, "cannot serialize native code",
                       std::move(error));
  }
  std::string native(bytes.data, bytes.size);
  wasm_byte_vec_delete(&bytes);
  return native;
}

absl::StatusOr<std::string> Engine::WatToWasm(std::string_view wat) {
  wasm_byte_vec_t bytes;
  ErrorPtr error(wasmtime_wat2wasm(wat.data(), wat.size(), &bytes));
  if (error != nullptr) return absl::InvalidArgumentError(ErrorText(error.get()));
  std::string wasm(bytes.data, bytes.size);
  wasm_byte_vec_delete(&bytes);
  return wasm;
}

void Engine::IncrementEpoch() const { wasmtime_engine_increment_epoch(impl_->engine.get()); }

}  // namespace caxton::wasm
