// SPDX-License-Identifier: Apache-2.0
//
// Examines one module: statically (nothing of it runs), and, if wanted, compiles it and initializes
// one instance. All faults are told at once, each with cause, place and remedy. Works without a
// server.
//
// Whoever supplied the module is hostile: the server calls this only in a jailed child with limits
// on memory and time. Thread rule: functions; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/model/envelope.h"
#include "caxton/model/examine_report.h"
#include "caxton/model/surroundings.h"
#include "caxton/wasm/engine.h"
#include "caxton/wasm/instance.h"

namespace caxton::examine {

struct ExamineOptions {
  wasm::AgentConfig config;  // its name is compared with the manifest's, unless empty
  const Clock* clock = nullptr;
  int64_t init_limit_ns =
      2'000'000'000;  // of the start function, _initialize and agent_init together
  // Whether the module handles sample messages, and the stages that follow from it.
  bool sandbox = true;
  int64_t deadline_ns = 0;    // of a step, as the request has it; 0: not known
  Surroundings surroundings;  // what the contracts and resources are compared with
};

// Static checks only; the report says nothing about native code or initialization.
ExamineReport CheckModule(const wasm::Engine& engine, std::string_view wasm,
                          const ExamineOptions& options);

// The report on a file that is too large to be read at all.
ExamineReport TooLarge(uint64_t bytes);

// What ExamineModule is about to do; the first three belong to the static stage.
enum class ExaminePhase : uint8_t {
  kChecking,
  kCompiling,
  kInitializing,
  kSampling,
  kComparing,
  kWeighing
};
// Told before each part, with what is known by then: if the process does not survive the part, that
// is what stays. The report is the callee's for the time of the call.
using OnPhase = absl::FunctionRef<void(ExaminePhase, const ExamineReport& so_far)>;

struct Examination {
  ExamineReport report;
  std::string native;  // empty unless the report is ok
};

// All four stages: CheckModule, compilation and one initialized instance (static), then sandbox,
// contracts and resources. A stage that fails keeps the later ones from running, and they say so.
Examination ExamineModule(const wasm::Engine& engine, std::string_view wasm,
                          const ExamineOptions& options, OnPhase on_phase);

// Runs the agent's last messages, real ones, oldest first, on the native code of a module that
// passed: their figures and failures go into `*report`, as notes and warnings of its last stage.
// Its own step, after all that can fail the module: its code may end the process here, and what was
// found stands.
void TryRecent(const wasm::Engine& engine, std::string_view native, const ExamineOptions& options,
               const std::vector<Envelope>& messages, ExamineReport* report);

// `report` as one JSON object, indented, with a newline at the end; `file` is shown in it.
std::string ReportToJson(const ExamineReport& report, std::string_view file);

// The same with what is in the module beside it: imports and exports by name and type, sections
// with their sizes, the whole manifest. Each list is bounded (kMaxShownItems).
std::string InspectionToJson(const ExamineReport& report, std::string_view wasm,
                             std::string_view file);

// `wasm` with `manifest_json` in the custom section caxton.manifest, in place of one that is there.
// Both are checked; the errors say what to do.
absl::StatusOr<std::string> WithManifest(std::string_view wasm, std::string_view manifest_json);

// A manifest in YAML as JSON, for WithManifest; unchecked but for the limits of a manifest. Errors
// name `file`, line and column.
absl::StatusOr<std::string> ManifestFromYaml(std::string_view yaml, std::string_view file);

}  // namespace caxton::examine
