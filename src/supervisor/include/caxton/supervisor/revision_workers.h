// SPDX-License-Identifier: Apache-2.0
//
// RevisionWorkers: the running worker processes of one revision, as the router sees them. StepSink:
// where their results go. Between them lies the trust boundary: whatever arrives from a worker has
// been copied, checked, and matched against a ticket that was given to that very worker and is not
// answered yet.
//
// Thread rule: TryDispatch, Interrupt and the getters from any thread; they never block. StepSink's
// methods are called on a worker's reader thread (in simulation: on the one thread), never from
// inside TryDispatch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/model/ids.h"
#include "caxton/model/step.h"

namespace caxton::supervisor {

// One step for a worker to run. `envelope` is the encoded form and is copied before TryDispatch
// returns.
struct DispatchOrder {
  StepInput input;
  int64_t deadline_ns = 0;  // how long the step may run
  std::string_view envelope;
  // Run with nothing else on the worker: for a message that may have killed one.
  bool alone = false;
};

// A step that was on a worker when it died.
struct LostStep {
  Ticket ticket;
  bool executing = false;  // by the slot's mark: it may have killed the worker
};

class StepSink {
 public:
  virtual ~StepSink() = default;
  // Each dispatched ticket ends in exactly one OnResult or one OnLost, unless its workers were
  // stopped by Supervisor::Stop (then it ends in OnLost with executing = false).
  virtual void OnResult(RevisionRef revision, StepResult result) = 0;
  // `cause` is a sentence: "worker 4711 was killed by signal 9 (SIGKILL)".
  virtual void OnLost(RevisionRef revision, std::vector<LostStep> lost, std::string cause) = 0;
  // After TryDispatch answered false: it is worth trying again.
  virtual void OnRoom(RevisionRef revision) = 0;
  // Lines an agent logged; bounded per step by the worker's limits, checked here.
  virtual void OnLog(RevisionRef revision, std::vector<LogLine> lines) = 0;
};

// One process. A pid of 0: it is being started again.
struct WorkerProcess {
  int pid = 0;
  bool ready = false;  // takes steps
  uint32_t outstanding = 0;
};

struct WorkersStatus {
  int running = 0;            // processes that answer
  int restarts = 0;           // since Prepare
  uint64_t memory_bytes = 0;  // of their cgroups; 0 where not measured
  uint64_t cpu_usec = 0;
  uint64_t outstanding = 0;     // steps dispatched and not answered
  bool healthy = true;          // by health_check where exported
  bool health_pending = false;  // a worker has not answered its first health check yet
  std::string note;             // why not, else empty
  std::vector<WorkerProcess> processes;
};

class RevisionWorkers {
 public:
  virtual ~RevisionWorkers() = default;
  virtual RevisionRef revision() const = 0;
  // Puts the step on the least loaded worker. False: no room or no worker now; OnRoom will follow.
  virtual bool TryDispatch(const DispatchOrder& order) = 0;
  // Sends what TryDispatch put into the channels on its way (wakes parked workers). Call once per
  // batch.
  virtual void Flush() = 0;
  // Asks for this very step to be interrupted; it ends in OnResult(kInterrupted) or in whatever it
  // was about to be. A ticket that is not running is skipped by the worker when it comes to it.
  virtual void Interrupt(Ticket ticket) = 0;
  // The same for everything that is on the workers now (withdrawal). Later dispatches are not
  // touched, as long as their tickets are larger.
  virtual void InterruptAll() = 0;
  // In the background its processes have a part of their share of the processors
  // (kBackgroundShare), and so have those that replace them: for shadows, which must not slow live
  // messages. Any thread; idempotent.
  virtual void SetBackground(bool background) = 0;
  virtual WorkersStatus status() const = 0;
};

}  // namespace caxton::supervisor
