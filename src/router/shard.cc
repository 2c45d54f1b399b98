// SPDX-License-Identifier: Apache-2.0
//
// Arrival, the queues of keys, and dispatch.
#include "shard.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "ticket.h"

namespace caxton::router {

Shard::Shard(ShardDeps deps)
    : d_(deps), routes_(deps.tables), jitter_(deps.jitter_seed), kept_(deps.shards) {}

void Shard::Arrive(MessagePtr message) {
  d_.executor->RunOrPost([this, m = std::move(message)] { OnArrive(m); });
}

void Shard::Adopt(MessagePtr message, int64_t retry_in_ns) {
  d_.executor->Post([this, m = std::move(message), retry_in_ns] { OnAdopt(m, retry_in_ns); });
}

void Shard::Deliver(MessagePtr message) {
  FromCommitter([this, m = std::move(message)] { OnAdopt(m, -1); });
}

// The committer's strand is the one that all messages share: it does a shard's work only where
// there is little of its own.
void Shard::FromCommitter(Task task) {
  if (d_.journal->committer().deciding_few()) {
    d_.executor->RunOrPost(std::move(task));
  } else {
    d_.executor->Post(std::move(task));
  }
}

void Shard::Room(RevisionRef revision) {
  d_.executor->Post([this, revision] { OnRoom(revision); });
}

void Shard::RouteChanged(AgentId agent) {
  d_.executor->Post([this, agent] { OnRouteChanged(agent); });
}

void Shard::TakeBack(RevisionRef revision, std::function<void(TakenBack)> done) {
  d_.executor->Post([this, revision, done = std::move(done)] { OnTakeBack(revision, done); });
}

void Shard::Forget(AgentId agent) {
  d_.executor->Post([this, agent] {
    removals_.erase(agent);
    kept_.Forget(agent);
  });
}

void Shard::OldestWaiting(std::function<void(const WaitingAges&)> done) {
  d_.executor->Post([this, done = std::move(done)] {
    const int64_t now_ns = d_.clock->MonoNanos();
    WaitingAges ages;
    for (const auto& [seq, m] : all_) {
      int64_t& oldest = ages[m->agent];
      oldest = std::max(oldest, now_ns - m->arrived_ns);
    }
    done(ages);
  });
}

void Shard::RecentOf(AgentId agent, size_t count,
                     std::function<void(std::vector<KeptMessage>)> done) {
  d_.executor->Post(
      [this, agent, count, done = std::move(done)] { done(kept_.Last(agent, count)); });
}

void Shard::OnArrive(const MessagePtr& m) {
  Keep(m);
  const bool claims = !m->envelope.idempotency_key.empty();
  if (claims) m->phase = Phase::kClaiming;
  if (m->durable() && (claims || !m->wants_reply)) {
    CommitAccept(m);
  } else {
    d_.unwritten->fetch_add(1, std::memory_order_relaxed);
  }
  Enqueue(m);
}

// Among the messages of this shard, until Leave.
void Shard::Keep(const MessagePtr& m) {
  all_.emplace(m->seq, m);
  if (removals_.empty()) return;
  if (auto it = removals_.find(m->agent); it != removals_.end()) ++it->second.left;
}

void Shard::OnAdopt(const MessagePtr& m, int64_t retry_in_ns) {
  Keep(m);
  if (retry_in_ns < 0) {
    Enqueue(m);
    return;
  }
  m->phase = Phase::kBackoff;
  auto route = routes_.Get().Find(m->agent);
  const bool holds = route == nullptr || !route->stable ||
                     route->stable.revision->delivery.on_poison == OnPoison::kHold;
  if (Mailbox* mailbox = MailboxOf(*m); mailbox != nullptr && holds) mailbox->queue.push_back(m);
  ArmRetry(m, retry_in_ns);
}

void Shard::Enqueue(const MessagePtr& m) {
  Mailbox* mailbox = MailboxOf(*m);
  if (mailbox == nullptr) {
    if (m->phase == Phase::kQueued) Dispatch(m);
    return;
  }
  mailbox->queue.push_back(m);
  if (mailbox->queue.size() == 1 && m->phase == Phase::kQueued) Dispatch(m);
}

Shard::Mailbox* Shard::MailboxOf(const Message& m) {
  if (m.key().empty()) return nullptr;
  return &mailboxes_[MailboxKey(m.agent, m.key())];
}

void Shard::Advance(MailboxKey key) {
  to_advance_.push_back(std::move(key));
  if (advancing_) return;
  advancing_ = true;
  while (!to_advance_.empty()) {
    const MailboxKey next = std::move(to_advance_.front());
    to_advance_.pop_front();
    AdvanceOne(next);
  }
  advancing_ = false;
}

void Shard::AdvanceOne(const MailboxKey& key) {
  auto it = mailboxes_.find(key);
  if (it == mailboxes_.end()) return;
  if (it->second.queue.empty()) {
    mailboxes_.erase(it);
    return;
  }
  MessagePtr front = it->second.queue.front();
  if (front->phase == Phase::kQueued) Dispatch(front);
}

void Shard::Leave(const MessagePtr& m) {
  all_.erase(m->seq);
  Release(m);
  if (!removals_.empty()) CountRemoval(m->agent);
  if (m->key().empty()) return;
  MailboxKey key(m->agent, m->key());
  auto it = mailboxes_.find(key);
  if (it == mailboxes_.end()) return;
  std::deque<MessagePtr>& queue = it->second.queue;
  if (auto at = std::find(queue.begin(), queue.end(), m); at != queue.end()) queue.erase(at);
  Advance(std::move(key));
}

void Shard::Release(const MessagePtr& m) {
  const auto bytes = static_cast<int64_t>(m->bytes);
  m->load->waiting_messages.fetch_sub(1, std::memory_order_relaxed);
  m->load->waiting_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  if (m->origin_load) m->origin_load->origin_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  if (m->row == RowPlace::kNone) d_.unwritten->fetch_sub(1, std::memory_order_relaxed);
}

void Shard::Requeue(const MessagePtr& m) {
  m->phase = Phase::kQueued;
  m->ticket.store(0, std::memory_order_relaxed);
  Dispatch(m);
}

bool Shard::ChooseTarget(const MessagePtr& m, std::shared_ptr<const AgentRoute> route) {
  Run& run = m->run;
  run = Run{.route = std::move(route), .first = !m->first_run_over};
  const AgentRoute& r = *run.route;
  if (const RevisionNumber pinned = m->envelope.pinned; pinned.valid()) {
    run.pinned = true;
    if (r.candidate && r.candidate.revision->ref.number == pinned) {
      run.arm = Arm::kCandidate;
      return true;
    }
    if (r.stable && r.stable.revision->ref.number == pinned) return true;
    run.pinned = false;  // it is gone: as routed
  }
  if (r.candidate && (!m->stable_only || !r.stable)) {
    const std::string_view drawn =
        r.stick_to_message || m->key().empty() ? std::string_view(m->envelope.id) : m->key();
    if (!r.stable || r.DrawsCandidate(SipHash24(r.salt, drawn))) run.arm = Arm::kCandidate;
  }
  return static_cast<bool>(run.target());
}

bool Shard::Expired(const Message& m) const {
  return m.envelope.deadline_ns != 0 && m.envelope.deadline_ns <= d_.clock->WallNanos();
}

// While the server stops, what has a row waits for the next start.
bool Shard::KeptForLater(const Message& m) const {
  return m.row != RowPlace::kNone && d_.stopping->load(std::memory_order_relaxed);
}

void Shard::Dispatch(const MessagePtr& m) {
  CAXTON_ASSERT(m->phase == Phase::kQueued, "a message is dispatched when it is its turn");
  if (!removals_.empty() && removals_.contains(m->agent)) return End(m);
  if (Expired(*m)) return Expire(m);
  auto route = routes_.Get().Find(m->agent);
  if (route == nullptr) return End(m);  // the agent was removed while the message was on its way
  if (KeptForLater(*m) || !ChooseTarget(m, std::move(route))) {
    Block(m, RevisionRef{m->agent, RevisionNumber()}, false);
    return;
  }
  Put(m);
}

void Shard::Put(const MessagePtr& m) {
  const RevisionRef on = m->run.target().revision->ref;
  auto waiting = blocked_.find(on);
  const bool others_wait = waiting != blocked_.end() && !waiting->second.empty();
  if (m->alone) {
    if (!TryPut(m)) Block(m, on, /*first=*/true);
  } else if (others_wait || !TryPut(m)) {
    Block(m, on, /*first=*/false);
  }
}

bool Shard::TryPut(const MessagePtr& m) {
  const RevisionRoute& target = m->run.target();
  // "Dispatched" counts from when a worker took it.
  const int64_t first_ns = m->first_dispatch_ns != 0 ? m->first_dispatch_ns : d_.clock->WallNanos();
  supervisor::DispatchOrder order;
  order.input.ticket = MakeTicket(next_ticket_++, d_.index);
  order.input.seq = m->seq;
  order.input.time_ns = first_ns;
  order.input.seed = StepSeed(m->agent, m->envelope.id);
  order.input.has_key = !m->key().empty();
  order.deadline_ns = target.revision->limits.deadline_ns;
  order.envelope = m->encoded;
  order.alone = m->alone;
  if (!target.workers->TryDispatch(order)) return false;

  m->phase = Phase::kRunning;
  m->first_dispatch_ns = first_ns;
  m->run.dispatched_ns = d_.clock->MonoNanos();
  m->ticket.store(order.input.ticket.value(), std::memory_order_release);
  running_.emplace(order.input.ticket, m);
  target.load->running.fetch_add(1, std::memory_order_relaxed);
  target.load->last_dispatch_ns.store(m->run.dispatched_ns, std::memory_order_relaxed);
  d_.running->fetch_add(1, std::memory_order_relaxed);
  FlushLater(target);
  return true;
}

// One wake-up for all that this batch of tasks dispatches.
void Shard::FlushLater(const RevisionRoute& target) {
  if (std::find(to_flush_.begin(), to_flush_.end(), target.workers) != to_flush_.end()) return;
  to_flush_.push_back(target.workers);
  if (to_flush_.size() > 1) return;
  d_.executor->Post([this] {
    for (auto& workers : to_flush_) workers->Flush();
    to_flush_.clear();
  });
}

void Shard::Block(const MessagePtr& m, RevisionRef on, bool first) {
  m->phase = Phase::kBlocked;
  std::deque<Seq>& queue = blocked_[on];
  if (first) {
    queue.push_front(m->seq);
  } else {
    queue.push_back(m->seq);
  }
}

void Shard::OnRoom(RevisionRef revision) {
  auto it = blocked_.find(revision);
  if (it == blocked_.end()) return;
  std::deque<Seq> waiting = std::move(it->second);
  blocked_.erase(it);
  while (!waiting.empty()) {
    auto found = all_.find(waiting.front());
    if (found == all_.end() || found->second->phase != Phase::kBlocked) {
      waiting.pop_front();  // it went another way meanwhile
      continue;
    }
    MessagePtr m = found->second;
    // The route may have changed since it was chosen for this message, or its time be over.
    auto route = routes_.Get().Find(m->agent);
    if (route == nullptr || Expired(*m) || KeptForLater(*m) || !ChooseTarget(m, std::move(route)) ||
        m->run.target().revision->ref != revision) {
      waiting.pop_front();
      Requeue(m);
      continue;
    }
    if (!TryPut(m)) break;
    waiting.pop_front();
  }
  if (waiting.empty()) return;
  std::deque<Seq>& queue = blocked_[revision];  // Requeue may have put some there again
  queue.insert(queue.begin(), waiting.begin(), waiting.end());
}

void Shard::UnblockAll(const std::function<bool(const RevisionRef&)>& which) {
  std::vector<Seq> waiting;
  for (auto it = blocked_.begin(); it != blocked_.end();) {
    if (which(it->first)) {
      waiting.insert(waiting.end(), it->second.begin(), it->second.end());
      blocked_.erase(it++);
    } else {
      ++it;
    }
  }
  std::sort(waiting.begin(), waiting.end());
  for (Seq seq : waiting) {
    auto found = all_.find(seq);
    if (found == all_.end() || found->second->phase != Phase::kBlocked) continue;
    MessagePtr m = found->second;
    Requeue(m);
  }
}

void Shard::OnRouteChanged(AgentId agent) {
  UnblockAll([agent](const RevisionRef& on) { return on.agent == agent; });
  auto route = routes_.Get().Find(agent);
  if (route == nullptr || !route->stable) return;
  // What failed on an older revision has its first try on this one now: attempts are per revision.
  std::vector<MessagePtr> fresh;
  for (const auto& [seq, m] : all_) {
    if (m->agent == agent && m->phase == Phase::kBackoff && m->charged_revision.valid() &&
        m->charged_revision < route->stable.revision->ref.number) {
      fresh.push_back(m);
    }
  }
  std::sort(fresh.begin(), fresh.end(), [](auto& a, auto& b) { return a->seq < b->seq; });
  for (const MessagePtr& m : fresh) {
    d_.executor->Cancel(m->retry_timer);
    OnRetry(m);
  }
}

void Shard::OnTakeBack(RevisionRef revision, const std::function<void(TakenBack)>& done) {
  TakenBack taken;
  std::vector<MessagePtr> back;
  std::shared_ptr<supervisor::RevisionWorkers> workers;
  for (auto it = running_.begin(); it != running_.end();) {
    if (it->second->run.target().revision->ref == revision) {
      workers = it->second->run.target().workers;
      it->second->run.target().load->running.fetch_sub(1, std::memory_order_relaxed);
      d_.running->fetch_sub(1, std::memory_order_relaxed);
      back.push_back(it->second);
      running_.erase(it++);
    } else {
      ++it;
    }
  }
  // All at once: only a few single interrupts are remembered, and nothing of it may run on.
  if (workers != nullptr) workers->InterruptAll();
  taken.interrupted = back.size();
  std::sort(back.begin(), back.end(), [](auto& a, auto& b) { return a->seq < b->seq; });
  for (const MessagePtr& m : back) {
    Requeue(m);
    if (m->phase == Phase::kRunning) ++taken.redelivered;
  }
  UnblockAll([revision](const RevisionRef& on) { return on == revision; });
  done(taken);
}

}  // namespace caxton::router
