// SPDX-License-Identifier: Apache-2.0
//
// Lane: the place of one worker process of a revision. Processes come and go, one at a time; the
// lane holds the current one's channel, the window of its outstanding steps, and the thread that
// reads its answers.
//
// Lifecycle of a process: Start -> (Ready frame) accepting -> RequestStop or Kill or its own death
// -> NoteExit, once its pidfd says so -> the reader hands on what was published, then the rest as
// lost, then LaneOwner::OnReaderEnded -> Retire. Only then may the next Start. Thread rule: Start,
// NoteExit, Retire and what `life` holds: the supervisor's thread. The reader's methods: its own
// thread. The rest: any thread, none of it blocks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "caxton/base/clock.h"
#include "caxton/base/mutex.h"
#include "caxton/ipc/channel.h"
#include "caxton/ipc/frames.h"
#include "caxton/platform/cgroup.h"
#include "caxton/platform/process.h"
#include "caxton/supervisor/revision_workers.h"
#include "worker_window.h"

namespace caxton::supervisor {

class Lane;

// What a lane tells; all on its reader's thread.
class LaneOwner {
 public:
  virtual ~LaneOwner() = default;
  virtual void OnReady(Lane* lane, ipc::Ready ready) = 0;
  virtual void OnResult(StepResult result) = 0;
  virtual void OnLost(std::vector<LostStep> lost, std::string cause) = 0;
  virtual void OnLog(std::vector<LogLine> lines) = 0;
  // Somebody who was refused may try again.
  virtual void OnRoom() = 0;
  // The last call for this process.
  virtual void OnReaderEnded(Lane* lane) = 0;
};

struct LaneStart {
  std::string name;  // of cgroup, slot file and channel; unique while it lives
  std::string worker_path;
  std::string slot_directory;
  bool jail = true;
  int code_fd = -1;
  const Revision* revision = nullptr;
  platform::CgroupManager* cgroups = nullptr;
};

class Lane {
 public:
  // Owner and clock outlive the lane.
  Lane(LaneOwner* owner, const Clock* clock) : owner_(*owner), clock_(*clock) {}
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  enum class Taken { kYes, kNotNow, kNever };  // kNever: larger than the channel can carry
  Taken TryDispatch(const DispatchOrder& order);
  // Keeps everything else away until a step that runs alone was given to this lane.
  void Reserve();
  bool reserved() const;
  bool HasRoom();  // for an ordinary step
  void Flush();
  void Interrupt(Ticket ticket);
  void InterruptAll();
  // Steps outstanding; kDownLoad where no worker accepts any.
  uint32_t load() const { return load_.load(std::memory_order_relaxed); }
  static constexpr uint32_t kDownLoad = UINT32_MAX;
  int pid() const;  // 0: no process
  // By its last answers; `*note` says why not.
  bool Healthy(std::string* note) const;
  // It was asked, and has not answered for the first time.
  bool HealthPending() const;

  // Ends the process with SIGKILL; the first cause given wins. `hung`: its front step is to blame.
  void Kill(std::string cause, bool hung = false);

  // Supervisor's thread.
  absl::Status Start(const LaneStart& start);
  // Accepts no more steps and asks the worker to finish; steps it does not answer are lost without
  // blame.
  void RequestStop();
  void NoteExit(const platform::ExitStatus& exit);
  void Retire();
  bool Hung() const;
  void SetBackground(bool background);
  // Divides the worker's share of the processors while a step of it runs long. Any thread.
  void YieldIfLong();
  void AskHealth();
  void RefillLogBudget() { log_budget_.store(kMaxLogLinesPerTick, std::memory_order_relaxed); }
  platform::CgroupUsage Usage() const;
  const platform::Child* child() const { return process_ ? &process_->child : nullptr; }
  std::string cause() const;

  // Where it is in its life: the supervisor's own notes.
  struct Life {
    enum class State { kDown, kStarting, kUp, kEnding } state = State::kDown;
    bool reaped = false, reader_ended = false;
    int64_t ready_due_ns = 0, up_since_ns = 0, restart_due_ns = 0, kill_due_ns = 0;
    int64_t health_due_ns = 0;
    int64_t backoff_ns = -1;  // of the next quick death; < 0: at once
    std::string name;
    uint64_t cpu_usec = 0;  // of earlier processes
  } life;

 private:
  struct Process {
    std::unique_ptr<ipc::ServerChannel> channel;
    platform::Child child;
    std::unique_ptr<platform::Cgroup> cgroup;
    std::thread reader;
  };
  struct Health {
    uint64_t asked = 0, answered = 0;  // nonces
    uint64_t steps_when_asked = 0;
    bool well = true;
    std::string note;
  };

  void Read(ipc::ServerChannel* channel);
  absl::Status Await(ipc::RingReader& reader);
  absl::Status Handle(const ipc::Frame& frame);
  absl::Status HandleResult(std::string_view bytes);
  absl::Status HandleReady(std::string_view bytes);
  absl::Status HandleHealth(std::string_view bytes);
  absl::Status HandleLog(std::string_view bytes);
  void FlushLogs();
  void EndReading(ipc::ServerChannel* channel);
  void ApplyShareLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void KillLocked(std::string cause, bool hung) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdateLoadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasCause() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !cause_.empty(); }

  LaneOwner& owner_;
  const Clock& clock_;
  // Set and reset on the supervisor's thread under mutex_; other threads read it under mutex_.
  std::unique_ptr<Process> process_;
  size_t max_output_bytes_ = 0;  // set before the reader starts, as is cpu_millis_
  int64_t cpu_millis_ = 0;       // the worker's whole share
  std::atomic<uint32_t> load_{kDownLoad};
  std::atomic<bool> dirty_{false};  // something was written and not flushed
  std::atomic<int> log_budget_{0};

  mutable Mutex mutex_;
  CondVar has_cause_;
  WorkerWindow window_ ABSL_GUARDED_BY(mutex_);
  std::string scratch_ ABSL_GUARDED_BY(mutex_);
  bool accepting_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool hung_ ABSL_GUARDED_BY(mutex_) = false;
  bool yielding_ ABSL_GUARDED_BY(mutex_) = false;    // a step of it runs long
  bool background_ ABSL_GUARDED_BY(mutex_) = false;  // outlives the process
  std::string cause_ ABSL_GUARDED_BY(mutex_);        // why the process ended or must end
  Health health_ ABSL_GUARDED_BY(mutex_);
  uint64_t steps_answered_ ABSL_GUARDED_BY(mutex_) = 0;

  // The reader's own.
  bool ready_seen_ = false;
  int64_t last_result_ns_ = 0;
  std::vector<LogLine> logs_;
};

}  // namespace caxton::supervisor
