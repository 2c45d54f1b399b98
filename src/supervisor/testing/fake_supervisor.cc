// SPDX-License-Identifier: Apache-2.0
#include "caxton/supervisor/testing/fake_supervisor.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/base/strings.h"
#include "worker_window.h"

namespace caxton::supervisor::testing {

struct FakeSupervisor::State {
  Executor* executor;
  const Clock* clock;
  Script script;
  FakeSupervisorOptions options;
  StepSink* sink = nullptr;
  bool dead = false;

  std::map<RevisionRef, std::shared_ptr<Workers>> workers;
  std::map<RevisionRef, std::vector<absl::AnyInvocable<void(Prepared)>>> preparing;
  std::map<RevisionRef, absl::Status> fail_prepare;
  std::map<RevisionRef, int64_t> prepare_delay;
  std::map<RevisionRef, std::pair<bool, std::string>> health;  // also of workers to come
  std::map<RevisionRef, uint64_t> dispatched;
  std::map<RevisionRef, int64_t> last_dispatch;
  std::vector<Seq> suspects;

  std::vector<absl::AnyInvocable<void(Prepared)>> TakeWaiting(RevisionRef ref) {
    auto node = preparing.extract(ref);
    if (node.empty()) return {};
    return std::move(node.mapped());
  }
};

// The lanes of one revision.
class FakeSupervisor::Workers final : public RevisionWorkers,
                                      public std::enable_shared_from_this<Workers> {
 public:
  Workers(std::shared_ptr<State> state, const Revision& revision)
      : state_(std::move(state)), revision_(revision) {
    lanes_.resize(static_cast<size_t>(std::max(revision.limits.instances, 1)));
  }

  RevisionRef revision() const override { return revision_.ref; }

  bool TryDispatch(const DispatchOrder& order) override {
    State* const state = state_.get();
    if (state == nullptr || state->dead || stopped_) return false;
    Lane* const lane = no_room_ ? nullptr : Pick(order.alone);
    if (lane == nullptr) {
      room_wanted_ = true;
      return false;
    }
    const int64_t now = state->clock->MonoNanos();
    auto envelope = DecodeEnvelope(order.envelope);
    CAXTON_ASSERT(envelope.ok(), "the router dispatches what it encoded itself");
    lane->window.Push({order.input.ticket, order.input.seq, order.deadline_ns}, order.alone, now);
    lane->orders.push_back({order.input, order.deadline_ns, *std::move(envelope)});
    ++state->dispatched[revision_.ref];
    state->last_dispatch[revision_.ref] = now;
    return true;
  }

  void SetBackground(bool) override {}  // processors are not simulated

  void Flush() override {
    for (size_t i = 0; i < lanes_.size(); ++i) {
      Later(0, [this, i] { StartNext(lanes_[i]); });
    }
  }

  void Interrupt(Ticket ticket) override {
    if (state_ == nullptr || state_->dead) return;
    for (Lane& lane : lanes_) {
      if (lane.window.Contains(ticket)) InterruptIn(lane, ticket);
    }
  }

  void InterruptAll() override {
    if (state_ == nullptr || state_->dead) return;
    for (Lane& lane : lanes_) {
      for (const Order& order : lane.orders) InterruptIn(lane, order.input.ticket);
    }
  }

  WorkersStatus status() const override {
    WorkersStatus status;
    for (const Lane& lane : lanes_) {
      status.running += lane.up && !stopped_;
      status.outstanding += lane.window.size();
    }
    status.restarts = restarts_;
    status.healthy = healthy_;
    status.note = note_;
    return status;
  }

  void Kill(int which, const std::string& cause) {
    for (size_t i = 0; i < lanes_.size(); ++i) {
      if (which < 0 || static_cast<size_t>(which) == i) Die(lanes_[i], cause, true);
    }
  }

  void Stop() {
    for (Lane& lane : lanes_) Die(lane, "the revision's workers were stopped", false);
    stopped_ = true;
  }

  void SetNoRoom(bool no_room) {
    no_room_ = no_room;
    if (!no_room) OfferRoom();
  }
  void SetHealth(bool healthy, std::string note) {
    healthy_ = healthy;
    note_ = std::move(note);
  }
  void CollectExecuting(std::vector<Seq>* out) const {
    for (const Lane& lane : lanes_) {
      if (lane.running) out->push_back(lane.window.front().seq);
    }
  }
  // Breaks the cycle state -> workers -> state.
  void Detach() { state_.reset(); }

 private:
  struct Order {
    StepInput input;
    int64_t deadline_ns;
    Envelope envelope;
  };
  struct Lane {
    bool up = true;
    bool running = false;  // the front is executing
    TimerId timer;         // of its end
    WorkerWindow window;
    std::deque<Order> orders;  // as window
    std::set<Ticket> interrupted;
  };

  // Runs `task` later unless the fake died or this was stopped.
  template <typename F>
  TimerId Later(int64_t delay_ns, F task) {
    State* const state = state_.get();
    if (state == nullptr) return TimerId();
    return state->executor->PostAfter(
        delay_ns, [self = shared_from_this(), task = std::move(task)]() mutable {
          if (self->state_ == nullptr || self->state_->dead || self->stopped_) return;
          task();
        });
  }

  Lane* Pick(bool alone) {
    const int64_t now = state_->clock->MonoNanos();
    Lane* best = nullptr;
    Lane* least = nullptr;
    bool reserved = false;
    for (Lane& lane : lanes_) {
      if (!lane.up) continue;
      reserved |= lane.window.reserved();
      if (least == nullptr || lane.window.size() < least->window.size()) least = &lane;
      if (!lane.window.Admits(alone, now)) continue;
      if (best == nullptr || lane.window.size() < best->window.size()) best = &lane;
    }
    if (best == nullptr && alone && !reserved && least != nullptr) {
      least->window.Reserve(now);
    }
    return best;
  }

  void StartNext(Lane& lane) {
    if (!lane.up || lane.running || lane.orders.empty()) return;
    lane.running = true;
    const Order& order = lane.orders.front();
    if (lane.interrupted.contains(order.input.ticket)) {
      return FinishAfter(lane, 0, Interrupted());
    }
    ScriptedStep step = state_->script(revision_, order.input, order.envelope);
    const size_t index = static_cast<size_t>(&lane - lanes_.data());
    if (step.hang) {
      lane.timer = Later(order.deadline_ns + kHungGraceNs, [this, index] {
        Die(lanes_[index], "worker was killed: a step did not answer", true);
      });
      return;
    }
    if (step.crash) {
      lane.timer = Later(step.duration_ns, [this, index] {
        Die(lanes_[index], "worker was killed by signal 11 (SIGSEGV)", true);
      });
      return;
    }
    if (step.duration_ns > order.deadline_ns && order.deadline_ns > 0) {
      step.duration_ns = order.deadline_ns;
      step.result =
          StepResult{.outcome = StepOutcome::kDeadline, .detail = "ran past its deadline"};
    }
    step.result.run_ns = step.duration_ns;
    FinishAfter(lane, step.duration_ns, std::move(step.result));
  }

  static StepResult Interrupted() {
    return StepResult{.outcome = StepOutcome::kInterrupted, .detail = "interrupted by the server"};
  }

  void FinishAfter(Lane& lane, int64_t delay_ns, StepResult result) {
    const size_t index = static_cast<size_t>(&lane - lanes_.data());
    lane.timer = Later(delay_ns, [this, index, result = std::move(result)]() mutable {
      Finish(lanes_[index], std::move(result));
    });
  }

  void Finish(Lane& lane, StepResult result) {
    const Ticket ticket = lane.orders.front().input.ticket;
    result.ticket = ticket;
    CAXTON_ASSERT(lane.window.Pop(ticket, state_->clock->MonoNanos()).has_value(),
                  "a lane answers its front");
    lane.orders.pop_front();
    lane.interrupted.erase(ticket);
    lane.running = false;
    const size_t index = static_cast<size_t>(&lane - lanes_.data());
    Later(0, [this, index] { StartNext(lanes_[index]); });
    const bool offer = lane.window.WorthTrying();
    if (lane.window.reserved() && lane.window.size() == 0) {
      Later(kAloneReserveNs, [this] { OfferRoom(); });
    }
    const auto state = state_;
    state->sink->OnResult(revision_.ref, std::move(result));
    if (offer) OfferRoom();
  }

  void InterruptIn(Lane& lane, Ticket ticket) {
    if (!lane.interrupted.insert(ticket).second) return;
    if (!lane.running || lane.orders.front().input.ticket != ticket) return;
    state_->executor->Cancel(lane.timer);
    FinishAfter(lane, state_->options.interrupt_ns, Interrupted());
  }

  // The process of `lane` ends; `charge`: what was executing may have killed it.
  void Die(Lane& lane, const std::string& cause, bool charge) {
    if (!lane.up || stopped_) return;
    state_->executor->Cancel(lane.timer);
    std::vector<LostStep> lost;
    const bool was_running = lane.running;
    for (const Outstanding& step : lane.window.TakeAll()) {
      lost.push_back({step.ticket, charge && was_running && lost.empty()});
    }
    lane.orders.clear();
    lane.interrupted.clear();
    lane.running = false;
    lane.up = false;
    // Not through Later: a stopped revision's steps end as well.
    if (!lost.empty()) {
      state_->executor->Post([state = state_, ref = revision_.ref, lost = std::move(lost), cause] {
        if (!state->dead) state->sink->OnLost(ref, lost, cause);
      });
    }
    if (!charge) return;  // stopping
    ++restarts_;
    const size_t index = static_cast<size_t>(&lane - lanes_.data());
    Later(state_->options.restart_ns, [this, index] {
      lanes_[index].up = true;
      OfferRoom();
    });
  }

  void OfferRoom() {
    if (!room_wanted_ || no_room_ || state_ == nullptr) return;
    room_wanted_ = false;
    Later(0, [this] { state_->sink->OnRoom(revision_.ref); });
  }

  std::shared_ptr<State> state_;
  const Revision revision_;
  std::vector<Lane> lanes_;
  bool stopped_ = false;
  bool no_room_ = false;
  bool room_wanted_ = false;
  bool healthy_ = true;
  std::string note_;
  int restarts_ = 0;
};

FakeSupervisor::FakeSupervisor(Executor* executor, const Clock* clock, Script script,
                               const FakeSupervisorOptions& options)
    : state_(std::make_shared<State>()) {
  state_->executor = executor;
  state_->clock = clock;
  state_->script = std::move(script);
  state_->options = options;
}

FakeSupervisor::~FakeSupervisor() {
  state_->dead = true;
  for (auto& [ref, workers] : state_->workers) workers->Detach();
  state_->workers.clear();
  state_->preparing.clear();
}

void FakeSupervisor::SetSink(StepSink* sink) { state_->sink = sink; }

void FakeSupervisor::Prepare(const Revision& revision, int64_t limit_ns,
                             absl::AnyInvocable<void(Prepared)> done) {
  const RevisionRef ref = revision.ref;
  if (auto it = state_->workers.find(ref); it != state_->workers.end()) {
    state_->executor->Post(
        [state = state_, workers = it->second, done = std::move(done)]() mutable {
          if (!state->dead) done(Prepared(workers));
        });
    return;
  }
  auto& waiting = state_->preparing[ref];
  waiting.push_back(std::move(done));
  if (waiting.size() > 1) return;
  absl::Status answer = absl::OkStatus();
  if (auto it = state_->fail_prepare.find(ref); it != state_->fail_prepare.end()) {
    answer = it->second;
    state_->fail_prepare.erase(it);
  }
  int64_t delay = state_->options.prepare_ns;
  if (auto it = state_->prepare_delay.find(ref); it != state_->prepare_delay.end()) {
    delay = it->second;
  }
  if (delay > limit_ns) {
    answer = absl::DeadlineExceededError(
        StrCat("the workers of ", revision.Name(), " were not ready in time"));
  }
  state_->executor->PostAfter(std::min(delay, limit_ns), [state = state_, ref, revision, answer] {
    if (state->dead) return;
    auto waiting = state->TakeWaiting(ref);
    if (waiting.empty()) return;  // stopped meanwhile
    Prepared prepared = std::shared_ptr<RevisionWorkers>();
    if (!answer.ok()) {
      prepared = answer;
    } else {
      auto workers = std::make_shared<Workers>(state, revision);
      if (auto it = state->health.find(ref); it != state->health.end()) {
        workers->SetHealth(it->second.first, it->second.second);
      }
      state->workers[ref] = workers;
      prepared = workers;
    }
    for (auto& one : waiting) one(prepared);
  });
}

void FakeSupervisor::Stop(RevisionRef revision, absl::AnyInvocable<void()> done) {
  if (auto waiting = state_->TakeWaiting(revision); !waiting.empty()) {
    state_->executor->Post([state = state_, waiting = std::move(waiting)]() mutable {
      if (state->dead) return;
      for (auto& one : waiting) one(absl::CancelledError("the revision was stopped meanwhile"));
    });
  }
  int64_t delay = 0;
  if (auto it = state_->workers.find(revision); it != state_->workers.end()) {
    it->second->Stop();
    state_->workers.erase(it);
    delay = state_->options.stop_ns;
  }
  state_->executor->PostAfter(delay, [state = state_, done = std::move(done)]() mutable {
    if (!state->dead) done();
  });
}

std::vector<std::pair<RevisionRef, WorkersStatus>> FakeSupervisor::Status() const {
  std::vector<std::pair<RevisionRef, WorkersStatus>> all;
  for (const auto& [ref, workers] : state_->workers) all.emplace_back(ref, workers->status());
  return all;
}

std::vector<Seq> FakeSupervisor::TakeSuspects() { return std::exchange(state_->suspects, {}); }

void FakeSupervisor::Kill(RevisionRef revision, int lane) {
  if (auto it = state_->workers.find(revision); it != state_->workers.end()) {
    it->second->Kill(lane, "worker was killed by signal 9 (SIGKILL)");
  }
}

void FakeSupervisor::FailPrepare(RevisionRef revision, absl::Status status) {
  state_->fail_prepare[revision] = std::move(status);
}

void FakeSupervisor::SetPrepareDelay(RevisionRef revision, int64_t delay_ns) {
  state_->prepare_delay[revision] = delay_ns;
}

void FakeSupervisor::SetNoRoom(RevisionRef revision, bool no_room) {
  if (auto it = state_->workers.find(revision); it != state_->workers.end()) {
    it->second->SetNoRoom(no_room);
  }
}

void FakeSupervisor::SetHealth(RevisionRef revision, bool healthy, std::string note) {
  if (auto it = state_->workers.find(revision); it != state_->workers.end()) {
    it->second->SetHealth(healthy, note);
  }
  state_->health[revision] = {healthy, std::move(note)};
}

void FakeSupervisor::SetSuspects(std::vector<Seq> suspects) {
  state_->suspects = std::move(suspects);
}

std::vector<Seq> FakeSupervisor::ExecutingNow() const {
  std::vector<Seq> executing;
  for (const auto& [ref, workers] : state_->workers) workers->CollectExecuting(&executing);
  return executing;
}

std::vector<RevisionRef> FakeSupervisor::Running() const {
  std::vector<RevisionRef> running;
  for (const auto& [ref, workers] : state_->workers) running.push_back(ref);
  return running;
}

uint64_t FakeSupervisor::Dispatched(RevisionRef revision) const {
  auto it = state_->dispatched.find(revision);
  return it == state_->dispatched.end() ? 0 : it->second;
}

int64_t FakeSupervisor::LastDispatchNs(RevisionRef revision) const {
  auto it = state_->last_dispatch.find(revision);
  return it == state_->last_dispatch.end() ? -1 : it->second;
}

Script EchoScript(int64_t duration_ns) {
  return [duration_ns](const Revision&, const StepInput&, const Envelope& envelope) {
    ScriptedStep step;
    step.duration_ns = duration_ns;
    step.result.reply = Reply{Performative::kInform, envelope.content};
    return step;
  };
}

}  // namespace caxton::supervisor::testing
