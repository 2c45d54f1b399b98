// SPDX-License-Identifier: Apache-2.0
//
// What a step's result means: commit it, run it again, hold it, or end it as a dead letter; and
// what it tells the judge (judgement.md, "What is counted").
#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/journal/limits.h"
#include "caxton/router/limits.h"
#include "shard.h"

namespace caxton::router {

using journal::Attempt;
using journal::CommitOp;
using journal::HeldRecord;
using journal::Table;

void Shard::Result(RevisionRef revision, StepResult result) {
  d_.executor->RunOrPost(
      [this, revision, r = std::move(result)]() mutable { OnResult(revision, std::move(r)); });
}

void Shard::Lost(RevisionRef revision, std::vector<supervisor::LostStep> lost, std::string cause) {
  d_.executor->Post(
      [this, revision, l = std::move(lost), c = std::move(cause)] { OnLost(revision, l, c); });
}

MessagePtr Shard::TakeRunning(Ticket ticket) {
  auto it = running_.find(ticket);
  if (it == running_.end()) return nullptr;  // taken back, or answered already
  MessagePtr m = std::move(it->second);
  running_.erase(it);
  return m;
}

bool Shard::RevisionWithdrawn(const Message& m) {
  auto route = routes_.Get().Find(m.agent);
  return route != nullptr && route->IsWithdrawn(m.run.target().revision->ref.number);
}

void Shard::NoteStep(const Message& m, const StepResult& result, int64_t latency_ns) {
  const RevisionRoute& target = m.run.target();
  const bool handled = result.outcome == StepOutcome::kHandled;
  (handled ? target.load->handled : target.load->failed).fetch_add(1, std::memory_order_relaxed);
  target.load->recent.Note(handled, m.run.dispatched_ns + latency_ns);
  d_.observer->OnStep(
      {target.revision->ref, result.outcome, latency_ns, result.fuel, m.first_run_over});
  if (!result.logs.empty()) d_.observer->OnLog(target.revision->ref, result.logs);
}

std::optional<Observation> Shard::Observe(const Message& m, RunVerdict verdict, int64_t latency_ns,
                                          const StepResult& result) {
  const AgentRoute& route = *m.run.route;
  if (!m.run.first || m.run.pinned || !route.judged.valid()) return std::nullopt;
  Observation seen;
  seen.deployment = route.judged;
  seen.arm = m.run.arm;
  seen.verdict = verdict;
  seen.weight_ppm = route.weight_ppm;
  seen.key_hash =
      SipHash24(route.salt, m.key().empty() ? std::string_view(m.envelope.id) : m.key());
  seen.at_ms =
      route.clock_offset_ms + (d_.clock->MonoNanos() - route.clock_base_ns) / kNanosPerMilli;
  seen.latency_ns = latency_ns;
  seen.fuel = result.fuel;
  seen.memory_bytes = result.memory_bytes;
  seen.run_ns = result.run_ns;
  return seen;
}

std::unique_ptr<MirrorCopy> Shard::CopyForShadow(Message& m, const StepResult& result,
                                                 int64_t latency_ns) {
  const AgentRoute& route = *m.run.route;
  if (!route.Mirrors(m.envelope.id) || d_.mirror == nullptr || m.mirrored) return nullptr;
  // `alone`: it may have killed a worker.
  if (!m.run.first || m.run.pinned || m.run.arm != Arm::kStable || m.alone) return nullptr;
  m.mirrored = true;
  size_t bytes = m.encoded.size() + kEnvelopeOverheadBytes + result.detail.size();
  if (result.reply.has_value()) bytes += result.reply->content.size();
  for (const OutgoingMessage& sent : result.sends) {
    bytes += sent.content.size() + kEnvelopeOverheadBytes;
  }
  std::optional<MirrorRoom> room = d_.mirror->Reserve(route, bytes);
  if (!room.has_value()) return nullptr;
  auto copy = std::make_unique<MirrorCopy>(MirrorCopy{.room = *std::move(room)});
  copy->route = m.run.route;
  copy->input.seq = m.seq;
  copy->input.time_ns = m.first_dispatch_ns;
  copy->input.seed = StepSeed(m.agent, m.envelope.id);
  copy->input.has_key = !m.key().empty();
  copy->message_id = m.envelope.id;
  copy->content_type = m.envelope.content_type;
  copy->envelope = m.encoded;
  copy->live = {.outcome = result.outcome,
                .agent_code = result.agent_code,
                .reply = result.reply,
                .sends = result.sends,
                .latency_ns = latency_ns,
                .run_ns = result.run_ns,
                .fuel = result.fuel,
                .memory_bytes = result.memory_bytes,
                .detail = result.detail};
  return copy;
}

void Shard::OnResult(RevisionRef revision, StepResult result) {
  MessagePtr m = TakeRunning(result.ticket);
  if (m == nullptr) return;
  CAXTON_ASSERT(m->run.target().revision->ref == revision,
                "the supervisor answers a ticket only from the workers that got it");
  const int64_t latency_ns = d_.clock->MonoNanos() - m->run.dispatched_ns;
  if (RevisionWithdrawn(*m) || result.outcome == StepOutcome::kInterrupted) {
    m->run.target().load->running.fetch_sub(1, std::memory_order_relaxed);
    d_.running->fetch_sub(1, std::memory_order_relaxed);
    Requeue(m);
    return;
  }
  NoteStep(*m, result, latency_ns);
  // Given away last: the live path goes first.
  std::unique_ptr<MirrorCopy> copy = CopyForShadow(*m, result, latency_ns);
  const auto give_away = absl::MakeCleanup([this, &copy] {
    if (copy != nullptr) d_.mirror->Take(std::move(copy));
  });
  if (result.outcome != StepOutcome::kHandled) {
    m->run.target().load->running.fetch_sub(1, std::memory_order_relaxed);
    d_.running->fetch_sub(1, std::memory_order_relaxed);
    OnFailed(m, std::move(result), latency_ns);
    return;
  }
  std::optional<Observation> evidence;
  if (m->pending.has_value()) {
    evidence = m->pending;  // its failed first run: the arm's own fault, since the same message can
                            // be handled
    evidence->verdict = RunVerdict::kBad;
  } else {
    evidence = Observe(*m, RunVerdict::kGood, latency_ns, result);
  }
  if (m->is_volatile && result.sends.empty() && m->envelope.idempotency_key.empty()) {
    FinishVolatile(m, std::move(result), std::move(evidence));
  } else {
    CommitStep(m, std::move(result), std::move(evidence));
  }
}

// What failed on a candidate is run again on stable; a sender who chose the candidate wants to see
// its failure.
bool Shard::MayMoveToStable(const Message& m) {
  return m.run.arm == Arm::kCandidate && m.run.route->stable && !m.stable_only && !m.run.pinned;
}

// Whether a message that failed with `result` will be run again by itself.
bool Shard::RetryFollows(const Message& m, const StepResult& result) {
  const Revision& revision = *m.run.target().revision;
  const uint32_t charged = m.charged_revision == revision.ref.number ? m.charged : 0;
  return !m.is_volatile && result.outcome != StepOutcome::kAgentRejected &&
         charged + 1 < static_cast<uint32_t>(revision.delivery.max_attempts);
}

void Shard::OnFailed(const MessagePtr& m, StepResult result, int64_t latency_ns) {
  if (m->pending.has_value()) {
    // Failed again on stable: the message's own fault. Shown, counted for neither.
    m->pending->verdict = RunVerdict::kShared;
    SubmitEvidence(*m->pending);
    m->pending.reset();
  } else {
    m->pending = Observe(*m, RunVerdict::kBad, latency_ns, result);
  }
  m->first_run_over = true;
  if (MayMoveToStable(*m)) {
    // At once, its key held, no attempt counted: the sender gets stable's answer. Retries stay
    // there.
    m->stable_only = true;
    Requeue(m);
    return;
  }
  if (m->pending.has_value() && !m->stable_only && !RetryFollows(*m, result)) {
    // Compared with a candidate, and nothing would tell whose fault it was: at once again, as for
    // the candidate. Else the candidate's failures would count and stable's never.
    m->stable_only = true;
    Requeue(m);
    return;
  }
  if (m->is_volatile) {
    if (m->pending.has_value()) {
      m->pending->verdict = RunVerdict::kShared;
      SubmitEvidence(*std::exchange(m->pending, std::nullopt));
    }
    AnswerNow(m, {WithReason(absl::AbortedError(absl::StrCat(
                                 "the step failed: ", std::string(StepOutcomeName(result.outcome)),
                                 ": ", result.detail)),
                             "STEP_FAILED"),
                  m->envelope.id,
                  {},
                  m->run.target().revision->ref.number});
    Leave(m);
    return;
  }
  Charge(m, result);
  const DeliveryPolicy& policy = m->run.target().revision->delivery;
  if (result.outcome == StepOutcome::kAgentRejected) {
    DeadLetter(m, "rejected");
  } else if (m->charged >= static_cast<uint32_t>(policy.max_attempts)) {
    DeadLetter(m, "max_attempts");
  } else {
    Hold(m);
  }
}

void Shard::Charge(const MessagePtr& m, const StepResult& result) {
  const RevisionNumber revision = m->run.target().revision->ref.number;
  if (m->charged_revision != revision) {
    m->charged_revision = revision;
    m->charged = 0;
  }
  ++m->charged;
  if (m->attempts.size() == journal::kMaxAttemptsKept) m->attempts.erase(m->attempts.begin());
  m->attempts.push_back(
      Attempt{revision, result.outcome, result.agent_code, d_.clock->WallNanos(), result.detail});
}

void Shard::OnLost(RevisionRef revision, const std::vector<supervisor::LostStep>& lost,
                   const std::string& cause) {
  std::vector<std::pair<MessagePtr, bool>> messages;
  for (const supervisor::LostStep& step : lost) {
    MessagePtr m = TakeRunning(step.ticket);
    if (m == nullptr) continue;
    CAXTON_ASSERT(m->run.target().revision->ref == revision, "lost by the workers that got it");
    m->run.target().load->running.fetch_sub(1, std::memory_order_relaxed);
    d_.running->fetch_sub(1, std::memory_order_relaxed);
    messages.emplace_back(std::move(m), step.executing);
  }
  std::sort(messages.begin(), messages.end(),
            [](const auto& a, const auto& b) { return a.first->seq < b.first->seq; });
  for (auto& [m, executing] : messages) {
    if (executing && !RevisionWithdrawn(*m)) {
      OnKilledWorker(m, cause);
    } else {
      Requeue(m);
    }
  }
}

// Only the message that was executing may have killed the worker; it runs alone from now on.
void Shard::OnKilledWorker(const MessagePtr& m, const std::string& cause) {
  ++m->kills;
  m->alone = true;
  StepResult result;
  result.outcome = StepOutcome::kTrapped;
  result.detail = absl::StrCat("the worker died while it ran this message: ", cause);
  if (MayMoveToStable(*m)) {
    if (m->kills == 1) {
      Requeue(m);  // not bad yet: once more, alone, on the candidate
    } else {
      NoteStep(*m, result, 0);
      OnFailed(m, std::move(result), 0);
    }
    return;
  }
  if (m->is_volatile && m->kills == 1) {
    Requeue(m);
    return;
  }
  if (m->kills == 1) {
    Charge(m, result);
    const auto most = static_cast<uint32_t>(m->run.target().revision->delivery.max_attempts);
    if (m->charged >= most) {
      DeadLetter(m, "max_attempts");
    } else {
      Requeue(m);
    }
    return;
  }
  NoteStep(*m, result, 0);
  OnFailed(m, std::move(result), 0);
}

void Shard::Hold(const MessagePtr& m) {
  constexpr auto kLongest = static_cast<double>(kRetryLongestNs);
  double delay = static_cast<double>(kRetryFirstNs);
  for (uint32_t i = 1; i < m->charged && delay < kLongest; ++i) delay *= 2;
  delay = std::min(delay, kLongest);
  delay *= 1 + kRetryJitter * (static_cast<double>(jitter_.Below(2001)) / 1000 - 1);
  delay = std::min(delay, kLongest);
  const auto delay_ns = static_cast<int64_t>(delay);

  HeldRecord held;
  held.envelope = m->envelope;
  held.first_dispatch_ns = m->first_dispatch_ns;
  held.next_try_ns = d_.clock->WallNanos() + delay_ns;
  held.charged = m->charged;
  held.attempts = m->attempts;
  held.stable_only = m->stable_only;
  CommitOp op;
  journal::CounterDelta count{.agent = m->agent, .retries = 1};
  if (m->row == RowPlace::kInbox)
    op.rows.Delete(Table::kInbox, journal::MessageKey(m->agent, m->seq));
  if (m->row == RowPlace::kNone) {
    count.accepted = count.waiting = 1;
    d_.unwritten->fetch_sub(1, std::memory_order_relaxed);
  }
  std::string bytes;
  journal::Encode(held, &bytes);
  op.rows.Put(Table::kHeld, journal::MessageKey(m->agent, m->seq), std::move(bytes));
  op.counters.push_back(count);
  m->row = RowPlace::kHeld;
  d_.journal->committer().Submit(std::move(op));

  const bool skip = m->run.target().revision->delivery.on_poison == OnPoison::kSkip;
  m->phase = Phase::kBackoff;
  if (skip && !m->key().empty()) {
    // Later messages of the key overtake it while it waits.
    MailboxKey key(m->agent, m->key());
    std::deque<MessagePtr>& queue = mailboxes_[key].queue;
    if (auto at = std::find(queue.begin(), queue.end(), m); at != queue.end()) queue.erase(at);
    Advance(key);
  }
  ArmRetry(m, delay_ns);
}

void Shard::ArmRetry(const MessagePtr& m, int64_t delay_ns) {
  m->retry_timer = d_.executor->PostAfter(delay_ns, [this, m] { OnRetry(m); });
}

void Shard::OnRetry(const MessagePtr& m) {
  if (m->phase != Phase::kBackoff || !all_.contains(m->seq)) return;
  m->phase = Phase::kQueued;
  Mailbox* mailbox = MailboxOf(*m);
  if (mailbox == nullptr) {
    Dispatch(m);
    return;
  }
  std::deque<MessagePtr>& queue = mailbox->queue;
  if (std::find(queue.begin(), queue.end(), m) == queue.end()) {
    // It was overtaken: next in line, but never beside the one that runs.
    const bool front_active = !queue.empty() && queue.front()->phase != Phase::kQueued;
    queue.insert(queue.begin() + (front_active ? 1 : 0), m);
  }
  if (queue.front() == m) Dispatch(m);
}

void Shard::DeadLetter(const MessagePtr& m, std::string cause) {
  if (m->pending.has_value()) {
    m->pending->verdict = RunVerdict::kShared;
    SubmitEvidence(*std::exchange(m->pending, std::nullopt));
  }
  journal::DeadLetterRecord dead;
  dead.envelope = m->envelope;
  dead.cause = cause;
  // After a restart it may have looked for a revision that had no workers yet.
  const bool dispatched = m->run.route != nullptr && m->run.target().revision != nullptr;
  dead.revision = dispatched ? m->run.target().revision->ref.number : RevisionNumber();
  dead.at_ns = d_.clock->WallNanos();
  dead.attempts = m->attempts;
  std::string bytes;
  journal::Encode(dead, &bytes);
  CommitOp op;
  AddEnd(*m, /*completed=*/0, /*dead=*/1, /*dropped=*/0, &op);
  op.rows.Put(Table::kDead, journal::MessageKey(m->agent, m->seq), std::move(bytes));
  const std::string why = m->attempts.empty() ? std::string() : m->attempts.back().detail;
  Answer answer{
      DeadLettered(m->envelope.id, absl::StrCat("the message became a dead letter (", cause, ")",
                                                why.empty() ? "" : ": ", why)),
      m->envelope.id,
      {},
      dead.revision};
  AddSettle(*m, answer.status, std::nullopt, &op);
  op.durable = [this, m, answer = std::move(answer)]() mutable {
    d_.plane->DeadLettersChanged(m->agent);
    d_.joined->Complete(m->seq, answer);
    if (m->answer) std::exchange(m->answer, nullptr)(std::move(answer));
  };
  d_.observer->OnDeadLetter(m->agent, cause);
  d_.journal->committer().Submit(std::move(op));
  Leave(m);
}

void Shard::Expire(const MessagePtr& m) {
  Drop(m, WithReason(absl::DeadlineExceededError("the message expired before its turn came"),
                     "EXPIRED"));
}

void Shard::Drop(const MessagePtr& m, absl::Status why) {
  Answer answer{std::move(why), m->envelope.id, {}, {}};
  if (m->is_volatile) {
    AnswerNow(m, std::move(answer));
    Leave(m);
    return;
  }
  CommitOp op;
  AddEnd(*m, /*completed=*/0, /*dead=*/0, /*dropped=*/1, &op);
  AddSettle(*m, answer.status, std::nullopt, &op);
  op.durable = [this, m, answer = std::move(answer)]() mutable {
    d_.joined->Complete(m->seq, answer);
    if (m->answer) std::exchange(m->answer, nullptr)(std::move(answer));
  };
  d_.journal->committer().Submit(std::move(op));
  Leave(m);
}

}  // namespace caxton::router
