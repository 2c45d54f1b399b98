// SPDX-License-Identifier: Apache-2.0
//
// The ops a shard hands to the committer, and what follows from its verdicts. Nothing a step did is
// seen by anybody before the committer has accepted it, and nothing of it leaves the process before
// it is on the disk.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/router/limits.h"
#include "shard.h"

namespace caxton::router {

using journal::CommitOp;
using journal::CommitVerdict;
using journal::Table;

// ---- accept

void Shard::CommitAccept(const MessagePtr& m) {
  CommitOp op;
  op.rows.Put(Table::kInbox, journal::MessageKey(m->agent, m->seq), m->encoded);
  op.counters.push_back({.agent = m->agent, .accepted = 1, .waiting = 1});
  m->row = RowPlace::kInbox;
  if (m->phase == Phase::kClaiming) {
    op.claim = journal::IdemClaim{m->agent, m->envelope.idempotency_key,
                                  EnvelopeDigest(m->envelope), m->seq};
    op.decided = [this, m](const CommitVerdict& verdict) {
      // Joined here, on the committer's strand: the message it repeats cannot end in between.
      if (verdict.kind != CommitVerdict::Kind::kAccepted) AnswerRepeat(m, verdict);
      FromCommitter([this, m, accepted = verdict.kind == CommitVerdict::Kind::kAccepted] {
        OnClaimed(m, accepted);
      });
    };
  }
  if (!m->wants_reply) {
    // Send: the ack waits for the disk, the dispatch does not.
    op.durable = [m] {
      if (m->answer) std::exchange(m->answer, nullptr)({absl::OkStatus(), m->envelope.id, {}, {}});
    };
  }
  d_.journal->committer().Submit(std::move(op));
}

void Shard::OnClaimed(const MessagePtr& m, bool accepted) {
  if (!accepted) {
    Leave(m);
    return;
  }
  m->phase = Phase::kQueued;
  if (m->key().empty()) {
    Dispatch(m);
  } else {
    Advance(MailboxKey(m->agent, m->key()));
  }
}

// The answer that the first sender got.
absl::Status Shard::EndedUnhandled(const std::string& id, const journal::IdemRecord& record) {
  if (record.reason == kDeadLettered) return DeadLettered(id, record.why);
  return WithReason(absl::DeadlineExceededError(record.why), record.reason);
}

absl::Status Shard::DeadLettered(const std::string& id, const std::string& why) {
  return WithFix(WithReason(absl::AbortedError(why), kDeadLettered),
                 absl::StrCat("see `caxton dlq show ", id,
                              "`, mend the agent, then `caxton dlq retry ", id, "`"));
}

void Shard::AnswerRepeat(const MessagePtr& m, const CommitVerdict& verdict) {
  if (!m->answer) return;
  AnswerFn answer = std::exchange(m->answer, nullptr);
  switch (verdict.kind) {
    case CommitVerdict::Kind::kRepeatPending:
      if (m->wants_reply) {
        d_.joined->Join(verdict.seq, [answer = std::move(answer)](Answer first) mutable {
          first.duplicate = true;
          answer(std::move(first));
        });
      } else {
        d_.journal->committer().Barrier(
            [answer = std::move(answer), id = m->envelope.id]() mutable {
              answer({absl::OkStatus(), id, {}, {}, /*duplicate=*/true});
            });
      }
      return;
    case CommitVerdict::Kind::kRepeatDone: {
      Answer replay{absl::OkStatus(), m->envelope.id, {}, {}, /*duplicate=*/true};
      if (m->wants_reply) {
        replay.reply = verdict.record->reply;
        if (verdict.record->dead_lettered) {
          replay.status = EndedUnhandled(m->envelope.id, *verdict.record);
        } else if (!replay.reply.has_value()) {
          replay.status = WithReason(
              absl::FailedPreconditionError("the agent handled the message and gave no reply"),
              "NO_REPLY");
        }
      }
      answer(std::move(replay));
      return;
    }
    case CommitVerdict::Kind::kRepeatMismatch:
      answer({WithFix(WithReason(absl::AlreadyExistsError(absl::StrCat(
                                     "the idempotency key '", m->envelope.idempotency_key,
                                     "' was used for another message to ", m->envelope.receiver)),
                                 "IDEMPOTENCY_KEY_REUSED"),
                      "use a new key for every message, and the same one only to repeat it"),
              m->envelope.id,
              {},
              {}});
      return;
    case CommitVerdict::Kind::kRefused:
      answer({verdict.status, m->envelope.id, {}, {}});
      return;
    case CommitVerdict::Kind::kAccepted:
    case CommitVerdict::Kind::kWithdrawn:
    case CommitVerdict::Kind::kStaleTicket:
      CAXTON_ASSERT(false, "a claim ends in one of the verdicts above");
  }
}

// ---- step

void Shard::AddEnd(const Message& m, int completed, int dead, int dropped, CommitOp* op) {
  if (m.is_volatile) return;
  journal::CounterDelta count{
      .agent = m.agent, .completed = completed, .dead = dead, .dropped = dropped};
  switch (m.row) {
    case RowPlace::kNone:
      count.accepted = 1;  // it is accepted and ended by one write
      break;
    case RowPlace::kInbox:
      op->rows.Delete(Table::kInbox, journal::MessageKey(m.agent, m.seq));
      count.waiting = -1;
      break;
    case RowPlace::kHeld:
      op->rows.Delete(Table::kHeld, journal::MessageKey(m.agent, m.seq));
      count.waiting = -1;
      break;
  }
  op->counters.push_back(count);
}

void Shard::AddSettle(const Message& m, const absl::Status& end, const std::optional<Reply>& reply,
                      CommitOp* op) {
  if (m.envelope.idempotency_key.empty()) return;
  journal::IdemRecord record{.done = true, .seq = m.seq, .digest = EnvelopeDigest(m.envelope)};
  record.dead_lettered = !end.ok();
  if (!end.ok()) {
    record.reason = ReasonOf(end);
    record.why = std::string(StdView(end.message()));
  }
  record.reply = reply;
  op->settle = journal::IdemSettle{m.agent, m.envelope.idempotency_key, std::move(record)};
}

void Shard::AddUndeliverable(const Message& m, Envelope envelope, std::string why, CommitOp* op) {
  // On the sending agent's account: the receiver may not exist.
  journal::DeadLetterRecord dead;
  dead.envelope = std::move(envelope);
  dead.cause = std::move(why);
  dead.revision = m.run.target().revision->ref.number;
  dead.at_ns = d_.clock->WallNanos();
  std::string bytes;
  journal::Encode(dead, &bytes);
  d_.observer->OnDeadLetter(m.agent, dead.cause);
  op->rows.Put(Table::kDead, journal::MessageKey(m.agent, d_.plane->NextSeq()), std::move(bytes));
  op->counters.push_back({.agent = m.agent, .accepted = 1, .dead = 1});
}

namespace {

// A reply to an agent is a message to it; one that was not asked for is not sent, or two agents
// that answer everything would never stop.
bool AsksForReply(const Envelope& envelope) {
  return !envelope.reply_with.empty() || envelope.performative == Performative::kRequest ||
         envelope.performative == Performative::kQuery ||
         envelope.performative == Performative::kPropose;
}

Envelope SentBy(const Message& m, OutgoingMessage sent, uint32_t ordinal) {
  Envelope envelope;
  envelope.id = EffectId(m.agent, m.seq, ordinal);
  envelope.sender = m.run.route->name;
  envelope.receiver = std::move(sent.to);
  envelope.performative = sent.performative;
  envelope.conversation_id = std::move(sent.conversation_id);
  envelope.reply_with = std::move(sent.reply_with);
  envelope.in_reply_to = std::move(sent.in_reply_to);
  envelope.key = std::move(sent.key);
  envelope.content = std::move(sent.content);
  envelope.content_type = std::move(sent.content_type);
  envelope.deadline_ns = sent.deadline_ns;
  envelope.headers = std::move(sent.headers);
  envelope.traceparent = m.envelope.traceparent;
  return envelope;
}

bool ToClient(std::string_view receiver) { return receiver.starts_with("client:"); }

}  // namespace

bool Shard::AddSends(const MessagePtr& m, StepResult& result, CommitOp* op, Outputs* out) {
  uint32_t ordinal = 0;
  const bool over_quota =
      m->run.route->load->origin_bytes.load(std::memory_order_relaxed) > kOriginQuotaBytes;
  const auto to_agents =
      std::count_if(result.sends.begin(), result.sends.end(),
                    [](const OutgoingMessage& sent) { return !ToClient(sent.to); });
  if (over_quota && to_agents > 1) return false;
  if (result.reply.has_value() && m->origin.valid() && AsksForReply(m->envelope)) {
    OutgoingMessage reply;
    reply.to = m->envelope.sender;
    reply.performative = result.reply->performative;
    reply.conversation_id = m->envelope.conversation_id;
    reply.in_reply_to = m->envelope.reply_with;
    reply.content = result.reply->content;
    result.sends.push_back(std::move(reply));
  }
  for (OutgoingMessage& sent : result.sends) {
    Envelope envelope = SentBy(*m, std::move(sent), ordinal++);
    if (ToClient(envelope.receiver)) {
      out->to_clients.push_back(std::move(envelope));
      continue;
    }
    std::string why;
    MessagePtr made = d_.plane->MakeInternal(*m, envelope, &why);
    if (made == nullptr) {
      AddUndeliverable(*m, std::move(envelope), std::move(why), op);
      out->dead_letters = true;
      continue;
    }
    made->row = RowPlace::kInbox;
    op->rows.Put(Table::kInbox, journal::MessageKey(made->agent, made->seq), made->encoded);
    op->counters.push_back({.agent = made->agent, .accepted = 1, .waiting = 1});
    out->to_agents.push_back(std::move(made));
  }
  return true;
}

void Shard::CommitStep(const MessagePtr& m, StepResult result,
                       std::optional<Observation> evidence) {
  const RevisionRef revision = m->run.target().revision->ref;
  auto out = std::make_shared<Outputs>();
  CommitOp op;
  std::optional<Reply> reply = result.reply;
  if (!AddSends(m, result, &op, out.get())) {
    m->run.target().load->running.fetch_sub(1, std::memory_order_relaxed);
    d_.running->fetch_sub(1, std::memory_order_relaxed);
    if (m->run.arm == Arm::kCandidate && m->run.route->stable) {
      // An undecided candidate makes no dead letters: stable has the last word.
      OnFailed(m, StepResult{.outcome = StepOutcome::kOverLimit, .detail = "quota"},
               evidence.has_value() ? evidence->latency_ns : 0);
    } else {
      DeadLetter(m, "quota");
    }
    return;
  }
  m->phase = Phase::kCommitting;
  op.guard = journal::StepGuard{revision, Ticket(m->ticket.load(std::memory_order_relaxed)),
                                TicketCellOf(m)};
  AddEnd(*m, /*completed=*/1, /*dead=*/0, /*dropped=*/0, &op);
  AddSettle(*m, absl::OkStatus(), reply, &op);
  if (evidence.has_value()) op.evidence.push_back(*evidence);
  if (m->load->retain.load(std::memory_order_relaxed)) {
    op.retain.emplace_back(m->agent,
                           journal::RetainedRecord{m->seq, revision.number, d_.clock->WallNanos(),
                                                   m->envelope, reply});
  }
  out->replied = reply.has_value();
  op.decided = [this, m, out, evidence](const CommitVerdict& verdict) {
    if (verdict.kind == CommitVerdict::Kind::kAccepted) {
      if (evidence.has_value()) d_.observer->OnObservation(*evidence);
      DeferAnswer(m, *out);
      for (MessagePtr& made : out->to_agents) d_.plane->Deliver(std::move(made));
    } else {
      for (MessagePtr& made : out->to_agents) d_.plane->Abandon(*made);
    }
    FromCommitter([this, m, kind = verdict.kind, round = d_.journal->committer().deciding_round()] {
      OnStepDecided(m, kind, round);
    });
  };
  // Only what leaves the process waits for the disk. A step that nobody outside waits for rides
  // with the next sync (of the receiver's step, of an accept, or after kMaxUnsyncedRounds): after a
  // power cut it has not run, and neither has anything that followed from it. Dead letters close
  // the door once they are many, so their count waits too.
  const bool leaves = m->wants_reply || !out->to_clients.empty() || !op.retain.empty() ||
                      !m->envelope.idempotency_key.empty() || out->dead_letters;
  if (leaves) {
    op.durable = [this, m, out, reply = std::move(reply), revision]() mutable {
      if (out->dead_letters) d_.plane->DeadLettersChanged(m->agent);
      AnswerStep(m, *out, std::move(reply), revision);
    };
  }
  d_.journal->committer().Submit(std::move(op));
}

// A request that was handled without a reply but with sends is answered by a later message.
// Registered before the sends are delivered, so that the answer cannot come too early. Callers that
// repeated it get the same answer.
void Shard::DeferAnswer(const MessagePtr& m, Outputs& out) {
  const bool joined = !m->envelope.idempotency_key.empty() && d_.joined->Waits(m->seq);
  if (out.replied || !((m->wants_reply && m->answer) || joined)) return;
  if (out.to_agents.empty() && out.to_clients.empty()) return;
  out.deferred = true;
  const std::string& reply_with =
      m->envelope.reply_with.empty() ? m->envelope.id : m->envelope.reply_with;
  d_.deferred->Add(m->envelope.sender, reply_with, d_.clock->MonoNanos(),
                   [joined = d_.joined, seq = m->seq,
                    first = std::exchange(m->answer, nullptr)](Answer answer) mutable {
                     joined->Complete(seq, answer);
                     if (first) first(std::move(answer));
                   });
}

// On the committer's strand, once the step is on the disk.
void Shard::AnswerStep(const MessagePtr& m, Outputs& out, std::optional<Reply> reply,
                       RevisionRef revision) {
  for (Envelope& envelope : out.to_clients) {
    const std::string caller = envelope.receiver;
    const std::string in_reply_to = envelope.in_reply_to;
    Answer answer{absl::OkStatus(), envelope.id,
                  Reply{envelope.performative, std::move(envelope.content)}, revision.number};
    d_.deferred->Complete(caller, in_reply_to, std::move(answer));
  }
  if (out.deferred) return;
  Answer answer{absl::OkStatus(), m->envelope.id, std::move(reply), revision.number};
  if (!answer.reply.has_value()) {
    answer.status = WithFix(
        WithReason(absl::FailedPreconditionError("the agent handled the message and gave no reply"),
                   "NO_REPLY"),
        "use `caxton message send` for agents that do not reply");
  }
  if (!m->envelope.idempotency_key.empty()) d_.joined->Complete(m->seq, answer);
  if (m->answer) std::exchange(m->answer, nullptr)(std::move(answer));
}

void Shard::OnStepDecided(const MessagePtr& m, CommitVerdict::Kind kind, uint64_t round) {
  m->run.target().load->running.fetch_sub(1, std::memory_order_relaxed);
  d_.running->fetch_sub(1, std::memory_order_relaxed);
  if (kind != CommitVerdict::Kind::kAccepted) {
    // Withdrawn, or dispatched again meanwhile: as if it had never run.
    Requeue(m);
    return;
  }
  if (!m->key().empty()) {
    recent_.Note(m->agent, m->key(), round, d_.journal->committer().durable_round());
  }
  KeepForReplays(m);
  Leave(m);
}

// Nobody reads its encoded form any more: it is moved, not copied. Not of an agent that is being
// removed.
void Shard::KeepForReplays(const MessagePtr& m) {
  if (!removals_.empty() && removals_.contains(m->agent)) return;
  kept_.Keep(m->agent, {m->seq, m->first_dispatch_ns, std::move(m->encoded)});
}

// ---- volatile

void Shard::FinishVolatile(const MessagePtr& m, StepResult result,
                           std::optional<Observation> evidence) {
  m->run.target().load->running.fetch_sub(1, std::memory_order_relaxed);
  d_.running->fetch_sub(1, std::memory_order_relaxed);
  if (evidence.has_value()) SubmitEvidence(*evidence);
  if (m->answer) {
    Answer answer{absl::OkStatus(), m->envelope.id, std::move(result.reply),
                  m->run.target().revision->ref.number};
    if (!answer.reply.has_value()) {
      answer.status = WithReason(
          absl::FailedPreconditionError("the agent handled the message and gave no reply"),
          "NO_REPLY");
    }
    AnswerNow(m, std::move(answer));
  }
  KeepForReplays(m);
  Leave(m);
}

// As soon as what the key did before is on the disk.
void Shard::AnswerNow(const MessagePtr& m, Answer answer) {
  if (!m->answer) return;
  AnswerFn fn = std::exchange(m->answer, nullptr);
  const uint64_t durable = d_.journal->committer().durable_round();
  if (m->key().empty() || recent_.RoundOf(m->agent, m->key(), durable) == 0) {
    fn(std::move(answer));
    return;
  }
  d_.journal->committer().Barrier(
      [fn = std::move(fn), answer = std::move(answer)]() mutable { fn(std::move(answer)); });
}

void Shard::SubmitEvidence(Observation observation) {
  CommitOp op;
  op.evidence.push_back(observation);
  op.decided = [this, observation](const CommitVerdict&) {
    d_.observer->OnObservation(observation);
  };
  d_.journal->committer().Submit(std::move(op));
}

// ---- removal

void Shard::Discard(AgentId agent, bool dead_letter, std::function<void()> submitted) {
  d_.executor->Post([this, agent, dead_letter, submitted = std::move(submitted)]() mutable {
    OnDiscard(agent, dead_letter, std::move(submitted));
  });
}

void Shard::OnDiscard(AgentId agent, bool dead_letter, std::function<void()> submitted) {
  Removal& removal = removals_[agent];
  removal = Removal{.dead_letter = dead_letter, .left = 1, .submitted = std::move(submitted)};
  std::vector<MessagePtr> theirs;
  for (const auto& [seq, m] : all_) {
    if (m->agent != agent) continue;
    ++removal.left;
    // What is being claimed or committed ends by itself, or in Dispatch.
    if (m->phase != Phase::kCommitting && m->phase != Phase::kClaiming) theirs.push_back(m);
  }
  std::sort(theirs.begin(), theirs.end(), [](auto& a, auto& b) { return a->seq < b->seq; });
  for (const MessagePtr& m : theirs) {
    d_.executor->Cancel(m->retry_timer);
    if (auto it = running_.find(Ticket(m->ticket.load(std::memory_order_relaxed)));
        it != running_.end()) {
      m->run.target().workers->Interrupt(it->first);
      m->run.target().load->running.fetch_sub(1, std::memory_order_relaxed);
      d_.running->fetch_sub(1, std::memory_order_relaxed);
      running_.erase(it);
    }
    m->phase = Phase::kBlocked;  // Leave must not start the next of the key
  }
  for (const MessagePtr& m : theirs) End(m);
  for (auto it = blocked_.begin(); it != blocked_.end();) {
    if (it->first.agent == agent) {
      blocked_.erase(it++);
    } else {
      ++it;
    }
  }
  CountRemoval(agent);  // the one that `left` began with
}

void Shard::End(const MessagePtr& m) {
  auto removal = removals_.find(m->agent);
  if (removal != removals_.end() && removal->second.dead_letter && m->durable()) {
    DeadLetter(m, "agent_removed");
  } else {
    Drop(m, WithReason(absl::AbortedError("the agent was removed"), "AGENT_REMOVED"));
  }
}

void Shard::CountRemoval(AgentId agent) {
  auto it = removals_.find(agent);
  if (it == removals_.end() || --it->second.left > 0 || !it->second.submitted) return;
  std::exchange(it->second.submitted, nullptr)();
}

}  // namespace caxton::router
