// SPDX-License-Identifier: Apache-2.0
//
// From how a compiling child ended to what is said about the module. Pure functions; what the child
// wrote is hostile.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "caxton/ipc/worker_command.h"
#include "caxton/model/examine_report.h"
#include "caxton/platform/process.h"
#include "caxton/validation/validator.h"

namespace caxton::validation {

struct ChildEnd {
  platform::ExitStatus exit;
  std::string report;          // bytes of the report's memfd, bounded
  bool timed_out = false;      // killed by us at `limit_ns`
  bool out_of_memory = false;  // its cgroup says so
  int64_t limit_ns = 0;
  int64_t memory_limit_bytes = 0;
  int64_t cpu_limit_seconds = 0;
};

// What the child was doing, for a sentence: "compiling it to native code".
std::string_view PhaseText(ipc::CompilePhase phase);

// The child's report, or one that says how it ended. An error status: the child could not do its
// work at all, which says nothing about the module. `*native` tells whether there is native code to
// take.
absl::StatusOr<ExamineReport> JudgeEnd(const ChildEnd& end, bool* native);

// The four stages of a finished examination.
ValidationReport MakeReport(const Digest& module, const ExamineReport& examined,
                            int64_t duration_ns);

}  // namespace caxton::validation
