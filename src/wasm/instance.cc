// SPDX-License-Identifier: Apache-2.0
#include "caxton/wasm/instance.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/text.h"
#include "caxton/wasm/abi.h"
#include "caxton/wasm/module.h"
#include "engine_impl.h"
#include "host_state.h"
#include "module_impl.h"
#include "wasmtime_support.h"

namespace caxton::wasm {
namespace {

// A store looks at its deadline after one tick of the epoch; the callback extends by one each time.
constexpr uint64_t kEpochDelta = 1;

// On the guest's thread, inside its code: the only place where a step is ended from outside.
wasmtime_error_t* OnEpoch(wasmtime_context_t*, void* data, uint64_t* delta,
                          wasmtime_update_deadline_kind_t* kind) {
  auto& state = *static_cast<HostState*>(data);
  const StepControl& control = state.control();
  if (control.interrupts != nullptr && state.ticket().valid() &&
      control.interrupts->IsKilled(state.ticket())) {
    state.Stop(StopReason::kInterrupted, "interrupted by the server");
    return wasmtime_error_new("interrupted by the server");
  }
  if (control.clock->MonoNanos() >= control.deadline_mono_ns) {
    state.Stop(StopReason::kDeadline, "ran past its deadline");
    return wasmtime_error_new("ran past its deadline");
  }
  *delta = kEpochDelta;
  *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
  return nullptr;
}

// How a guest ends that was refused memory: it aborts, or writes through the null pointer it got.
bool IsAllocationFailure(int trap_code) {
  return trap_code == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED ||
         trap_code == WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS;
}

std::string FormatFailure(std::string_view reason, const CallFailure& failure) {
  return std::string(TruncateUtf8(StrCat(reason, "\n", Backtrace(failure)), kMaxStepDetailBytes));
}

// A runtime that gives up says why on its standard error.
absl::Status WithLastWords(const absl::Status& status, const std::vector<LogLine>& logs) {
  if (logs.empty()) return status;
  std::string text = StrCat(StdView(status.message()), "\nit logged:\n");
  const size_t first = logs.size() - std::min(logs.size(), kMaxLastWords);
  for (size_t i = first; i < logs.size(); ++i) StrAppend(&text, "  ", logs[i].text, "\n");
  return absl::Status(status.code(), AbslView(TruncateUtf8(text, kMaxStepDetailBytes)));
}

}  // namespace

struct Instance::Impl {
  explicit Impl(const AgentConfig& agent_config) : config(agent_config), state(agent_config) {}

  const AgentConfig& config;
  HostState state;  // before the store, which points at it
  StorePtr store;
  wasmtime_context_t* context = nullptr;  // the store's
  wasmtime_instance_t instance{};
  wasmtime_func_t agent_alloc{};
  wasmtime_func_t handle_message{};
  OptionalExports exports;
  bool usable = false;
  InitStats init;

  // What a guest's call ended with, told as a step would tell it.
  struct End {
    StepOutcome outcome = StepOutcome::kHandled;
    std::string detail;
    bool ok() const { return outcome == StepOutcome::kHandled; }
  };

  void Arm(const StepControl& control, Ticket ticket) {
    CAXTON_ASSERT(control.clock != nullptr, "a guest needs a clock to be stopped by");
    state.set_control(control, ticket);
    wasmtime_context_set_epoch_deadline(context, kEpochDelta);
    const ErrorPtr error(wasmtime_context_set_fuel(context, control.fuel));
    CAXTON_ASSERT(error == nullptr, "fuel is off in the engine's configuration");
  }

  uint64_t FuelUsed() const {
    uint64_t left = 0;
    const ErrorPtr error(wasmtime_context_get_fuel(context, &left));
    CAXTON_ASSERT(error == nullptr, "fuel is off in the engine's configuration");
    return state.control().fuel - std::min(left, state.control().fuel);
  }

  // Calls `function`; arguments in `slots`, results out of them.
  CallFailure Call(const wasmtime_func_t& function, wasmtime_val_raw_t* slots, size_t count) {
    CallFailure failure;
    wasm_trap_t* trap = nullptr;
    failure.error.reset(wasmtime_func_call_unchecked(context, &function, slots, count, &trap));
    failure.trap.reset(trap);
    return failure;
  }

  bool FunctionNamed(std::string_view name, wasmtime_func_t* function) {
    wasmtime_extern_t item;
    if (!wasmtime_instance_export_get(context, &instance, name.data(), name.size(), &item)) {
      return false;
    }
    if (item.kind != WASMTIME_EXTERN_FUNC) {
      wasmtime_extern_delete(&item);
      return false;
    }
    *function = item.of.func;
    return true;
  }

  bool AtMemoryLimit() const {
    return static_cast<int64_t>(state.MemorySize()) + kMemoryLimitSlackBytes > config.memory_bytes;
  }

