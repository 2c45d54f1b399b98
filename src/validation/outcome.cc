// SPDX-License-Identifier: Apache-2.0
#include "outcome.h"

#include <signal.h>

#include <algorithm>
#include <utility>

#include "caxton/base/clock.h"
#include "caxton/base/strings.h"

namespace caxton::validation {
namespace {

using ipc::CompilePhase;
using ipc::WorkerExit;

constexpr int64_t kMiB = 1 << 20;

CompilePhase PhaseOf(const ChildEnd& end) {
  const uint8_t byte = end.report.empty() ? 0 : static_cast<uint8_t>(end.report[0]);
  return static_cast<CompilePhase>(
      std::min<uint8_t>(byte, static_cast<uint8_t>(CompilePhase::kDone)));
}

Finding TooSlow(const ChildEnd& end, CompilePhase phase) {
  const bool own_code = phase == CompilePhase::kInitializing;
  Finding finding{.code = "VALIDATION_TIMEOUT"};
  finding.message = end.timed_out
                        ? StrCat("validation was ended after ", end.limit_ns / kNanosPerMilli,
                                 " ms while ", PhaseText(phase))
                        : StrCat("validation used more than ", end.cpu_limit_seconds,
                                 " s of CPU time while ", PhaseText(phase));
  finding.fix = own_code
                    ? "let _initialize and agent_init return sooner: do the work in handle_message"
                    : "make the module smaller, or give the validate stage more time";
  return finding;
}

Finding TooBig(const ChildEnd& end, CompilePhase phase) {
  const bool own_code = phase == CompilePhase::kInitializing;
  return {.code = "VALIDATION_MEMORY",
          .message = StrCat("validation needed more than ", end.memory_limit_bytes / kMiB,
                            " MiB of memory while ", PhaseText(phase)),
          .fix = own_code ? "let the initialization allocate less, or raise resources.memory"
                          : "make the module smaller: split large functions, strip debug sections"};
}

Finding Crashed(const ChildEnd& end, CompilePhase phase) {
  return {.code = "VALIDATION_CRASHED",
          .message = StrCat("the validating process ", end.exit.ToString(), " while ",
                            PhaseText(phase), "; a module that does this is not run"),
          .fix =
              "build the module again with a current toolchain; if it stays, please report it "
              "with the module"};
}

// SIGABRT under RLIMIT_DATA is how an allocation that fails ends.
bool OutOfMemory(const ChildEnd& end, CompilePhase phase) {
  if (end.out_of_memory) return true;
  return !end.exit.exited && end.exit.signal == SIGABRT && phase >= CompilePhase::kCompiling;
}

}  // namespace

std::string_view PhaseText(CompilePhase phase) {
  switch (phase) {
    case CompilePhase::kStarting:
      return "starting";
    case CompilePhase::kChecking:
      return "checking the module";
    case CompilePhase::kCompiling:
      return "compiling it to native code";
    case CompilePhase::kInitializing:
      return "running its initialization (start function, _initialize, agent_init)";
    case CompilePhase::kSampling:
      return "letting it handle sample messages";
    case CompilePhase::kDone:
      return "finishing";
  }
  return "starting";
}

absl::StatusOr<ExamineReport> JudgeEnd(const ChildEnd& end, bool* native) {
  *native = false;
  const CompilePhase phase = PhaseOf(end);
  ExamineReport report;
  if (end.timed_out) {
    report.findings.push_back(TooSlow(end, phase));
    return report;
  }
  if (!end.exit.exited) {
    const bool slow = end.exit.signal == SIGXCPU;
    report.findings.push_back(slow                      ? TooSlow(end, phase)
                              : OutOfMemory(end, phase) ? TooBig(end, phase)
                                                        : Crashed(end, phase));
    return report;
  }
  const bool done = end.exit.code == static_cast<int>(WorkerExit::kDone);
  const bool rejected = end.exit.code == static_cast<int>(WorkerExit::kRejected);
  if (!done && !rejected) {
    const bool could_not_start = phase == CompilePhase::kStarting &&
                                 (end.exit.code == static_cast<int>(WorkerExit::kFailed) ||
                                  end.exit.code == static_cast<int>(WorkerExit::kUsage));
    if (could_not_start) {
      return absl::InternalError(
          StrCat("the validating process ", end.exit.ToString(), " before it began"));
    }
    report.findings.push_back(Crashed(end, phase));
    return report;
  }
  auto decoded = phase == CompilePhase::kDone
                     ? DecodeExamineReport(std::string_view(end.report).substr(1))
                     : absl::StatusOr<ExamineReport>(absl::DataLossError("not finished"));
  // Its word and its exit status must agree.
  if (!decoded.ok() || decoded->ok() != done) {
    report.findings.push_back(
        {.code = "VALIDATION_CRASHED",
         .message = "the validating process ended without a report that makes sense",
         .fix = "try again; if it stays, please report it with the module"});
    return report;
  }
  *native = done;
  return *std::move(decoded);
}

ValidationReport MakeReport(const Digest& module, const ExamineReport& examined,
                            int64_t duration_ns) {
  ValidationReport report{.module = module, .traits = examined.traits, .stats = examined.stats};
  for (size_t i = 0; i < kExamineStages; ++i) {
    const StageRun& run = examined.stages[i];
    const auto stage = static_cast<ExamineStage>(i);
    StageReport out{.stage = std::string(ExamineStageName(stage)), .note = run.note};
    for (const Finding& finding : examined.findings) {
      if (finding.stage == stage) out.findings.push_back(finding);
    }
    out.outcome = !examined.ok(stage) ? StageOutcome::kFailed
                  : run.ran           ? StageOutcome::kPassed
                                      : StageOutcome::kNotRun;
    out.duration_ns = run.duration_ns;
    if (out.outcome == StageOutcome::kNotRun && out.note.empty()) {
      out.note = "not run: the validating process ended before it";
    }
    report.stages.push_back(std::move(out));
  }
  // What starting the child took belongs to the first stage.
  int64_t accounted = 0;
  for (const StageReport& stage : report.stages) accounted += stage.duration_ns;
  report.stages[0].duration_ns += std::max<int64_t>(duration_ns - accounted, 0);
  return report;
}

}  // namespace caxton::validation
