// SPDX-License-Identifier: Apache-2.0
#include "caxton/supervisor/process_supervisor.h"

#include <utility>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/ipc/slot.h"
#include "caxton/platform/file.h"
#include "supervisor_thread.h"

namespace caxton::supervisor {
namespace {

class ProcessSupervisor final : public Supervisor {
 public:
  ProcessSupervisor(const SupervisorOptions& options, const SupervisorDeps& deps,
                    std::vector<Seq> suspects)
      : thread_(options, deps), suspects_(std::move(suspects)) {}

  absl::Status Start() { return thread_.Start(); }

  void Prepare(const Revision& revision, int64_t limit_ns,
               absl::AnyInvocable<void(Prepared)> done) override {
    thread_.Post([this, revision, limit_ns, done = std::move(done)]() mutable {
      thread_.Prepare(revision, limit_ns, std::move(done));
    });
  }

  void Stop(RevisionRef revision, absl::AnyInvocable<void()> done) override {
    thread_.Post([this, revision, done = std::move(done)]() mutable {
      thread_.Stop(revision, std::move(done));
    });
  }

  std::vector<std::pair<RevisionRef, WorkersStatus>> Status() const override {
    return thread_.Status();
  }

  std::vector<Seq> TakeSuspects() override {
    MutexLock lock(&mutex_);
    return std::exchange(suspects_, {});
  }

 private:
  SupervisorThread thread_;
  Mutex mutex_;
  std::vector<Seq> suspects_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Supervisor>> StartSupervisor(const SupervisorOptions& options,
                                                            const SupervisorDeps& deps) {
  CAXTON_ASSERT(
      deps.clock && deps.artifacts && deps.cgroups && deps.sink && deps.log && deps.metrics,
      "the composition root gives the supervisor all it needs");
  RETURN_IF_ERROR(platform::MkdirAll(options.slot_directory));
  ASSIGN_OR_RETURN(const std::vector<ipc::ExecutingMark> marks,
                   ipc::ReadSlots(options.slot_directory));
  RETURN_IF_ERROR(ipc::RemoveAllSlots(options.slot_directory));
  std::vector<Seq> suspects;
  for (const ipc::ExecutingMark& mark : marks) suspects.push_back(mark.seq);
  auto supervisor = std::make_unique<ProcessSupervisor>(options, deps, std::move(suspects));
  RETURN_IF_ERROR(supervisor->Start());
  return supervisor;
}

}  // namespace caxton::supervisor
