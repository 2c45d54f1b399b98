// SPDX-License-Identifier: Apache-2.0
//
// SupervisorThread: the supervisor's one thread and what only it touches: every revision's lanes,
// from the first spawn to the last reap. Spawning, reaping and all timers happen here, so that
// workers tied to their parent thread die with the server and not before.
//
// Lifecycle: constructor starts, Join kills everything and returns when nothing is left. Thread
// rule: Post from any thread; all else inside Run.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "caxton/base/mutex.h"
#include "caxton/platform/fd.h"
#include "caxton/supervisor/process_supervisor.h"
#include "worker_group.h"

namespace caxton::supervisor {

class SupervisorThread final : public GroupHost {
 public:
  using Task = absl::AnyInvocable<void()>;
  using PrepareDone = absl::AnyInvocable<void(Supervisor::Prepared)>;

  SupervisorThread(const SupervisorOptions& options, const SupervisorDeps& deps);
  ~SupervisorThread() override { Join(); }
  absl::Status Start();
  void Join();

  // Any thread.
  void Post(Task task);
  std::vector<std::pair<RevisionRef, WorkersStatus>> Status() const;
  void LaneReady(WorkerGroup* group, Lane* lane, ipc::Ready ready) override;
  void LaneEnded(WorkerGroup* group, Lane* lane) override;
  void TooLarge(WorkerGroup* group, Ticket ticket) override;

  // As posted tasks.
  void Prepare(const Revision& revision, int64_t limit_ns, PrepareDone done);
  void Stop(RevisionRef ref, Task done);

 private:
  using State = Lane::Life::State;
  // One revision's workers.
  struct Entry {
    Revision revision;
    std::shared_ptr<WorkerGroup> group;
    platform::UniqueFd code;
    bool prepared = false;
    bool stopping = false;
    int died_early = 0;  // processes that ended before the first was ready
    int64_t prepare_due_ns = 0;
    std::vector<PrepareDone> waiting;
    std::vector<Task> stopped;
    telemetry::Labels labels;
    telemetry::Gauge memory;
    telemetry::Counter cpu, restarts;
    uint64_t cpu_reported_usec = 0;
  };

  void Run();
  int WaitMillis() const;
  void WaitForEvents();
  void RunTasks();
  void Tick();
  void TickLane(Entry& entry, Lane& lane, int64_t now);
  void SampleUsage(Entry& entry);

  void StartLane(Entry& entry, Lane& lane);
  void Reap(Lane& lane);
  void RetireIfOver(Entry& entry, Lane& lane);
  void LaneDied(Entry& entry, Lane& lane, const std::string& cause);
  void HandleReady(Lane& lane, const ipc::Ready& ready);
  void AnswerPrepare(Entry& entry, const Supervisor::Prepared& answer);
  void FailPrepare(Entry& entry, const absl::Status& status);
  void BeginStop(Entry& entry, int64_t grace_ns);
  void DropEnded();
  void KillEverything();
  Entry* EntryOf(const Lane* lane);

  const SupervisorOptions options_;
  const SupervisorDeps deps_;
  platform::UniqueFd epoll_, wake_;
  std::thread thread_;

  // The thread's own.
  std::vector<std::unique_ptr<Entry>> entries_;  // those that stop included
  std::map<RevisionRef, Entry*> live_;           // those that do not
  std::map<const Lane*, Entry*> by_lane_;
  uint64_t next_name_ = 1;
  int64_t usage_due_ns_ = 0;
  bool jail_said_ = false;
  bool ending_ = false;

  mutable Mutex mutex_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  std::map<RevisionRef, std::shared_ptr<WorkerGroup>> visible_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace caxton::supervisor
