// SPDX-License-Identifier: Apache-2.0
//
// ExamineReport: what the jailed child found out about one module: faults and warnings, each with
// cause, place and remedy, the traits that decide how it is run, and numbers. It crosses from the
// child to the server as bytes and is hostile there until decoded: it is advice, the linker and the
// limits enforce. A value.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/model/revision.h"

namespace caxton {

enum class FindingSeverity : uint8_t { kError = 0, kWarning = 1, kNote = 2 };
std::string_view FindingSeverityName(FindingSeverity severity);  // "error", "warning", "note"

enum class ExamineStage : uint8_t { kStatic = 0, kSandbox = 1, kContracts = 2, kResources = 3 };
inline constexpr size_t kExamineStages = 4;
std::string_view ExamineStageName(ExamineStage stage);  // "static", "sandbox", ...

struct Finding {
  FindingSeverity severity = FindingSeverity::kError;
  std::string code;     // stable, UPPER_SNAKE: "MISSING_EXPORT"
  std::string message;  // what is wrong and why it matters
  std::string place;    // "export handle_message", "import env.foo", "byte 8"; may be empty
  std::string fix;      // what to do; may be empty for notes
  ExamineStage stage = ExamineStage::kStatic;

  friend bool operator==(const Finding&, const Finding&) = default;
};

// Codes that the server asks for: contracts that may be let through.
inline constexpr std::string_view kContractBroken = "CONTRACT_BROKEN";
inline constexpr std::string_view kContractUndecided = "CONTRACT_UNDECIDED";

struct ModuleStats {
  uint64_t module_bytes = 0;
  uint64_t code_bytes = 0;  // native; 0: not compiled
  uint32_t imports = 0;
  uint32_t exports = 0;
  uint64_t memory_min_bytes = 0;   // declared minimum
  uint64_t memory_max_bytes = 0;   // declared maximum; 0: none
  uint64_t memory_after_init = 0;  // of the instance that was initialized
  uint64_t init_fuel = 0;
  int64_t check_ns = 0;
  int64_t compile_ns = 0;
  int64_t init_ns = 0;
  bool initialized = false;  // the initialization check ran and passed
  // Of the sample messages; of one step where not said otherwise.
  uint32_t samples = 0;
  uint32_t samples_handled = 0;
  uint64_t peak_memory = 0;
  uint64_t max_fuel = 0;
  int64_t max_step_ns = 0;  // processor time
  uint64_t sends = 0;       // of all handled samples together

  friend bool operator==(const ModuleStats&, const ModuleStats&) = default;
};

// How far one stage came.
struct StageRun {
  bool ran = false;
  int64_t duration_ns = 0;
  std::string note;  // why it did not run

  friend bool operator==(const StageRun&, const StageRun&) = default;
};

struct ExamineReport {
  std::vector<Finding> findings;  // errors first, in the order found
  std::array<StageRun, kExamineStages> stages;
  ModuleTraits traits;
  ModuleStats stats;
  std::string engine;         // "wasmtime 48.0.8"
  std::string engine_config;  // hex of the engine's ConfigHash: part of the native code's cache key
  std::vector<std::string> log;  // what the module logged while it was initialized, bounded

  bool ok() const;                    // no finding is an error
  bool ok(ExamineStage stage) const;  // none of this stage is
  friend bool operator==(const ExamineReport&, const ExamineReport&) = default;
};

inline constexpr size_t kMaxFindings = 100;
inline constexpr size_t kMaxReportLogLines = 256;
inline constexpr size_t kMaxFindingTextBytes = 8 << 10;  // each of its strings
inline constexpr size_t kMaxExamineReportBytes = 1 << 20;

void EncodeExamineReport(const ExamineReport& report, std::string* out);
// Refuses what is malformed, too long or not UTF-8.
absl::StatusOr<ExamineReport> DecodeExamineReport(std::string_view bytes);

}  // namespace caxton
