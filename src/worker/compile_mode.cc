// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <vector>

#include "agent_config.h"
#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/ipc/compile_end.h"
#include "caxton/ipc/compile_request.h"
#include "caxton/ipc/recent_messages.h"
#include "caxton/model/examine_report.h"
#include "caxton/model/limits.h"
#include "caxton/platform/file.h"
#include "caxton/platform/memfd.h"
#include "caxton/wasm/engine.h"
#include "caxton/worker/limits.h"
#include "modes.h"

namespace caxton::worker {
namespace {

using ipc::CompilePhase;
using ipc::WorkerExit;

absl::Status Write(CompilePhase phase, const ExamineReport& report) {
  return ipc::WriteCompileReport(ipc::kCompileReportFd, phase, report);
}

CompilePhase PhaseOf(examine::ExaminePhase phase) {
  switch (phase) {
    case examine::ExaminePhase::kChecking:
      return CompilePhase::kChecking;
    case examine::ExaminePhase::kCompiling:
      return CompilePhase::kCompiling;
    case examine::ExaminePhase::kInitializing:
      return CompilePhase::kInitializing;
    case examine::ExaminePhase::kSampling:
      return CompilePhase::kSampling;
    case examine::ExaminePhase::kComparing:
      return CompilePhase::kComparing;
    case examine::ExaminePhase::kWeighing:
      return CompilePhase::kWeighing;
  }
  return CompilePhase::kStarting;
}

struct Request {
  examine::ExamineOptions options;
  std::vector<Envelope> recent;
};
absl::StatusOr<Request> ReadRequest(const Clock& clock) {
  ASSIGN_OR_RETURN(const std::string bytes,
                   platform::ReadFd(ipc::kCompileConfigFd, kMaxConfigureBytes));
  ASSIGN_OR_RETURN(ipc::CompileRequest request, ipc::DecodeCompileRequest(bytes));
  Request out;
  examine::ExamineOptions& options = out.options;
  options.clock = &clock;
  options.config = AgentConfigOf(request.configure);
  options.init_limit_ns = InitLimitOf(request.configure);
  options.deadline_ns = request.configure.limits.deadline_ns;
  options.surroundings = std::move(request.surroundings);
  ASSIGN_OR_RETURN(const std::string recent,
                   platform::ReadFd(ipc::kCompileRecentFd, kMaxRecentFileBytes));
  ASSIGN_OR_RETURN(out.recent, ipc::DecodeRecentMessages(recent));
  return out;
}

absl::StatusOr<examine::Examination> Examine(const wasm::Engine& engine,
                                             const examine::ExamineOptions& options) {
  ASSIGN_OR_RETURN(const size_t size, platform::FdSize(ipc::kCompileModuleFd));
  if (size > kMaxModuleBytes) return examine::Examination{examine::TooLarge(size), ""};
  ASSIGN_OR_RETURN(const std::string module,
                   platform::ReadFd(ipc::kCompileModuleFd, kMaxModuleBytes));
  absl::Status written;
  examine::Examination examination =
      examine::ExamineModule(engine, module, options,
                             [&written](examine::ExaminePhase phase, const ExamineReport& so_far) {
                               written.Update(Write(PhaseOf(phase), so_far));
                             });
  RETURN_IF_ERROR(written);
  return examination;
}

absl::StatusOr<WorkerExit> Compile() {
  RETURN_IF_ERROR(Write(CompilePhase::kStarting, {}));
  const SystemClock clock;
  ASSIGN_OR_RETURN(const Request request, ReadRequest(clock));
  ASSIGN_OR_RETURN(const auto engine, wasm::Engine::Create({}));
  ASSIGN_OR_RETURN(examine::Examination examination, Examine(*engine, request.options));
  ExamineReport& report = examination.report;
  if (!examination.native.empty()) {
    RETURN_IF_ERROR(platform::PwriteAll(ipc::kCompileCodeFd, 0, examination.native));
  }
  if (report.ok() && !request.recent.empty()) {
    // From here on the module has passed, whatever becomes of this process.
    RETURN_IF_ERROR(Write(CompilePhase::kTryingRecent, report));
    examine::TryRecent(*engine, examination.native, request.options, request.recent, &report);
  }
  RETURN_IF_ERROR(Write(CompilePhase::kDone, report));
  return report.ok() ? WorkerExit::kDone : WorkerExit::kRejected;
}

}  // namespace

WorkerExit CompileMode(const ipc::CompileCommand& command) {
  const absl::Status limited = LimitResources(command.data_limit_bytes, command.cpu_limit_seconds);
  if (!limited.ok()) return Complain(limited, WorkerExit::kFailed);
  const auto jail =
      EnterJailFor(command.jail, ipc::kCompileLastFd + 1, platform::Filter::kCompiler);
  if (!jail.ok()) return Complain(jail.status(), WorkerExit::kFailed);
  const absl::StatusOr<WorkerExit> exit = Compile();
  return exit.ok() ? *exit : Complain(exit.status(), WorkerExit::kFailed);
}

}  // namespace caxton::worker
