// SPDX-License-Identifier: Apache-2.0
//
// The modes that people (through the command line client) use on files.
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"
#include "caxton/model/limits.h"
#include "caxton/platform/file.h"
#include "caxton/platform/memfd.h"
#include "caxton/wasm/engine.h"
#include "caxton/worker/limits.h"
#include "modes.h"

namespace caxton::worker {
namespace {

using ipc::WorkerExit;

constexpr int kModuleFd = 3;  // the only descriptor that goes into the jail

struct Inspection {
  ExamineReport report;
  std::string module;
};

absl::StatusOr<Inspection> Inspect(int fd) {
  const SystemClock clock;
  examine::ExamineOptions options;
  options.clock = &clock;
  ASSIGN_OR_RETURN(const size_t size, platform::FdSize(fd));
  if (size > kMaxModuleBytes) return Inspection{examine::TooLarge(size), ""};
  ASSIGN_OR_RETURN(std::string module, platform::ReadFd(fd, kMaxModuleBytes));
  ASSIGN_OR_RETURN(const auto engine, wasm::Engine::Create({}));
  ExamineReport report = examine::CheckModule(*engine, module, options);
  return Inspection{std::move(report), std::move(module)};
}

absl::StatusOr<std::string> ReadManifest(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, platform::ReadFile(path, examine::kMaxManifestBytes));
  if (!path.ends_with(".yaml") && !path.ends_with(".yml")) return text;
  return examine::ManifestFromYaml(text, path);
}

}  // namespace

WorkerExit InspectMode(const InspectCommand& command) {
  absl::StatusOr<platform::UniqueFd> file = platform::OpenFile(command.path, O_RDONLY | O_CLOEXEC);
  if (!file.ok()) return Complain(file.status(), WorkerExit::kFailed);
  platform::UniqueFd module = *std::move(file);
  if (module.get() != kModuleFd) {
    if (::dup3(module.get(), kModuleFd, O_CLOEXEC) < 0) {
      return Complain(ErrnoStatus(errno, command.path), WorkerExit::kFailed);
    }
    module.reset(kModuleFd);
  }
  const absl::Status limited = LimitResources(kInspectDataLimitBytes, kInspectCpuLimitSeconds);
  if (!limited.ok()) return Complain(limited, WorkerExit::kFailed);
  const auto jail = EnterJailFor(command.jail, kModuleFd + 1, platform::Filter::kCompiler);
  if (!jail.ok()) return Complain(jail.status(), WorkerExit::kFailed);
  const absl::StatusOr<Inspection> inspection = Inspect(module.get());
  if (!inspection.ok()) {
    return Complain(Annotate(inspection.status(), command.path), WorkerExit::kFailed);
  }
  const auto& [report, bytes] = *inspection;
  Print(examine::InspectionToJson(report, bytes, command.path));
  return report.ok() ? WorkerExit::kDone : WorkerExit::kRejected;
}

// Not jailed: it writes a file, and looks at a module with our own reader only.
WorkerExit PackageMode(const PackageCommand& command) {
  const auto package = [&command]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::string module,
                     platform::ReadFile(command.module_path, kMaxModuleBytes));
    ASSIGN_OR_RETURN(const std::string manifest, ReadManifest(command.manifest_path));
    ASSIGN_OR_RETURN(const std::string out, examine::WithManifest(module, manifest));
    return platform::WriteFileAtomic(command.out_path, out);
  };
  const absl::Status done = package();
  if (done.ok()) return WorkerExit::kDone;
  return Complain(done,
                  absl::IsInvalidArgument(done) ? WorkerExit::kRejected : WorkerExit::kFailed);
}

}  // namespace caxton::worker
