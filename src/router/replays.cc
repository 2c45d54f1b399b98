// SPDX-License-Identifier: Apache-2.0
#include "replays.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "caxton/base/assert.h"
#include "caxton/router/limits.h"
#include "message.h"
#include "ticket.h"

namespace caxton::router {

bool Replays::Job::on_candidate() const {
  return stable.has_value() || (candidate_first && !candidate.has_value());
}

Replays::Replays(Executor* executor, const Clock* clock, uint64_t order_seed)
    : executor_(executor), clock_(clock), order_(order_seed) {}

// ---- any thread

void Replays::Start(ReplayOrder order) {
  active_.fetch_add(1, std::memory_order_relaxed);
  executor_->Post([this, o = std::move(order)]() mutable { OnStart(std::move(o)); });
}

void Replays::Stop(DeploymentId deployment) {
  executor_->Post([this, deployment] {
    InterruptRunning(deployment);
    Drop(deployment);
  });
}

void Replays::Result(RevisionRef revision, StepResult result) {
  // Now, and not when its turn on the strand comes: comparing takes its time there.
  const int64_t at_ns = clock_->MonoNanos();
  executor_->Post([this, revision, r = std::move(result), at_ns]() mutable {
    OnResult(revision, std::move(r), at_ns);
  });
}

void Replays::Lost(RevisionRef, std::vector<supervisor::LostStep> lost, std::string cause) {
  executor_->Post([this, l = std::move(lost), c = std::move(cause)] { OnLost(l, c); });
}

void Replays::Room(RevisionRef revision) {
  if (active_.load(std::memory_order_relaxed) == 0) return;
  executor_->Post([this, revision] {
    std::vector<DeploymentId> theirs;
    for (const auto& [id, replay] : replays_) {
      const ReplayOrder& order = replay->order;
      if (order.candidate.revision->ref == revision || order.stable.revision->ref == revision) {
        theirs.push_back(id);
      }
    }
    for (DeploymentId id : theirs) Pump(id);
  });
}

// ---- the strand

std::unique_ptr<Replays::Job> Replays::JobOf(const Replay& replay, const KeptMessage& message) {
  absl::StatusOr<Envelope> envelope = DecodeEnvelope(message.envelope);
  if (!envelope.ok()) return nullptr;
  auto job = std::make_unique<Job>();
  job->deployment = replay.order.deployment;
  job->input.seq = message.seq;
  job->input.time_ns = message.first_dispatch_ns;
  job->input.seed = StepSeed(replay.order.stable.revision->ref.agent, envelope->id);
  job->input.has_key = !envelope->EffectiveKey().empty();
  job->message_id = std::move(envelope->id);
  job->content_type = std::move(envelope->content_type);
  job->envelope = message.envelope;
  // Drawn, so that neither of the two always finds the caches warm.
  job->candidate_first = order_.Below(2) == 1;
  return job;
}

void Replays::OnStart(ReplayOrder order) {
  const DeploymentId id = order.deployment;
  CAXTON_ASSERT(!replays_.contains(id), "one replay of a deployment at a time");
  auto replay = std::make_unique<Replay>();
  replay->order = std::move(order);
  for (const KeptMessage& message : std::exchange(replay->order.messages, {})) {
    std::unique_ptr<Job> job = JobOf(*replay, message);
    if (job != nullptr) {
      replay->waiting.push_back(std::move(job));
    } else {
      ++replay->end.lost;
    }
  }
  replay->timer = executor_->PostAfter(replay->order.limit_ns, [this, id] { OnTimeUp(id); });
  replays_[id] = std::move(replay);
  Pump(id);
}

void Replays::Pump(DeploymentId deployment) {
  auto it = replays_.find(deployment);
  if (it == replays_.end()) return;
  Replay& replay = *it->second;
  bool dispatched = false;
  // Beside one that waits for the room of its worker the other's may still have some.
  for (auto at = replay.waiting.begin();
       at != replay.waiting.end() && replay.running < kReplayWindow;) {
    if (!TryRun(replay, *at)) {  // Room follows
      ++at;
      continue;
    }
    at = replay.waiting.erase(at);
    ++replay.running;
    dispatched = true;
  }
  if (dispatched) {
    replay.order.stable.workers->Flush();
    replay.order.candidate.workers->Flush();
  }
  if (replay.waiting.empty() && replay.running == 0) Finish(deployment);
}

// Takes the job only where it answers true.
bool Replays::TryRun(const Replay& replay, std::unique_ptr<Job>& job) {
  const RevisionRoute& target = replay.Target(*job);
  supervisor::DispatchOrder order;
  order.input = job->input;
  order.input.ticket = MakeTicket(next_ticket_++, kReplayPlace);
  order.deadline_ns = target.revision->limits.deadline_ns;
  order.envelope = job->envelope;
  order.alone = job->kills > 0;
  job->dispatched_ns = clock_->MonoNanos();  // before: the answer may be here before this returns
  if (!target.workers->TryDispatch(order)) return false;
  running_.emplace(order.input.ticket, std::move(job));
  return true;
}

std::unique_ptr<Replays::Job> Replays::TakeRunning(Ticket ticket, Replay** of) {
  auto it = running_.find(ticket);
  if (it == running_.end()) return nullptr;  // stopped meanwhile
  std::unique_ptr<Job> job = std::move(it->second);
  running_.erase(it);
  *of = replays_.at(job->deployment).get();
  CAXTON_ASSERT((*of)->running > 0, "what runs is counted in its replay");
  --(*of)->running;
  return job;
}

void Replays::OnResult(RevisionRef revision, StepResult result, int64_t at_ns) {
  Replay* replay = nullptr;
  std::unique_ptr<Job> job = TakeRunning(result.ticket, &replay);
  if (job == nullptr) return;
  CAXTON_ASSERT(replay->Target(*job).revision->ref == revision,
                "the supervisor answers a ticket only from the workers that got it");
  const DeploymentId id = job->deployment;
  if (result.outcome == StepOutcome::kInterrupted) {
    ++replay->end.lost;  // its workers are being stopped
  } else {
    const int64_t latency_ns = at_ns - job->dispatched_ns;
    Settle(replay, std::move(job), SideOf(std::move(result), latency_ns));
  }
  Pump(id);
}

void Replays::Settle(Replay* replay, std::unique_ptr<Job> job, MirrorSide side) {
  (job->on_candidate() ? job->candidate : job->stable) = std::move(side);
  job->kills = 0;
  if (!job->done()) {
    replay->waiting.push_front(std::move(job));
    return;
  }
  replay->order.compared({.deployment = job->deployment,
                          .message_id = std::move(job->message_id),
                          .content_type = std::move(job->content_type),
                          .live = *std::move(job->stable),
                          .shadow = *std::move(job->candidate),
                          .secondary = std::nullopt});
}

// Only the message that was executing may have killed the worker: it runs alone once more, and has
// failed if it kills again. The others are none the wiser.
void Replays::OnLost(const std::vector<supervisor::LostStep>& lost, const std::string& cause) {
  for (const supervisor::LostStep& step : lost) {
    Replay* replay = nullptr;
    std::unique_ptr<Job> job = TakeRunning(step.ticket, &replay);
    if (job == nullptr) continue;
    const DeploymentId id = job->deployment;
    if (step.executing && ++job->kills >= kReplayKills) {
      Settle(replay, std::move(job),
             {.outcome = StepOutcome::kTrapped,
              .detail = absl::StrCat("the worker died while it ran this message: ", cause)});
    } else {
      replay->waiting.push_front(std::move(job));
    }
    Pump(id);
  }
}

void Replays::OnTimeUp(DeploymentId deployment) {
  auto it = replays_.find(deployment);
  if (it == replays_.end()) return;
  Replay& replay = *it->second;
  replay.end.unrun += static_cast<int64_t>(replay.waiting.size() + replay.running);
  InterruptRunning(deployment);
  Finish(deployment);
}

void Replays::InterruptRunning(DeploymentId deployment) {
  auto it = replays_.find(deployment);
  if (it == replays_.end()) return;
  for (auto running = running_.begin(); running != running_.end();) {
    if (running->second->deployment == deployment) {
      it->second->Target(*running->second).workers->Interrupt(running->first);
      running_.erase(running++);
    } else {
      ++running;
    }
  }
}

void Replays::Finish(DeploymentId deployment) {
  auto it = replays_.find(deployment);
  const ReplayEnd end = it->second->end;
  absl::AnyInvocable<void(ReplayEnd)> done = std::move(it->second->order.done);
  Drop(deployment);
  done(end);
}

void Replays::Drop(DeploymentId deployment) {
  auto it = replays_.find(deployment);
  if (it == replays_.end()) return;
  executor_->Cancel(it->second->timer);
  replays_.erase(it);
  active_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace caxton::router
