// SPDX-License-Identifier: Apache-2.0
#include "caxton/wasm/module.h"

#include <utility>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/text.h"
#include "engine_impl.h"
#include "host_functions.h"
#include "module_impl.h"

namespace caxton::wasm {
namespace {

absl::StatusOr<LinkerPtr> MakeLinker(const Engine& engine) {
  LinkerPtr linker(wasmtime_linker_new(engine.impl().engine.get()));
  for (const auto& functions : {CaxtonFunctions(), WasiFunctions(), EnvFunctions()}) {
    for (const HostFunction& function : functions) {
      const FuncTypePtr type = MakeFuncType(function.rule.signature);
      ErrorPtr error(wasmtime_linker_define_func_unchecked(
          linker.get(), function.rule.module.data(), function.rule.module.size(),
          function.rule.name.data(), function.rule.name.size(), type.get(), function.callback,
          nullptr, nullptr));
      if (error != nullptr) {
        return ErrorStatus(absl::StatusCode::kInternal, "cannot define a host function",
                           std::move(error));
      }
    }
  }
  return linker;
}

void NoteExport(std::string_view name, OptionalExports* exports) {
  if (name == "_initialize") exports->initialize = true;
  if (name == "agent_init") exports->agent_init = true;
  if (name == "agent_shutdown") exports->agent_shutdown = true;
  if (name == "health_check") exports->health_check = true;
  if (name == "get_capabilities") exports->get_capabilities = true;
}

absl::Status CheckExport(std::string_view name, const wasm_externtype_t* type,
                         OptionalExports* exports) {
  const ExportRule* rule = FindExportRule(name);
  if (rule == nullptr) return absl::OkStatus();
  if (rule->need == ExportNeed::kLater) {
    return absl::UnimplementedError(
        StrCat("the module exports ", name, ", which this release does not carry out"));
  }
  const wasm_functype_t* function = wasm_externtype_as_functype_const(type);
  if (function == nullptr || SignatureOf(function) != rule->signature) {
    return absl::InvalidArgumentError(
        StrCat("the module's export ", name, " is not ", SignatureText(rule->signature)));
  }
  NoteExport(name, exports);
  return absl::OkStatus();
}

// What makes unchecked calls safe later: the required exports are there, and all have the ABI's
// types.
absl::Status CheckExports(const wasmtime_module_t* module, OptionalExports* exports) {
  wasm_exporttype_vec_t types;
  wasmtime_module_exports(module, &types);
  absl::Status status;
  bool memory = false;
  size_t required = 0;
  for (size_t i = 0; i < types.size && status.ok(); ++i) {
    const wasm_name_t* raw = wasm_exporttype_name(types.data[i]);
    const std::string_view name(raw->data, raw->size);
    const wasm_externtype_t* type = wasm_exporttype_type(types.data[i]);
    if (name == kMemoryExport) {
      const wasm_memorytype_t* memory_type = wasm_externtype_as_memorytype_const(type);
      memory = memory_type != nullptr && !wasmtime_memorytype_is64(memory_type) &&
               !wasmtime_memorytype_isshared(memory_type);
      continue;
    }
    status = CheckExport(name, type, exports);
    const ExportRule* rule = FindExportRule(name);
    if (rule != nullptr && rule->need == ExportNeed::kRequired) ++required;
  }
  wasm_exporttype_vec_delete(&types);
  RETURN_IF_ERROR(status);
  size_t needed = 0;
  for (const ExportRule& rule : ExportRules()) needed += rule.need == ExportNeed::kRequired;
  if (!memory || required != needed) {
    return absl::InvalidArgumentError(
        "the module lacks one of the exports memory, agent_alloc and handle_message");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Module::Impl>> Link(const Engine& engine, ModulePtr module) {
  auto impl = std::make_unique<Module::Impl>();
  impl->engine = &engine;
  impl->module = std::move(module);
  RETURN_IF_ERROR(CheckExports(impl->module.get(), &impl->exports));
  ASSIGN_OR_RETURN(impl->linker, MakeLinker(engine));
  wasmtime_instance_pre_t* pre = nullptr;
  ErrorPtr error(wasmtime_linker_instantiate_pre(impl->linker.get(), impl->module.get(), &pre));
  if (error != nullptr) {
    return ErrorStatus(absl::StatusCode::kInvalidArgument, "cannot link the module",
                       std::move(error));
  }
  impl->pre.reset(pre);
  return impl;
}

}  // namespace

Module::Module(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Module::~Module() = default;

absl::StatusOr<std::unique_ptr<Module>> Module::LoadFile(const Engine& engine,
                                                         const std::string& path) {
  wasmtime_module_t* raw = nullptr;
  ErrorPtr error(wasmtime_module_deserialize_file(engine.impl().engine.get(), path.c_str(), &raw));
  if (error != nullptr) {
    return ErrorStatus(absl::StatusCode::kFailedPrecondition, "cannot load native code",
                       std::move(error));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl, Link(engine, ModulePtr(raw)));
  return std::unique_ptr<Module>(new Module(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<Module>> Module::LoadBytes(const Engine& engine,
                                                          std::string_view native) {
  wasmtime_module_t* raw = nullptr;
  ErrorPtr error(wasmtime_module_deserialize(engine.impl().engine.get(),
                                             reinterpret_cast<const uint8_t*>(native.data()),
                                             native.size(), &raw));
  if (error != nullptr) {
    return ErrorStatus(absl::StatusCode::kFailedPrecondition, "cannot load native code",
                       std::move(error));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Impl> impl, Link(engine, ModulePtr(raw)));
  return std::unique_ptr<Module>(new Module(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<Instance>> Module::NewInstance(const AgentConfig& config,
                                                              const StepControl& control) const {
  return Instance::Create(*this, config, control);
}

bool Module::has_health_check() const { return impl_->exports.health_check; }

}  // namespace caxton::wasm
