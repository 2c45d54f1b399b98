// SPDX-License-Identifier: Apache-2.0
#include "mirror.h"

#include <algorithm>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/router/limits.h"
#include "ticket.h"

namespace caxton::router {

MirrorRoom::MirrorRoom(std::shared_ptr<AgentLoad> load, std::shared_ptr<MirrorTotals> totals,
                       int64_t bytes)
    : load_(std::move(load)), totals_(std::move(totals)), bytes_(bytes) {
  load_->mirrored_messages.fetch_add(1, std::memory_order_relaxed);
  load_->mirrored_bytes.fetch_add(bytes_, std::memory_order_relaxed);
  totals_->messages.fetch_add(1, std::memory_order_relaxed);
  totals_->bytes.fetch_add(bytes_, std::memory_order_relaxed);
}

MirrorRoom::~MirrorRoom() {
  if (load_ == nullptr) return;
  load_->mirrored_messages.fetch_sub(1, std::memory_order_relaxed);
  load_->mirrored_bytes.fetch_sub(bytes_, std::memory_order_relaxed);
  totals_->messages.fetch_sub(1, std::memory_order_relaxed);
  totals_->bytes.fetch_sub(bytes_, std::memory_order_relaxed);
}

bool Mirror::Job::on_secondary() const {
  return shadow.has_value() || (secondary_first && !secondary.has_value());
}
const RevisionRoute& Mirror::Job::target() const {
  return on_secondary() ? copy->route->secondary : copy->route->shadow;
}
bool Mirror::Job::done() const {
  return shadow.has_value() && (secondary.has_value() || !copy->route->secondary);
}

Mirror::Mirror(MirrorDeps deps) : d_(deps), routes_(deps.tables), order_(deps.order_seed) {}

// ---- any thread

std::optional<MirrorRoom> Mirror::Reserve(const AgentRoute& route, size_t bytes) {
  const auto size = static_cast<int64_t>(bytes);
  AgentLoad& load = *route.load;
  // Shards that look at the same time may go beyond by one copy each.
  if (load.mirrored_messages.load(std::memory_order_relaxed) < kMaxMirroredPerAgent &&
      load.mirrored_bytes.load(std::memory_order_relaxed) + size <= kMaxMirroredBytesPerAgent &&
      totals_->bytes.load(std::memory_order_relaxed) + size <= kMaxMirroredBytes) {
    return MirrorRoom(route.load, totals_, size);
  }
  if (load.mirror_dropped.fetch_add(1, std::memory_order_relaxed) == 0) {
    d_.executor->Post([this, load = route.load, deployment = route.mirrored] {
      d_.observer->OnMirrorFate(deployment, MirrorFate::kDropped,
                                load->mirror_dropped.exchange(0, std::memory_order_relaxed));
    });
  }
  return std::nullopt;
}

void Mirror::Take(std::unique_ptr<MirrorCopy> copy) {
  d_.executor->Post([this, c = std::move(copy)]() mutable { OnTake(std::move(c)); });
}

void Mirror::Result(RevisionRef revision, StepResult result) {
  // Now, and not when its turn on the strand comes: comparing takes its time there.
  const int64_t at_ns = d_.clock->MonoNanos();
  d_.executor->Post([this, revision, r = std::move(result), at_ns]() mutable {
    OnResult(revision, std::move(r), at_ns);
  });
}

void Mirror::Lost(RevisionRef revision, std::vector<supervisor::LostStep> lost) {
  d_.executor->Post([this, revision, l = std::move(lost)] { OnLost(revision, l); });
}

// A copy's place is counted before it can be refused by a worker, so that whoever waits for room is
// seen here.
void Mirror::Room(RevisionRef revision) {
  if (totals_->messages.load(std::memory_order_relaxed) == 0) return;
  d_.executor->Post([this, agent = revision.agent] { Pump(agent); });
}

void Mirror::RouteChanged(AgentId agent) {
  if (totals_->messages.load(std::memory_order_relaxed) == 0) return;
  d_.executor->Post([this, agent] { OnRouteChanged(agent); });
}

// ---- the strand

bool Mirror::StillMirrored(AgentId agent, DeploymentId deployment) {
  const auto route = routes_.Get().Find(agent);
  return route != nullptr && route->shadow && route->mirrored == deployment;
}

void Mirror::OnTake(std::unique_ptr<MirrorCopy> copy) {
  const AgentId agent = copy->route->id;
  const DeploymentId deployment = copy->route->mirrored;
  if (!StillMirrored(agent, deployment)) {
    d_.observer->OnMirrorFate(deployment, MirrorFate::kLost, 1);
    return;
  }
  if (auto it = queues_.find(agent); it != queues_.end() && it->second.deployment != deployment) {
    Drop(agent);  // of an earlier deployment; the change of the route is still on its way here
  }
  Queue& queue = queues_[agent];
  queue.deployment = deployment;
  auto job = std::make_unique<Job>();
  // Drawn, so that neither of the two always finds the caches warm.
  job->secondary_first = copy->route->secondary && order_.Below(2) == 1;
  job->copy = std::move(copy);
  queue.waiting.push_back(std::move(job));
  Pump(agent);
}

void Mirror::Pump(AgentId agent) {
  auto it = queues_.find(agent);
  if (it == queues_.end()) return;
  Queue& queue = it->second;
  while (!queue.waiting.empty() && queue.running < kMirrorWindow) {
    if (!TryRun(queue.waiting.front())) break;  // OnRoom follows
    queue.waiting.pop_front();
    ++queue.running;
  }
  if (queue.waiting.empty() && queue.running == 0) queues_.erase(it);
}

// Takes the job only where it answers true.
bool Mirror::TryRun(std::unique_ptr<Job>& job) {
  const RevisionRoute& target = job->target();
  supervisor::DispatchOrder order;
  order.input = job->copy->input;
  order.input.ticket = MakeTicket(next_ticket_++, kMirrorPlace);
  order.deadline_ns = target.revision->limits.deadline_ns;
  order.envelope = job->copy->envelope;
  job->dispatched_ns = d_.clock->MonoNanos();  // before: the answer may be here before this returns
  if (!target.workers->TryDispatch(order)) return false;
  FlushLater(target.workers);
  running_.emplace(order.input.ticket, std::move(job));
  return true;
}

// One wake-up for all that this batch of tasks dispatches.
void Mirror::FlushLater(const std::shared_ptr<supervisor::RevisionWorkers>& workers) {
  if (std::find(to_flush_.begin(), to_flush_.end(), workers) != to_flush_.end()) return;
  to_flush_.push_back(workers);
  if (to_flush_.size() > 1) return;
  d_.executor->Post([this] {
    for (auto& each : to_flush_) each->Flush();
    to_flush_.clear();
  });
}

std::unique_ptr<Mirror::Job> Mirror::TakeRunning(Ticket ticket) {
  auto it = running_.find(ticket);
  if (it == running_.end()) return nullptr;  // dropped meanwhile
  std::unique_ptr<Job> job = std::move(it->second);
  running_.erase(it);
  const auto queue = queues_.find(job->copy->route->id);
  CAXTON_ASSERT(queue != queues_.end() && queue->second.running > 0,
                "what runs is counted in its queue");
  --queue->second.running;
  return job;
}

void Mirror::OnResult(RevisionRef revision, StepResult result, int64_t at_ns) {
  std::unique_ptr<Job> job = TakeRunning(result.ticket);
  if (job == nullptr) return;
  const RevisionRoute& target = job->target();
  CAXTON_ASSERT(target.revision->ref == revision,
                "the supervisor answers a ticket only from the workers that got it");
  const bool on_secondary = job->on_secondary();
  if (!on_secondary && !result.logs.empty()) d_.observer->OnLog(revision, result.logs);
  if (result.outcome == StepOutcome::kInterrupted) {
    d_.observer->OnMirrorFate(job->copy->route->mirrored, MirrorFate::kLost, 1);
    Pump(revision.agent);
    return;
  }
  (on_secondary ? job->secondary : job->shadow) =
      SideOf(std::move(result), at_ns - job->dispatched_ns);
  if (job->done()) {
    // First, so that the worker has something to do meanwhile.
    Pump(revision.agent);
    Report(std::move(job));
  } else {
    queues_.at(revision.agent).waiting.push_front(std::move(job));
    Pump(revision.agent);
  }
}

void Mirror::Report(std::unique_ptr<Job> job) {
  MirrorCopy& copy = *job->copy;
  MirroredStep step;
  step.deployment = copy.route->mirrored;
  if (!StillMirrored(copy.route->id, step.deployment)) {
    d_.observer->OnMirrorFate(step.deployment, MirrorFate::kLost, 1);
    return;
  }
  step.message_id = std::move(copy.message_id);
  step.content_type = std::move(copy.content_type);
  step.live = std::move(copy.live);
  step.shadow = *std::move(job->shadow);
  step.secondary = std::move(job->secondary);
  d_.observer->OnMirrored(step);
}

void Mirror::OnLost(RevisionRef revision, const std::vector<supervisor::LostStep>& lost) {
  for (const supervisor::LostStep& step : lost) {
    std::unique_ptr<Job> job = TakeRunning(step.ticket);
    if (job == nullptr) continue;
    CAXTON_ASSERT(job->target().revision->ref == revision, "lost by the workers that got it");
    d_.observer->OnMirrorFate(job->copy->route->mirrored, MirrorFate::kLost, 1);
  }
  Pump(revision.agent);
}

void Mirror::OnRouteChanged(AgentId agent) {
  auto it = queues_.find(agent);
  if (it != queues_.end() && !StillMirrored(agent, it->second.deployment)) Drop(agent);
}

void Mirror::Drop(AgentId agent) {
  auto it = queues_.find(agent);
  if (it == queues_.end()) return;
  const DeploymentId deployment = it->second.deployment;
  auto count = static_cast<int64_t>(it->second.waiting.size() + it->second.running);
  for (auto running = running_.begin(); running != running_.end();) {
    if (running->second->copy->route->id == agent) {
      running->second->target().workers->Interrupt(running->first);
      running_.erase(running++);
    } else {
      ++running;
    }
  }
  queues_.erase(it);
  d_.observer->OnMirrorFate(deployment, MirrorFate::kLost, count);
}

}  // namespace caxton::router
