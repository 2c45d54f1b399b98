// SPDX-License-Identifier: Apache-2.0
//
// What an examining child (mode compile) leaves behind, and what is made of its end.
//
// The child writes its report before each part of its work and at the end (WriteCompileReport), so
// that one that dies leaves the part it died in and the findings of the stages before. Its parent
// turns exit status and report into the report on the module (JudgeEnd). What the child wrote is
// hostile: all of it is decoded and checked. Functions on values; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/ipc/worker_command.h"
#include "caxton/model/examine_report.h"
#include "caxton/platform/process.h"

namespace caxton::ipc {

// Layout of kCompileReportFd: one byte of CompilePhase, the report's length (4 bytes, little
// endian), EncodeExamineReport. The phase is written last: a torn report belongs to the phase
// before it, and is not read.
absl::Status WriteCompileReport(int fd, CompilePhase phase, const ExamineReport& report);
inline constexpr size_t kCompileReportHeadBytes = 5;
inline constexpr size_t kMaxCompileReportBytes = kCompileReportHeadBytes + kMaxExamineReportBytes;

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
std::string_view PhaseText(CompilePhase phase);
// The stage that this is part of.
ExamineStage StageOf(CompilePhase phase);

// The child's report, or what it left of one with a finding that says how it ended, under the stage
// that it was in. An error status: the child could not do its work at all, which says nothing about
// the module. `*native` tells whether there is native code to take.
absl::StatusOr<ExamineReport> JudgeEnd(const ChildEnd& end, bool* native);

}  // namespace caxton::ipc
