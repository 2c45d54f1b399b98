// SPDX-License-Identifier: Apache-2.0
//
// FakeSupervisor: the Supervisor of tests and of the whole-system simulation. Its workers are lanes
// on one executor (normally SimWorld's): each runs one step at a time, and a script says what a
// step does and how long it takes. Windows, ordering, `alone` and OnRoom follow the same rules as
// the real supervisor (worker_window.h).
//
// Lifecycle: construct -> SetSink -> use. Destroying it is the server's death: nothing is called
// afterwards; ExecutingNow() before that is what the slot files would say, for the next one's
// SetSuspects(). Thread rule: one thread. Callbacks and the sink run as tasks of the executor,
// never inside a call.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/model/envelope.h"
#include "caxton/supervisor/limits.h"
#include "caxton/supervisor/supervisor.h"

namespace caxton::supervisor::testing {

// What a step does. The ticket of `result` is filled in by the fake.
struct ScriptedStep {
  StepResult result;
  int64_t duration_ns =
      100 * kNanosPerMicro;  // beyond the step's deadline: kDeadline at the deadline
  bool crash = false;        // the worker dies when the duration is over
  bool hang = false;         // never answers: the worker is killed after deadline and kHungGraceNs
};
using Script =
    std::function<ScriptedStep(const Revision& revision, const StepInput&, const Envelope&)>;

struct FakeSupervisorOptions {
  int64_t prepare_ns = 5 * kNanosPerMilli;
  int64_t stop_ns = kNanosPerMilli;
  int64_t restart_ns = 2 * kNanosPerMilli;
  int64_t interrupt_ns = 4 * kNanosPerMicro;  // until an interrupted step answers
};

class FakeSupervisor final : public Supervisor {
 public:
  // Executor and clock outlive this. `script` runs when a step starts.
  FakeSupervisor(Executor* executor, const Clock* clock, Script script,
                 const FakeSupervisorOptions& options = {});
  ~FakeSupervisor() override;
  void SetSink(StepSink* sink);

  void Prepare(const Revision& revision, int64_t limit_ns,
               absl::AnyInvocable<void(Prepared)> done) override;
  void Stop(RevisionRef revision, absl::AnyInvocable<void()> done) override;
  std::vector<std::pair<RevisionRef, WorkersStatus>> Status() const override;
  std::vector<Seq> TakeSuspects() override;

  // Controls.
  // The worker `lane` of the revision dies (-1: all of them); its steps end in OnLost, it is back
  // after restart_ns.
  void Kill(RevisionRef revision, int lane = -1);
  // The next Prepare of this revision answers `status`.
  void FailPrepare(RevisionRef revision, absl::Status status);
  void SetPrepareDelay(RevisionRef revision, int64_t delay_ns);
  // TryDispatch answers false; switching it off is followed by OnRoom if somebody was refused.
  void SetNoRoom(RevisionRef revision, bool no_room);
  void SetHealth(RevisionRef revision, bool healthy, std::string note);
  void SetSuspects(std::vector<Seq> suspects);

  // Observations.
  std::vector<Seq> ExecutingNow() const;
  std::vector<RevisionRef> Running() const;
  uint64_t Dispatched(RevisionRef revision) const;     // since construction
  int64_t LastDispatchNs(RevisionRef revision) const;  // MonoNanos; -1: never

 private:
  struct State;
  class Workers;
  std::shared_ptr<State> state_;
};

// A script whose every step is handled after `duration_ns` and replies with the message's own
// content.
Script EchoScript(int64_t duration_ns = 100 * kNanosPerMicro);

}  // namespace caxton::supervisor::testing
