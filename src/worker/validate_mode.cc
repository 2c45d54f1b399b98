// SPDX-License-Identifier: Apache-2.0
//
// caxton-worker --validate FILE: what the server does with a module, without one. The module is
// examined in a child (--compile), so that one that ends its examiner is told as a finding, too.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include <string>
#include <utility>

#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/examine/examiner.h"
#include "caxton/ipc/compile_end.h"
#include "caxton/ipc/compile_request.h"
#include "caxton/ipc/frames.h"
#include "caxton/ipc/recent_messages.h"
#include "caxton/model/names.h"
#include "caxton/model/revision.h"
#include "caxton/platform/file.h"
#include "caxton/platform/memfd.h"
#include "caxton/platform/process.h"
#include "caxton/worker/limits.h"
#include "modes.h"

namespace caxton::worker {
namespace {

using ipc::WorkerExit;

constexpr char kThisProgram[] = "/proc/self/exe";

// Whoever runs this is the author: what is refused here is a mistake, and told as one.
absl::StatusOr<Revision> ReadRevision(const std::string& path) {
  if (path.empty()) return Revision();
  ASSIGN_OR_RETURN(const platform::UniqueFd file, platform::OpenFile(path, O_RDONLY | O_CLOEXEC));
  ASSIGN_OR_RETURN(const std::string bytes, platform::ReadFd(file.get(), kMaxRevisionFileBytes));
  auto revision = DecodeRevision(bytes);
  if (!revision.ok()) return Annotate(revision.status(), path);
  if (!revision->agent.empty()) RETURN_IF_ERROR(ValidateAgentName(revision->agent));
  RETURN_IF_ERROR(ValidateLimits(revision->limits));
  RETURN_IF_ERROR(ValidateSettings(revision->settings));
  return revision;
}

// As the server tells it to its child, but that there is nothing around.
absl::StatusOr<platform::UniqueFd> ConfigOf(const Revision& revision) {
  ipc::Configure configure;
  configure.agent = revision.agent;
  configure.limits = revision.limits;
  configure.settings = revision.settings;
  configure.init_deadline_ns = kDefaultInitLimitNs;
  std::string nobody;  // no server around it: nothing to compare with
  EncodeSurroundings({}, &nobody);
  return platform::MemfdWithContent("validate-config",
                                    ipc::EncodeCompileRequest(configure, nobody));
}

absl::Status AwaitEnd(const platform::Child& child, ipc::ChildEnd* end) {
  ASSIGN_OR_RETURN(auto ended, platform::WaitChild(child, kValidateLimitMs));
  if (!ended.has_value()) {
    end->timed_out = true;
    RETURN_IF_ERROR(platform::KillChild(child, SIGKILL));
    ASSIGN_OR_RETURN(ended, platform::WaitChild(child, -1));
  }
  end->exit = *ended;
  return absl::OkStatus();
}

absl::StatusOr<ExamineReport> Validate(const ValidateCommand& command) {
  ASSIGN_OR_RETURN(const platform::UniqueFd module,
                   platform::OpenFile(command.path, O_RDONLY | O_CLOEXEC));
  ASSIGN_OR_RETURN(const Revision revision, ReadRevision(command.revision_path));
  ASSIGN_OR_RETURN(const platform::UniqueFd config, ConfigOf(revision));
  const int64_t data_limit = kValidateCompilerBytes + revision.limits.memory_bytes;
  ASSIGN_OR_RETURN(const platform::UniqueFd recent,
                   platform::MemfdWithContent("validate-recent", ipc::EncodeRecentMessages({})));
  ASSIGN_OR_RETURN(const platform::UniqueFd code, platform::CreateMemfd("validate-code", 0));
  ASSIGN_OR_RETURN(const platform::UniqueFd report, platform::CreateMemfd("validate-report", 0));
  platform::SpawnOptions options;
  options.path = kThisProgram;
  options.argv = ipc::CommandLine("caxton-worker",
                                  ipc::CompileCommand{.data_limit_bytes = data_limit,
                                                      .cpu_limit_seconds = kValidateCpuLimitSeconds,
                                                      .jail = command.jail});
  options.fds = {{module.get(), ipc::kCompileModuleFd},
                 {config.get(), ipc::kCompileConfigFd},
                 {code.get(), ipc::kCompileCodeFd},
                 {report.get(), ipc::kCompileReportFd},
                 {recent.get(), ipc::kCompileRecentFd}};
  options.rlimits = {{RLIMIT_CORE, 0, 0},
                     {RLIMIT_FSIZE, kValidateCodeLimitBytes, kValidateCodeLimitBytes}};
  ASSIGN_OR_RETURN(const platform::Child child, platform::Spawn(options));
  ipc::ChildEnd end{.limit_ns = kValidateLimitMs * kNanosPerMilli,
                    .memory_limit_bytes = data_limit,
                    .cpu_limit_seconds = kValidateCpuLimitSeconds};
  RETURN_IF_ERROR(AwaitEnd(child, &end));
  ASSIGN_OR_RETURN(end.report, platform::ReadFd(report.get(), ipc::kMaxCompileReportBytes));
  bool native = false;
  return ipc::JudgeEnd(end, &native);
}

}  // namespace

WorkerExit ValidateMode(const ValidateCommand& command) {
  const absl::StatusOr<ExamineReport> report = Validate(command);
  if (!report.ok()) {
    return Complain(Annotate(report.status(), command.path), WorkerExit::kFailed);
  }
  Print(examine::ReportToJson(*report, command.path));
  return report->ok() ? WorkerExit::kDone : WorkerExit::kRejected;
}

}  // namespace caxton::worker
