// SPDX-License-Identifier: Apache-2.0
//
// One step of a sample: what it is given, how long it may take, and how two steps differ. Private
// to src/examine.
//
// Thread rule: functions; the engine's epoch must be ticking (EpochTicker).
#pragma once

#include <cstdint>
#include <string>

#include "caxton/model/step.h"
#include "caxton/wasm/instance.h"
#include "sandbox.h"

namespace caxton::examine {

// Of one sample, its instance's initialization included: at least kSampleLimitNs and kSampleFuel,
// and more where the request gives a step more.
int64_t SampleLimitNs(int64_t deadline_ns);
uint64_t SampleFuel(int64_t deadline_ns);

// Begins now: `limit_ns` of what the options measure a guest with. `end` may be null.
wasm::StepControl ControlOf(const SandboxOptions& options, int64_t limit_ns,
                            const wasm::InterruptSource* end);

// The step on an instance that is there.
StepResult StepOn(wasm::Instance& instance, const SandboxOptions& options, const Sample& sample,
                  const wasm::StepControl& control);

// What differs between two steps of the same message, "" where nothing does; `fuel`: whether that
// has to be the same, too.
std::string Difference(const StepResult& a, const StepResult& b, bool fuel);

}  // namespace caxton::examine
