// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/compile_end.h"

#include <signal.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/wire.h"
#include "caxton/platform/file.h"

namespace caxton::ipc {
namespace {

constexpr int64_t kMiB = 1 << 20;

CompilePhase PhaseOf(const ChildEnd& end) {
  const uint8_t byte = end.report.empty() ? 0 : static_cast<uint8_t>(end.report[0]);
  return static_cast<CompilePhase>(
      std::min<uint8_t>(byte, static_cast<uint8_t>(CompilePhase::kDone)));
}

absl::StatusOr<ExamineReport> ReadReport(std::string_view bytes) {
  ByteReader r(bytes);
  r.U8();  // the phase
  const std::string_view body = r.Bytes();
  if (!r.ok()) return absl::DataLossError("the validating process left no report");
  return DecodeExamineReport(body);
}

bool RunsOwnCode(CompilePhase phase) {
  return phase == CompilePhase::kInitializing || phase == CompilePhase::kSampling ||
         phase == CompilePhase::kTryingRecent;
}

std::string SlowFix(CompilePhase phase) {
  switch (phase) {
    case CompilePhase::kInitializing:
      return "let _initialize and agent_init return sooner: do the work in handle_message";
    case CompilePhase::kSampling:
      return "let handle_message answer the sample messages sooner, or give the validate stage "
             "more time";
    default:
      return "make the module smaller, or give the validate stage more time";
  }
}

Finding TooSlow(const ChildEnd& end, CompilePhase phase) {
  Finding finding{.code = "VALIDATION_TIMEOUT"};
  finding.message = end.timed_out
                        ? StrCat("validation was ended after ", end.limit_ns / kNanosPerMilli,
                                 " ms while ", PhaseText(phase))
                        : StrCat("validation used more than ", end.cpu_limit_seconds,
                                 " s of CPU time while ", PhaseText(phase));
  finding.fix = SlowFix(phase);
  return finding;
}

Finding TooBig(const ChildEnd& end, CompilePhase phase) {
  return {.code = "VALIDATION_MEMORY",
          .message = StrCat("validation needed more than ", end.memory_limit_bytes / kMiB,
                            " MiB of memory while ", PhaseText(phase)),
          .fix = RunsOwnCode(phase)
                     ? "let the agent allocate less, or raise resources.memory"
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

// What is left of a child that did not finish: the stages it went through, then `finding`.
ExamineReport Unfinished(const ChildEnd& end, CompilePhase phase, Finding finding) {
  ExamineReport report;
  if (auto left = ReadReport(end.report); left.ok()) report = *std::move(left);
  finding.stage = StageOf(phase);
  const auto stage = static_cast<size_t>(finding.stage);
  // What it may claim of later stages does not count.
  std::erase_if(report.findings, [&](const Finding& other) { return other.stage > finding.stage; });
  for (size_t i = 0; i < kExamineStages; ++i) {
    StageRun& run = report.stages[i];
    if (i <= stage) {
      run.ran = true;
    } else {
      run = {.note = StrCat("not run: the stage ", ExamineStageName(finding.stage), " failed")};
    }
  }
  if (report.findings.size() >= kMaxFindings) report.findings.resize(kMaxFindings - 1);
  report.findings.insert(report.findings.begin(), std::move(finding));
  return report;
}

// A child that came to its end over recent messages, which fail no module: its report from before
// them, with a warning that says how. Nothing where that report is not left, or not without errors.
std::optional<ExamineReport> Passed(const ChildEnd& end, const Finding& death) {
  auto left = ReadReport(end.report);
  if (!left.ok() || !left->ok()) return std::nullopt;
  Finding warning{.severity = FindingSeverity::kWarning,
                  .code = "RECENT_UNFINISHED",
                  .message = StrCat(death.message, ": nothing is known of them"),
                  .place = "recent messages",
                  .fix =
                      "try it on them beside the revision that serves: `--history N`, or the "
                      "strategy shadow",
                  .stage = ExamineStage::kResources};
  if (left->findings.size() >= kMaxFindings) left->findings.resize(kMaxFindings - 1);
  left->findings.insert(left->findings.begin(), std::move(warning));
  return *std::move(left);
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
    case CompilePhase::kComparing:
      return "comparing its contracts";
    case CompilePhase::kWeighing:
      return "weighing what it used";
    case CompilePhase::kTryingRecent:
      return "trying recent messages of the agent";
    case CompilePhase::kDone:
      return "finishing";
  }
  return "starting";
}

ExamineStage StageOf(CompilePhase phase) {
  switch (phase) {
    case CompilePhase::kStarting:
    case CompilePhase::kChecking:
    case CompilePhase::kCompiling:
    case CompilePhase::kInitializing:
      return ExamineStage::kStatic;
    case CompilePhase::kSampling:
      return ExamineStage::kSandbox;
    case CompilePhase::kComparing:
      return ExamineStage::kContracts;
    case CompilePhase::kWeighing:
    case CompilePhase::kTryingRecent:
    case CompilePhase::kDone:
      return ExamineStage::kResources;
  }
  return ExamineStage::kStatic;
}

absl::Status WriteCompileReport(int fd, CompilePhase phase, const ExamineReport& report) {
  std::string body, bytes;
  EncodeExamineReport(report, &body);
  ByteWriter(&bytes).Bytes(body);
  RETURN_IF_ERROR(platform::PwriteAll(fd, 1, bytes));
  const char byte = static_cast<char>(phase);
  return platform::PwriteAll(fd, 0, std::string_view(&byte, 1));
}

absl::StatusOr<ExamineReport> JudgeEnd(const ChildEnd& end, bool* native) {
  *native = false;
  const CompilePhase phase = PhaseOf(end);
  const auto died = [&](Finding death) {
    if (phase == CompilePhase::kTryingRecent) {
      if (auto passed = Passed(end, death); passed.has_value()) {
        *native = true;
        return *std::move(passed);
      }
    }
    return Unfinished(end, phase, std::move(death));
  };
  if (end.timed_out) return died(TooSlow(end, phase));
  if (!end.exit.exited) {
    const bool slow = end.exit.signal == SIGXCPU;
    return died(slow                      ? TooSlow(end, phase)
                : OutOfMemory(end, phase) ? TooBig(end, phase)
                                          : Crashed(end, phase));
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
    return died(Crashed(end, phase));
  }
  auto decoded = phase == CompilePhase::kDone
                     ? ReadReport(end.report)
                     : absl::StatusOr<ExamineReport>(absl::DataLossError("not finished"));
  // Its word and its exit status must agree.
  if (!decoded.ok() || decoded->ok() != done) {
    ExamineReport report;
    report.findings.push_back(
        {.code = "VALIDATION_CRASHED",
         .message = "the validating process ended without a report that makes sense",
         .fix = "try again; if it stays, please report it with the module"});
    return report;
  }
  *native = done;
  return *std::move(decoded);
}

}  // namespace caxton::ipc
