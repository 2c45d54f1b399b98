// SPDX-License-Identifier: Apache-2.0
#include "caxton/worker/worker_process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <type_traits>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/memfd.h"
#include "caxton/wasm/engine.h"
#include "caxton/worker/limits.h"
#include "crash_handler.h"
#include "modes.h"

namespace caxton::worker {

using ipc::WorkerExit;

WorkerExit RunWorkerProcess(const std::vector<std::string>& arguments) {
  InstallCrashHandler();
  const absl::StatusOr<Command> command = ParseCommandLine(arguments);
  if (!command.ok()) {
    Complain(command.status(), WorkerExit::kUsage);
    platform::WriteFd(STDERR_FILENO, UsageText()).IgnoreError();
    return WorkerExit::kUsage;
  }
  return std::visit(
      [](const auto& mode) {
        using Mode = std::decay_t<decltype(mode)>;
        if constexpr (std::is_same_v<Mode, ipc::RunCommand>) {
          return RunMode(mode);
        } else if constexpr (std::is_same_v<Mode, ipc::CompileCommand>) {
          return CompileMode(mode);
        } else if constexpr (std::is_same_v<Mode, InspectCommand>) {
          return InspectMode(mode);
        } else if constexpr (std::is_same_v<Mode, ValidateCommand>) {
          return ValidateMode(mode);
        } else if constexpr (std::is_same_v<Mode, PackageCommand>) {
          return PackageMode(mode);
        } else if constexpr (std::is_same_v<Mode, VersionCommand>) {
          return VersionMode();
        } else {
          Print(UsageText());
          return WorkerExit::kDone;
        }
      },
      *command);
}

WorkerExit VersionMode() {
  Print(StrCat("caxton-worker ", CAXTON_VERSION, "\nwasmtime ", wasm::Engine::Version(),
               "\nengine-config ", wasm::Engine::ConfigHash().ToHex(), "\n"));
  return WorkerExit::kDone;
}

WorkerExit Complain(const absl::Status& status, WorkerExit exit) {
  std::string text = StrCat("caxton-worker: ", StdView(status.message()), "\n");
  const std::string fix = FixOf(status);
  if (!fix.empty()) text += StrCat("To fix: ", fix, "\n");
  platform::WriteFd(STDERR_FILENO, text).IgnoreError();
  return exit;
}

void Print(std::string_view text) { platform::WriteFd(STDOUT_FILENO, text).IgnoreError(); }

absl::StatusOr<platform::JailReport> EnterJailFor(bool jail, int first_closed_fd,
                                                  platform::Filter filter) {
  if (!jail) return platform::JailReport{};
  platform::JailOptions options;
  options.first_closed_fd = first_closed_fd;
  ASSIGN_OR_RETURN(platform::JailReport report, platform::EnterJail(options));
  const absl::Status filtered = platform::InstallFilter(filter);
  if (absl::IsUnimplemented(filtered)) {
    report.not_enforced.emplace_back(filtered.message());
  } else if (!filtered.ok()) {
    return filtered;
  }
  return report;
}

absl::Status LimitResources(int64_t data_bytes, int64_t cpu_seconds) {
  const auto set = [](int resource, int64_t value, int64_t grace = 0) {
    const rlimit limit{static_cast<rlim_t>(value), static_cast<rlim_t>(value + grace)};
    return ::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0
               ? absl::OkStatus()
               : ErrnoStatus(errno, "setting a resource limit");
  };
  RETURN_IF_ERROR(set(RLIMIT_DATA, data_bytes));
  // At the soft limit comes SIGXCPU, which says what it was; at the hard one SIGKILL, which
  // does not.
  RETURN_IF_ERROR(set(RLIMIT_CPU, cpu_seconds, kCpuGraceSeconds));
  return set(RLIMIT_CORE, 0);
}

}  // namespace caxton::worker
