// SPDX-License-Identifier: Apache-2.0
//
// The sandbox stage: an agent handles sample messages, each in a fresh instance and twice, and on
// one that is kept where its manifest says so; its health_check and agent_shutdown are tried; and
// nothing that it sends leaves. Private to src/examine.
//
// Lifecycle: RunSandbox on a module that was initialized once. Thread rule: function; the engine's
// epoch must be ticking (EpochTicker), or an endless loop is ended by its fuel only.
#pragma once

#include <string>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/model/envelope.h"
#include "caxton/model/examine_report.h"
#include "caxton/model/module_traits.h"
#include "caxton/model/step.h"
#include "caxton/wasm/instance.h"
#include "caxton/wasm/module.h"
#include "findings.h"

namespace caxton::examine {

struct Sample {
  std::string name;
  Envelope message;
  bool own = false;      // the manifest's: it must be handled
  bool hostile = false;  // the agent is right to reject it
  bool real = false;     // somebody's: run as it is
};

struct SampleRun {
  std::string name;
  StepResult result;
  bool hostile = false;  // of a sample that no sender would send
};

struct SandboxOptions {
  const wasm::Module& module;
  const wasm::AgentConfig& config;
  const Clock& clock;
  // What a guest takes is measured with: processor time, so that a busy machine fails no good
  // agent. Null: `clock`.
  const Clock* cpu = nullptr;
  int64_t deadline_ns = 0;  // of a step, as the request has it; 0: not known
  bool reused = false;      // instances are kept between messages

  const Clock& guest_clock() const { return cpu != nullptr ? *cpu : clock; }
};

struct SandboxResult {
  std::vector<SampleRun> runs;  // of the samples that were handled, in their order
  Determinism determinism = Determinism::kNotTried;
  bool over_deadline = false;  // a sample took more than the deadline, and that is told
};

// Empty, large, not UTF-8, deeply nested.
std::vector<Sample> HostileSamples(const wasm::AgentConfig& config);

// One sample, in a fresh instance, which it takes at most `limit_ns` to make and run. `end`, where
// there is one, may interrupt it.
StepResult RunSample(const SandboxOptions& options, const Sample& sample, int64_t limit_ns,
                     const wasm::InterruptSource* end = nullptr);

// Runs every sample; faults into `*findings`, figures into `*stats`.
SandboxResult RunSandbox(const SandboxOptions& options, const std::vector<Sample>& samples,
                         Findings* findings, ModuleStats* stats);

}  // namespace caxton::examine