  End Judge(const CallFailure& failure) const {
    switch (state.stop()) {
      case StopReason::kDeadline:
        return {StepOutcome::kDeadline, FormatFailure(state.stop_text(), failure)};
      case StopReason::kInterrupted:
        return {StepOutcome::kInterrupted, state.stop_text()};
      case StopReason::kExit:
      case StopReason::kAbort:
      case StopReason::kHostError:
        return {StepOutcome::kTrapped, FormatFailure(state.stop_text(), failure)};
      case StopReason::kNone:
        break;
    }
    int code = -1;
    const std::string reason = TrapReason(failure, &code);
    if (code == WASMTIME_TRAP_CODE_OUT_OF_FUEL) {
      return {StepOutcome::kOutOfFuel, FormatFailure("out of fuel", failure)};
    }
    if (IsAllocationFailure(code) && AtMemoryLimit()) {
      return {StepOutcome::kMemoryLimit,
              FormatFailure(StrCat("trapped with all of its memory in use (", state.MemorySize(),
                                   " of ", config.memory_bytes, " bytes): ", reason),
                            failure)};
    }
    return {StepOutcome::kTrapped, FormatFailure(StrCat("trap: ", reason), failure)};
  }

  void MakeStore(const Module::Impl& module);
  absl::Status Initialize();
  End Handle(const Envelope& message, int32_t* code);
  // Calls an optional export outside of steps; `*slots` as in Call.
  absl::Status CallAside(std::string_view name, const StepControl& control, int64_t time_ns,
                         wasmtime_val_raw_t* slots);
};

void Instance::Impl::MakeStore(const Module::Impl& module) {
  exports = module.exports;
  store.reset(wasmtime_store_new(module.engine->impl().engine.get(), &state, nullptr));
  context = wasmtime_store_context(store.get());
  wasmtime_store_limiter(store.get(), config.memory_bytes, kMaxTableElements, 1,
                         kMaxTablesPerModule, 1);
  wasmtime_store_epoch_deadline_callback(store.get(), &OnEpoch, &state, nullptr);
}

absl::Status Instance::Impl::Initialize() {
  wasmtime_extern_t memory;
  if (!wasmtime_instance_export_get(context, &instance, kMemoryExport.data(), kMemoryExport.size(),
                                    &memory) ||
      memory.kind != WASMTIME_EXTERN_MEMORY) {
    return absl::InternalError("the instance has no memory");
  }
  state.BindMemory(context, memory.of.memory);
  if (!FunctionNamed("agent_alloc", &agent_alloc) ||
      !FunctionNamed("handle_message", &handle_message)) {
    return absl::InternalError("the instance lacks an export that its module has");
  }
  state.set_phase(Phase::kNoEffects);
  wasmtime_func_t function;
  wasmtime_val_raw_t slots[1];
  for (const auto& [there, name] :
       {std::pair<bool, std::string_view>{exports.initialize, "_initialize"},
        {exports.agent_init, "agent_init"}}) {
    if (!there) continue;
    if (!FunctionNamed(name, &function)) return absl::InternalError("an export went missing");
    slots[0].i32 = 0;
    const CallFailure failure = Call(function, slots, 1);
    if (failure.failed()) {
      return absl::FailedPreconditionError(StrCat(name, ": ", Judge(failure).detail));
    }
    if (name == "agent_init" && slots[0].i32 != 0) {
      return absl::FailedPreconditionError(StrCat("agent_init returned ", slots[0].i32, ", not 0"));
    }
  }
  return absl::OkStatus();
}

Instance::Instance(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Instance::~Instance() = default;
bool Instance::usable() const { return impl_->usable; }
const InitStats& Instance::init_stats() const { return impl_->init; }

absl::StatusOr<std::unique_ptr<Instance>> Instance::Create(const Module& module,
                                                           const AgentConfig& config,
                                                           const StepControl& control) {
  auto impl = std::make_unique<Impl>(config);
  impl->MakeStore(module.impl());
  StepResult log;  // catches what initialization logs
  impl->state.BeginPhase(Phase::kStart, config.init_time_ns, config.init_seed);
  impl->state.BeginStep(nullptr, &log);
  impl->Arm(control, Ticket());
  wasm_trap_t* trap = nullptr;
  CallFailure failure;
  failure.error.reset(wasmtime_instance_pre_instantiate(module.impl().pre.get(), impl->context,
                                                        &impl->instance, &trap));
  failure.trap.reset(trap);
  absl::Status status;
  if (failure.failed()) {
    status = absl::FailedPreconditionError(StrCat("instantiation: ", impl->Judge(failure).detail));
  } else {
    status = impl->Initialize();
  }
  impl->state.EndStep();
  impl->init.fuel = impl->FuelUsed();
  impl->init.memory_bytes = impl->state.MemorySize();
  impl->init.logs = std::move(log.logs);
  if (!status.ok()) return WithLastWords(status, impl->init.logs);
  impl->usable = true;
  return std::unique_ptr<Instance>(new Instance(std::move(impl)));
}

Instance::Impl::End Instance::Impl::Handle(const Envelope& message, int32_t* code) {
  const auto size = static_cast<uint32_t>(message.content.size());
  wasmtime_val_raw_t slots[2];
  slots[0].i32 = static_cast<int32_t>(size);
  {
    const CallFailure failure = Call(agent_alloc, slots, 1);
    if (failure.failed()) return Judge(failure);
  }
  const auto ptr = static_cast<uint32_t>(slots[0].i32);
  if (size > 0) {
    uint8_t* to = ptr == 0 ? nullptr : state.Bytes(ptr, size);
    if (to == nullptr) {
      const auto outcome = AtMemoryLimit() ? StepOutcome::kMemoryLimit : StepOutcome::kTrapped;
      return {outcome, StrCat("agent_alloc(", size, ") returned ", ptr,
                              ptr == 0 ? ": no room for the message"
                                       : ": that range does not lie in memory")};
    }
    std::memcpy(to, message.content.data(), size);
  }
  slots[0].i32 = static_cast<int32_t>(ptr);
  slots[1].i32 = static_cast<int32_t>(size);
  state.set_phase(Phase::kHandler);
  const CallFailure failure = Call(handle_message, slots, 2);
  if (failure.failed()) return Judge(failure);
  *code = slots[0].i32;
  if (*code == 0) return {};
  if (*code == 2) return {StepOutcome::kAgentRejected, "handle_message returned 2"};
  return {StepOutcome::kAgentFailed, StrCat("handle_message returned ", *code)};
}

StepResult Instance::HandleMessage(const StepInput& input, const Envelope& message,
                                   const StepControl& control) {
  CAXTON_ASSERT(impl_->usable, "an instance that failed must be dropped");
  StepResult result;
  result.ticket = input.ticket;
  HostState& state = impl_->state;
  state.BeginPhase(Phase::kNoEffects, input.time_ns, input.seed);
  state.BeginStep(&message, &result);
  impl_->Arm(control, input.ticket);
  const int64_t start = control.clock->MonoNanos();
  Impl::End end;
  if (message.content.size() > static_cast<size_t>(impl_->config.max_message_bytes)) {
    end = {StepOutcome::kOverLimit,
           StrCat("the message has ", message.content.size(), " bytes, the agent takes ",
                  impl_->config.max_message_bytes)};
  } else {
    end = impl_->Handle(message, &result.agent_code);
  }
  state.EndStep();
  result.run_ns = std::max<int64_t>(control.clock->MonoNanos() - start, 0);
  result.fuel = impl_->FuelUsed();
  result.memory_bytes = state.MemorySize();
  result.outcome = end.outcome;
  result.detail = std::move(end.detail);
  if (!end.ok()) {
    impl_->usable = false;
    result.reply.reset();
    result.sends.clear();
  }
  return result;
}

absl::Status Instance::Impl::CallAside(std::string_view name, const StepControl& control,
                                       int64_t time_ns, wasmtime_val_raw_t* slots) {
  wasmtime_func_t function;
  if (!FunctionNamed(name, &function)) return absl::InternalError("an export went missing");
  StepResult log;
  state.BeginPhase(Phase::kNoEffects, time_ns, config.init_seed);
  state.BeginStep(nullptr, &log);
  Arm(control, Ticket());
  const CallFailure failure = Call(function, slots, 1);
  state.EndStep();
  if (!failure.failed()) return absl::OkStatus();
  usable = false;
  const End end = Judge(failure);
  const std::string text = StrCat(name, ": ", end.detail);
  return end.outcome == StepOutcome::kDeadline ? absl::DeadlineExceededError(text)
                                               : absl::FailedPreconditionError(text);
}

absl::StatusOr<int32_t> Instance::HealthCheck(const StepControl& control) {
  CAXTON_ASSERT(impl_->usable, "an instance that failed must be dropped");
  if (!impl_->exports.health_check) return 0;
  wasmtime_val_raw_t slots[1];
  // Of now: with the time of its initialization it could never say anything else than then.
  RETURN_IF_ERROR(impl_->CallAside("health_check", control, control.clock->WallNanos(), slots));
  return slots[0].i32;
}

absl::StatusOr<std::string> Instance::Capabilities(const StepControl& control) {
  CAXTON_ASSERT(impl_->usable, "an instance that failed must be dropped");
  if (!impl_->exports.get_capabilities) return std::string();
  wasmtime_val_raw_t slots[1];
  RETURN_IF_ERROR(impl_->CallAside("get_capabilities", control, impl_->config.init_time_ns, slots));
  const auto packed = static_cast<uint64_t>(slots[0].i64);
  const auto len = static_cast<uint32_t>(packed);
  std::string_view text;
  if (len > kMaxCapabilitiesBytes ||
      !impl_->state.ReadText(static_cast<uint32_t>(packed >> 32), len, &text)) {
    return absl::InvalidArgumentError(StrCat("get_capabilities returned ", len, " bytes at ",
                                             packed >> 32, ": not in memory, or more than ",
                                             kMaxCapabilitiesBytes));
  }
  return std::string(text);
}

absl::Status Instance::Shutdown(const StepControl& control) {
  if (!impl_->usable || !impl_->exports.agent_shutdown) return absl::OkStatus();
  wasmtime_val_raw_t slots[1];
  absl::Status done =
      impl_->CallAside("agent_shutdown", control, impl_->config.init_time_ns, slots);
  impl_->usable = false;
  return done;
}

}  // namespace caxton::wasm
