// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <utility>

#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/platform/fd.h"
#include "caxton/platform/memfd.h"
#include "caxton/worker/worker_loop.h"
#include "modes.h"

namespace caxton::worker {
namespace {

// This process: code from its descriptor, the jail's second filter.
class ProcessEnvironment final : public WorkerEnvironment {
 public:
  ProcessEnvironment(bool jail, platform::JailReport report)
      : jail_(jail), report_(std::move(report)), code_(ipc::kCodeFd) {}

  absl::StatusOr<std::unique_ptr<wasm::Module>> Load(const wasm::Engine& engine) override {
    RETURN_IF_ERROR(platform::CheckSealed(code_.get(), platform::Seal::kContent));
    return wasm::Module::LoadFile(engine, platform::FdPath(code_.get()));
  }

  absl::Status LockDown() override {
    code_.reset();  // mapped
    if (!jail_) return absl::OkStatus();
    const absl::Status filtered = platform::InstallFilter(platform::Filter::kWorkerRunning);
    return absl::IsUnimplemented(filtered) ? absl::OkStatus() : filtered;
  }

  std::vector<std::string> NotEnforced() const override {
    if (!jail_) return {"the jail: switched off with --no-jail"};
    return report_.not_enforced;
  }

 private:
  const bool jail_;
  const platform::JailReport report_;
  platform::UniqueFd code_;
};

}  // namespace

ipc::WorkerExit RunMode(const ipc::RunCommand& command) {
  absl::StatusOr<platform::JailReport> jail =
      EnterJailFor(command.jail, ipc::kFirstFreeFd, platform::Filter::kWorkerLoading);
  if (!jail.ok()) return Complain(jail.status(), ipc::WorkerExit::kFailed);
  ProcessEnvironment environment(command.jail, *std::move(jail));
  const auto channel = ipc::WorkerChannel::Attach(static_cast<size_t>(command.max_message_bytes));
  if (!channel.ok()) return Complain(channel.status(), ipc::WorkerExit::kFailed);
  const SystemClock clock;
  WorkerLoop loop(**channel, clock, environment);
  const ipc::WorkerExit exit = loop.Run();
  if (exit != ipc::WorkerExit::kDone) return Complain(loop.why(), exit);
  // Of no consequence to the server: said where whoever looks after the agent may find it.
  return loop.shutdown().ok() ? exit : Complain(loop.shutdown(), exit);
}

}  // namespace caxton::worker
