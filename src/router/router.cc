// SPDX-License-Identifier: Apache-2.0
//
// The router around its shards: admission, delivery between shards, and the calls of the
// controller.
#include "caxton/router/router.h"

#include <algorithm>
#include <atomic>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "caxton/base/assert.h"
#include "caxton/base/mutex.h"
#include "caxton/base/status.h"
#include "caxton/model/names.h"
#include "caxton/model/units.h"
#include "caxton/router/limits.h"
#include "mirror.h"
#include "replays.h"
#include "shard.h"
#include "ticket.h"

namespace caxton::router {
namespace {

constexpr int kSeqCounterBits = 40;  // (start count << 40) + counter

absl::Status Refuse(std::string what) {
  return WithRetryAfterMs(WithReason(absl::ResourceExhaustedError(std::move(what)), "OVERLOADED"),
                          kRefusedRetryAfterMs);
}

absl::Status RefuseForDeadLetters(const std::string& agent) {
  return WithFix(
      WithReason(absl::ResourceExhaustedError(absl::StrCat(
                     "agent '", agent, "' has ", kMaxDeadLettersPerAgent,
                     " dead letters; they are never dropped unasked, so no message is taken")),
                 "DEAD_LETTERS_FULL"),
      absl::StrCat("mend the agent, then `caxton dlq retry --agent ", agent,
                   "`, or `caxton dlq drop --agent ", agent, "`"));
}

class RouterImpl final : public Router, private MessagePlane {
 public:
  explicit RouterImpl(RouterDeps deps);

  void Send(Envelope envelope, AnswerFn acked) override {
    Take(std::move(envelope), false, std::move(acked));
  }
  void Request(Envelope envelope, AnswerFn replied) override {
    Take(std::move(envelope), true, std::move(replied));
  }

  void Publish(std::shared_ptr<const AgentRoute> route) override { PublishAll({std::move(route)}); }
  void PublishAll(std::vector<std::shared_ptr<const AgentRoute>> routes) override;
  std::shared_ptr<const RouteTable> Routes() const override { return tables_.Current(); }
  void Withdraw(RevisionRef revision, std::shared_ptr<const AgentRoute> after,
                journal::CommitOp record, absl::AnyInvocable<void(WithdrawReport)> done) override;
  void DiscardWaiting(AgentId agent, RemoveMode mode, absl::AnyInvocable<void()> done) override;
  void Forget(AgentId agent) override;
  void OldestWaiting(absl::AnyInvocable<void(WaitingAges)> done) override;

  void RecentMessages(AgentId agent, size_t count,
                      absl::AnyInvocable<void(std::vector<KeptMessage>)> done) override;
  void Replay(ReplayOrder order) override;
  void StopReplay(DeploymentId deployment) override {
    if (replays_ != nullptr) replays_->Stop(deployment);
  }

  void RetryDeadLetter(AgentId agent, Seq seq,
                       absl::AnyInvocable<void(absl::Status)> done) override;
  void DropDeadLetter(AgentId agent, Seq seq, absl::AnyInvocable<void(absl::Status)> done) override;

  absl::Status Recover(const std::vector<Seq>& suspects) override;
  void StopAccepting() override { stopping_.store(true); }
  int64_t Running() const override { return running_.load(); }
  int64_t UnwrittenRequests() const override { return unwritten_.load(); }

  // StepSink
  void OnResult(RevisionRef revision, StepResult result) override;
  void OnLost(RevisionRef revision, std::vector<supervisor::LostStep> lost,
              std::string cause) override;
  void OnRoom(RevisionRef revision) override;
  void OnLog(RevisionRef revision, std::vector<LogLine> lines) override;

 private:
  // MessagePlane
  MessagePtr MakeInternal(const Message& cause, Envelope envelope, std::string* why) override;
  void Deliver(MessagePtr message) override;
  void Abandon(const Message& message) override;
  void DeadLettersChanged(AgentId agent) override;
  Seq NextSeq() override { return Seq(next_seq_.fetch_add(1, std::memory_order_relaxed)); }

  void Take(Envelope envelope, bool wants_reply, AnswerFn answer);
  absl::StatusOr<MessagePtr> Admit(Envelope envelope, bool wants_reply);
  absl::Status CheckDeadline(const Envelope& envelope) const;
  absl::Status Room(const AgentRoute& route, size_t bytes);
  MessagePtr Make(const AgentRoute& route, Envelope envelope, bool wants_reply = false);
  MessagePtr Readopt(const AgentRoute& route, Seq seq, Envelope envelope, RowPlace row);
  static void SetShares(const AgentRoute& route);
  static void SetOrigin(const RouteTable& table, Message* m);
  Shard& ShardOf(const Message& message);
  bool BeginDeadLetterWork(AgentId agent, Seq seq, absl::AnyInvocable<void(absl::Status)>& done);
  bool FullOfDeadLetters(AgentId agent);
  void EndDeadLetterWork(AgentId agent, Seq seq);

  RouterDeps deps_;
  RouteTables tables_;
  DeferredReplies deferred_;
  JoinedWaiters joined_;
  std::atomic<int64_t> running_{0};
  std::atomic<int64_t> unwritten_{0};
  // Shared with every message: the last of them may outlive the router in a strand's queue.
  const std::shared_ptr<std::atomic<int64_t>> waiting_bytes_ =
      std::make_shared<std::atomic<int64_t>>(0);
  std::atomic<uint64_t> next_seq_;
  std::atomic<bool> stopping_{false};
  uint64_t id_prefix_;
  std::unique_ptr<Mirror> mirror_;    // null: nothing is mirrored
  std::unique_ptr<Replays> replays_;  // null: nothing is replayed
  std::vector<std::unique_ptr<Shard>> shards_;
  // Agents with kMaxDeadLettersPerAgent dead letters or more, as the journal last said.
  std::atomic<bool> any_full_{false};
  Mutex full_mutex_;
  absl::flat_hash_set<AgentId> full_ ABSL_GUARDED_BY(full_mutex_);
  Mutex dead_mutex_;
  absl::flat_hash_set<std::pair<AgentId, Seq>> dead_busy_ ABSL_GUARDED_BY(dead_mutex_);
};

RouterImpl::RouterImpl(RouterDeps deps)
    : deps_(std::move(deps)),
      next_seq_((deps_.journal->start_count() << kSeqCounterBits) + 1),
      id_prefix_(deps_.random->Next64()) {
  CAXTON_ASSERT(!deps_.shards.empty() && deps_.shards.size() <= kMaxShards,
                "1..kMaxShards strands");
  if (deps_.mirror != nullptr) {
    mirror_ = std::make_unique<Mirror>(MirrorDeps{.executor = deps_.mirror,
                                                  .clock = deps_.clock,
                                                  .tables = &tables_,
                                                  .observer = deps_.observer,
                                                  .order_seed = id_prefix_});
    replays_ = std::make_unique<Replays>(deps_.mirror, deps_.clock, id_prefix_);
  }
  for (size_t i = 0; i < deps_.shards.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(ShardDeps{.index = static_cast<uint32_t>(i),
                                                        .shards = deps_.shards.size(),
                                                        .executor = deps_.shards[i],
                                                        .journal = deps_.journal,
                                                        .clock = deps_.clock,
                                                        .tables = &tables_,
                                                        .plane = this,
                                                        .observer = deps_.observer,
                                                        .deferred = &deferred_,
                                                        .joined = &joined_,
                                                        .mirror = mirror_.get(),
                                                        .running = &running_,
                                                        .unwritten = &unwritten_,
                                                        .stopping = &stopping_,
                                                        .jitter_seed = deps_.random->Next64()}));
  }
}

Shard& RouterImpl::ShardOf(const Message& message) {
  if (shards_.size() == 1) return *shards_[0];
  // Unsalted: which strand handles a key is nobody's secret and no chance.
  const std::string_view key = message.key();
  const uint64_t hash =
      key.empty() ? message.seq.value() : SipHash24(Salt{}, key) ^ message.agent.value();
  return *shards_[hash % shards_.size()];
}

// ---- admission

void RouterImpl::Take(Envelope envelope, bool wants_reply, AnswerFn answer) {
  absl::StatusOr<MessagePtr> message = Admit(std::move(envelope), wants_reply);
  if (!message.ok()) {
    answer({std::move(message).status(), {}, {}, {}});
    return;
  }
  MessagePtr m = *std::move(message);
  m->wants_reply = wants_reply;
  if (m->is_volatile && !wants_reply) {
    answer({absl::OkStatus(), m->envelope.id, {}, {}});  // volatile: promises nothing
  } else {
    m->answer = std::move(answer);
  }
  Shard& shard = ShardOf(*m);
  shard.Arrive(std::move(m));
}

absl::StatusOr<MessagePtr> RouterImpl::Admit(Envelope envelope, bool wants_reply) {
  if (stopping_.load(std::memory_order_relaxed)) {
    return WithReason(absl::UnavailableError("the server is stopping"), "STOPPING");
  }
  auto table = tables_.Current();
  auto route = table->Find(std::string_view(envelope.receiver));
  if (route != nullptr && route->closed) {
    return WithFix(WithReason(absl::NotFoundError(
                                  StrCat("the agent '", envelope.receiver, "' is being removed")),
                              "NO_SUCH_AGENT"),
                   "deploy it again once `caxton agent list` shows it no more");
  }
  if (route == nullptr) {
    const std::vector<std::string> names = table->Names();
    const std::string nearest = NearestName(envelope.receiver, names);
    absl::Status missing =
        WithReason(absl::NotFoundError(absl::StrCat(
                       "there is no agent '", envelope.receiver, "'",
                       nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'?"))),
                   "NO_SUCH_AGENT");
    return WithFix(missing,
                   "`caxton agent list` shows what runs; `caxton deploy FILE.wasm` adds one");
  }
  const Revision* revision =
      route->stable ? route->stable.revision.get() : route->candidate.revision.get();
  const int64_t max_content =
      revision ? revision->limits.max_message_bytes : kDefaultMaxMessageBytes;
  RETURN_IF_ERROR(ValidateEnvelope(envelope, static_cast<size_t>(max_content)));
  RETURN_IF_ERROR(CheckDeadline(envelope));
  RETURN_IF_ERROR(Room(*route, envelope.ByteSize()));
  MessagePtr m = Make(*route, std::move(envelope), wants_reply);
  const Delivery mode = m->envelope.delivery != Delivery::kAgentDefault
                            ? m->envelope.delivery
                            : (revision ? revision->delivery.mode : Delivery::kDurable);
  // An idempotency key is a promise about the past: it needs the journal.
  m->is_volatile = mode == Delivery::kVolatile && m->envelope.idempotency_key.empty();
  return m;
}

// What has expired already is not accepted. But with an idempotency key it may be the repeat of a
// message that came in time, and is to be told what became of that.
absl::Status RouterImpl::CheckDeadline(const Envelope& envelope) const {
  if (envelope.deadline_ns == 0) return absl::OkStatus();
  const int64_t late_ns = deps_.clock->WallNanos() - envelope.deadline_ns;
  if (late_ns < (envelope.idempotency_key.empty() ? 0 : kRepeatsAfterDeadlineNs)) {
    return absl::OkStatus();
  }
  return WithFix(WithField(WithReason(absl::DeadlineExceededError(absl::StrCat(
                                          "deadline: it passed ", FormatDuration(late_ns),
                                          " before the message came")),
                                      "EXPIRED"),
                           "deadline"),
                 "send it with a deadline that lies ahead, or with none");
}

absl::Status RouterImpl::Room(const AgentRoute& route, size_t bytes) {
  const auto size = static_cast<int64_t>(bytes);
  AgentLoad& load = *route.load;
  absl::Status refused;
  if (load.waiting_messages.load(std::memory_order_relaxed) >= kMaxWaitingPerAgent) {
    refused = Refuse(
        absl::StrCat("agent '", route.name, "' has ", kMaxWaitingPerAgent, " messages waiting"));
  } else if (load.waiting_bytes.load(std::memory_order_relaxed) + size > kMaxWaitingBytesPerAgent) {
    refused = Refuse(
        absl::StrCat("agent '", route.name, "' has ", kMaxWaitingBytesPerAgent, " bytes waiting"));
  } else if (waiting_bytes_->load(std::memory_order_relaxed) + size > kMaxWaitingBytes) {
    refused = Refuse("the server holds as many waiting bytes as it may");
  } else if (deps_.journal->committer().queued_bytes() > kMaxJournalQueueBytes) {
    refused = Refuse("the journal's queue is full");
  } else if (FullOfDeadLetters(route.id)) {
    refused = RefuseForDeadLetters(route.name);
  } else {
    refused = deps_.journal->IngressAllowed();
  }
  if (!refused.ok()) load.refused.fetch_add(1, std::memory_order_relaxed);
  return refused;
}

MessagePtr RouterImpl::Make(const AgentRoute& route, Envelope envelope, bool wants_reply) {
  const Seq seq = NextSeq();
  if (envelope.id.empty()) {
    envelope.id = envelope.idempotency_key.empty()
                      ? absl::StrFormat("%016x%016x", id_prefix_, seq.value())
                      : KeyedMessageId(route.id, envelope.idempotency_key);
  }
  // What a later reply names in in_reply_to; the agent reads it.
  if (wants_reply && envelope.reply_with.empty()) envelope.reply_with = envelope.id;
  return Readopt(route, seq, std::move(envelope), RowPlace::kNone);
}

MessagePtr RouterImpl::Readopt(const AgentRoute& route, Seq seq, Envelope envelope, RowPlace row) {
  auto bytes = static_cast<int64_t>(envelope.ByteSize());
  auto* plain = new Message;
  // Whatever way it ends, its bytes leave the server's account with it.
  MessagePtr m(plain, [account = waiting_bytes_, bytes](Message* message) {
    account->fetch_sub(bytes, std::memory_order_relaxed);
    delete message;
  });
  waiting_bytes_->fetch_add(bytes, std::memory_order_relaxed);
  m->agent = route.id;
  m->seq = seq;
  m->bytes = static_cast<size_t>(bytes);
  m->arrived_ns = deps_.clock->MonoNanos();
  m->envelope = std::move(envelope);
  EncodeEnvelope(m->envelope, &m->encoded);
  m->row = row;
  m->load = route.load;
  m->load->waiting_messages.fetch_add(1, std::memory_order_relaxed);
  m->load->waiting_bytes.fetch_add(bytes, std::memory_order_relaxed);
  return m;
}

// ---- between shards

MessagePtr RouterImpl::MakeInternal(const Message& cause, Envelope envelope, std::string* why) {
  auto route = tables_.Current()->Find(std::string_view(envelope.receiver));
  if (route == nullptr || route->closed) {
    *why = "unknown_receiver";
    return nullptr;
  }
  const Revision* revision =
      route->stable ? route->stable.revision.get() : route->candidate.revision.get();
  const int64_t max_content =
      revision ? revision->limits.max_message_bytes : kDefaultMaxMessageBytes;
  if (!ValidateEnvelope(envelope, static_cast<size_t>(max_content)).ok()) {
    *why = "invalid_message";
    return nullptr;
  }
  MessagePtr m = Make(*route, std::move(envelope));
  m->origin = cause.agent;
  m->origin_load = cause.load;
  m->origin_load->origin_bytes.fetch_add(static_cast<int64_t>(m->bytes), std::memory_order_relaxed);
  return m;
}

void RouterImpl::Deliver(MessagePtr message) {
  Shard& shard = ShardOf(*message);
  shard.Deliver(std::move(message));
}

void RouterImpl::Abandon(const Message& m) {
  const auto bytes = static_cast<int64_t>(m.bytes);
  m.load->waiting_messages.fetch_sub(1, std::memory_order_relaxed);
  m.load->waiting_bytes.fetch_sub(bytes, std::memory_order_relaxed);
  if (m.origin_load) m.origin_load->origin_bytes.fetch_sub(bytes, std::memory_order_relaxed);
}

void RouterImpl::OnResult(RevisionRef revision, StepResult result) {
  const uint64_t place = PlaceOf(result.ticket);
  if (place < shards_.size()) {
    shards_[place]->Result(revision, std::move(result));
  } else if (place == kMirrorPlace && mirror_ != nullptr) {
    mirror_->Result(revision, std::move(result));
  } else if (place == kReplayPlace && replays_ != nullptr) {
    replays_->Result(revision, std::move(result));
  }
}

void RouterImpl::OnLost(RevisionRef revision, std::vector<supervisor::LostStep> lost,
                        std::string cause) {
  std::vector<std::vector<supervisor::LostStep>> by_shard(shards_.size());
  std::vector<supervisor::LostStep> mirrored, replayed;
  for (const supervisor::LostStep& step : lost) {
    const uint64_t place = PlaceOf(step.ticket);
    if (place < shards_.size()) {
      by_shard[place].push_back(step);
    } else if (place == kMirrorPlace) {
      mirrored.push_back(step);
    } else if (place == kReplayPlace) {
      replayed.push_back(step);
    }
  }
  if (!mirrored.empty() && mirror_ != nullptr) mirror_->Lost(revision, std::move(mirrored));
  if (!replayed.empty() && replays_ != nullptr) {
    replays_->Lost(revision, std::move(replayed), cause);
  }
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (!by_shard[i].empty()) shards_[i]->Lost(revision, std::move(by_shard[i]), cause);
  }
}

void RouterImpl::OnRoom(RevisionRef revision) {
  if (IsReplay(revision.number)) {  // nothing else is dispatched to it
    if (replays_ != nullptr) replays_->Room(revision);
    return;
  }
  for (auto& shard : shards_) shard->Room(revision);
  if (mirror_ != nullptr) mirror_->Room(revision);
}

void RouterImpl::OnLog(RevisionRef revision, std::vector<LogLine> lines) {
  // Stable's second run says nothing that stable has not said; a replay is nobody's message.
  if (IsReplay(revision.number)) return;
  if (auto route = tables_.Current()->Find(revision.agent);
      route != nullptr && route->secondary && route->secondary.revision->ref == revision) {
    return;
  }
  deps_.observer->OnLog(revision, lines);
}

// ---- routes

// Copies yield to messages. Before the route: what it makes live is not kept waiting by a shadow's
// share.
void RouterImpl::SetShares(const AgentRoute& route) {
  for (const RevisionRoute* live : {&route.stable, &route.candidate}) {
    if (live->workers != nullptr) live->workers->SetBackground(false);
  }
  for (const RevisionRoute* copy : {&route.shadow, &route.secondary}) {
    if (copy->workers != nullptr) copy->workers->SetBackground(true);
  }
}

void RouterImpl::PublishAll(std::vector<std::shared_ptr<const AgentRoute>> routes) {
  std::vector<AgentId> agents;
  for (const auto& route : routes) {
    agents.push_back(route->id);
    SetShares(*route);
    DeadLettersChanged(route->id);
  }
  tables_.Publish(std::move(routes));
  for (AgentId agent : agents) {
    for (auto& shard : shards_) shard->RouteChanged(agent);
    if (mirror_ != nullptr) mirror_->RouteChanged(agent);
  }
}

void RouterImpl::Withdraw(RevisionRef revision, std::shared_ptr<const AgentRoute> after,
                          journal::CommitOp record, absl::AnyInvocable<void(WithdrawReport)> done) {
  struct Gathering {
    Mutex mutex;
    WithdrawReport report;
    size_t parts = 0;
    absl::AnyInvocable<void(WithdrawReport)> done;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->parts = shards_.size() + 1;
  gathering->done = std::move(done);
  const int64_t decided_ns = deps_.clock->MonoNanos();
  std::shared_ptr<RevisionLoad> load;
  if (auto before = tables_.Current()->Find(revision.agent); before != nullptr) {
    for (const RevisionRoute* route : {&before->stable, &before->candidate}) {
      if (*route && route->revision->ref == revision) load = route->load;
    }
  }
  CAXTON_ASSERT(after->IsWithdrawn(revision.number),
                "the table that follows names it as withdrawn");
  auto finish = [this, gathering, decided_ns, load](auto&& fill) {
    bool last = false;
    {
      MutexLock lock(&gathering->mutex);
      fill(gathering->report, deps_.clock->MonoNanos() - decided_ns);
      last = --gathering->parts == 0;
    }
    if (!last) return;
    if (load) {
      gathering->report.last_dispatch_ns =
          std::max<int64_t>(0, load->last_dispatch_ns.load(std::memory_order_relaxed) - decided_ns);
    }
    gathering->done(gathering->report);
  };

  const AgentId agent = revision.agent;
  tables_.Publish({std::move(after)});
  record.durable = [finish, then = std::move(record.durable)]() mutable {
    if (then) then();
    finish([](WithdrawReport& r, int64_t elapsed) { r.durable_ns = elapsed; });
  };
  deps_.journal->committer().Withdraw(revision, std::move(record));
  for (auto& shard : shards_) {
    shard->TakeBack(revision, [finish](TakenBack taken) {
      finish([taken](WithdrawReport& r, int64_t elapsed) {
        r.interrupted += taken.interrupted;
        r.redelivered += taken.redelivered;
        r.diverted_ns = std::max(r.diverted_ns, elapsed);
      });
    });
    shard->RouteChanged(agent);
  }
  if (mirror_ != nullptr) mirror_->RouteChanged(agent);
}

void RouterImpl::OldestWaiting(absl::AnyInvocable<void(WaitingAges)> done) {
  struct Gathering {
    Mutex mutex;
    WaitingAges oldest;
    size_t parts = 0;
    absl::AnyInvocable<void(WaitingAges)> done;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->parts = shards_.size();
  gathering->done = std::move(done);
  for (auto& shard : shards_) {
    shard->OldestWaiting([gathering](const WaitingAges& of_shard) {
      {
        MutexLock lock(&gathering->mutex);
        for (const auto& [agent, age_ns] : of_shard) {
          int64_t& oldest = gathering->oldest[agent];
          oldest = std::max(oldest, age_ns);
        }
        if (--gathering->parts > 0) return;
      }
      gathering->done(std::move(gathering->oldest));
    });
  }
}

void RouterImpl::RecentMessages(AgentId agent, size_t count,
                                absl::AnyInvocable<void(std::vector<KeptMessage>)> done) {
  struct Gathering {
    Mutex mutex;
    std::vector<KeptMessage> messages;
    size_t parts = 0;
    absl::AnyInvocable<void(std::vector<KeptMessage>)> done;
  };
  auto gathering = std::make_shared<Gathering>();
  gathering->parts = shards_.size();
  gathering->done = std::move(done);
  for (auto& shard : shards_) {
    shard->RecentOf(agent, count, [gathering, count](std::vector<KeptMessage> of_shard) {
      {
        MutexLock lock(&gathering->mutex);
        for (KeptMessage& message : of_shard) gathering->messages.push_back(std::move(message));
        if (--gathering->parts > 0) return;
      }
      std::vector<KeptMessage>& all = gathering->messages;
      std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.seq < b.seq; });
      if (all.size() > count) all.erase(all.begin(), all.end() - static_cast<ptrdiff_t>(count));
      gathering->done(std::move(all));
    });
  }
}

void RouterImpl::Replay(ReplayOrder order) {
  CAXTON_ASSERT(replays_ != nullptr, "a router without a strand for it replays nothing");
  replays_->Start(std::move(order));
}

void RouterImpl::DiscardWaiting(AgentId agent, RemoveMode mode, absl::AnyInvocable<void()> done) {
  auto left = std::make_shared<std::atomic<size_t>>(shards_.size());
  auto finish = std::make_shared<absl::AnyInvocable<void()>>(std::move(done));
  for (auto& shard : shards_) {
    shard->Discard(agent, mode == RemoveMode::kDeadLetter, [this, left, finish] {
      if (left->fetch_sub(1) == 1) {
        deps_.journal->committer().Barrier([finish] { (*finish)(); });
      }
    });
  }
}

void RouterImpl::Forget(AgentId agent) {
  tables_.Remove(agent);
  {
    MutexLock lock(&full_mutex_);
    full_.erase(agent);
    any_full_.store(!full_.empty(), std::memory_order_relaxed);
  }
  for (auto& shard : shards_) shard->Forget(agent);
  if (mirror_ != nullptr) mirror_->RouteChanged(agent);
}

// ---- recovery

// For a message that was read back: its sender says whether an agent sent it.
void RouterImpl::SetOrigin(const RouteTable& table, Message* m) {
  auto origin = table.Find(std::string_view(m->envelope.sender));
  if (origin == nullptr) return;
  m->origin = origin->id;
  m->origin_load = origin->load;
  m->origin_load->origin_bytes.fetch_add(static_cast<int64_t>(m->bytes), std::memory_order_relaxed);
}

absl::Status RouterImpl::Recover(const std::vector<Seq>& suspects) {
  auto table = tables_.Current();
  const absl::flat_hash_set<Seq> alone(suspects.begin(), suspects.end());
  const int64_t now_ns = deps_.clock->WallNanos();
  auto adopt = [&](AgentId agent, Seq seq, Envelope envelope, journal::HeldRecord* held) {
    auto route = table->Find(agent);
    if (route == nullptr) return;  // its removal was under way: the controller finishes it
    MessagePtr m =
        Readopt(*route, seq, std::move(envelope), held ? RowPlace::kHeld : RowPlace::kInbox);
    m->alone = alone.contains(seq);
    SetOrigin(*table, m.get());
    int64_t retry_in_ns = -1;
    if (held != nullptr) {
      m->first_dispatch_ns = held->first_dispatch_ns;
      m->first_run_over = true;
      m->stable_only = held->stable_only;
      m->charged = held->charged;
      m->attempts = std::move(held->attempts);
      if (!m->attempts.empty()) m->charged_revision = m->attempts.back().revision;
      retry_in_ns = std::clamp<int64_t>(held->next_try_ns - now_ns, 0, kRetryLongestNs);
    }
    Shard& shard = ShardOf(*m);
    shard.Adopt(std::move(m), retry_in_ns);
  };
  RETURN_IF_ERROR(deps_.journal->RecoverHeld([&](AgentId agent, Seq seq, journal::HeldRecord held) {
    Envelope envelope = std::move(held.envelope);
    adopt(agent, seq, std::move(envelope), &held);
  }));
  return deps_.journal->RecoverInbox([&](AgentId agent, Seq seq, Envelope envelope) {
    adopt(agent, seq, std::move(envelope), nullptr);
  });
}

// ---- dead letters

void RouterImpl::DeadLettersChanged(AgentId agent) {
  MutexLock lock(&full_mutex_);
  if (deps_.journal->Counters(agent).dead >= kMaxDeadLettersPerAgent) {
    full_.insert(agent);
  } else {
    full_.erase(agent);
  }
  any_full_.store(!full_.empty(), std::memory_order_relaxed);
}

bool RouterImpl::FullOfDeadLetters(AgentId agent) {
  if (!any_full_.load(std::memory_order_relaxed)) return false;
  MutexLock lock(&full_mutex_);
  return full_.contains(agent);
}

// One piece of work per dead letter at a time: two retries of one must not make two messages.
bool RouterImpl::BeginDeadLetterWork(AgentId agent, Seq seq,
                                     absl::AnyInvocable<void(absl::Status)>& done) {
  {
    MutexLock lock(&dead_mutex_);
    if (dead_busy_.emplace(agent, seq).second) return true;
  }
  done(WithReason(absl::AbortedError("this dead letter is being retried or dropped already"),
                  "CONFLICT"));
  return false;
}

void RouterImpl::EndDeadLetterWork(AgentId agent, Seq seq) {
  MutexLock lock(&dead_mutex_);
  dead_busy_.erase({agent, seq});
}

void RouterImpl::RetryDeadLetter(AgentId agent, Seq seq,
                                 absl::AnyInvocable<void(absl::Status)> done) {
  if (!BeginDeadLetterWork(agent, seq, done)) return;
  absl::StatusOr<journal::DeadLetterRecord> dead = deps_.journal->GetDeadLetter(agent, seq);
  std::shared_ptr<const AgentRoute> route;
  if (dead.ok()) route = tables_.Current()->Find(std::string_view(dead->envelope.receiver));
  if (!dead.ok() || route == nullptr || route->closed) {
    EndDeadLetterWork(agent, seq);
    done(!dead.ok()
             ? dead.status()
             : WithReason(absl::FailedPreconditionError(absl::StrCat(
                              "there is no agent '", dead->envelope.receiver, "' to retry it on")),
                          "NO_SUCH_AGENT"));
    return;
  }
  Envelope envelope = dead->envelope;
  envelope.deadline_ns = 0;
  MessagePtr m = Make(*route, std::move(envelope));
  SetOrigin(*tables_.Current(), m.get());
  m->row = RowPlace::kInbox;
  journal::CommitOp op;
  op.rows.Delete(journal::Table::kDead, journal::MessageKey(agent, seq));
  op.rows.Put(journal::Table::kInbox, journal::MessageKey(m->agent, m->seq), m->encoded);
  if (m->agent == agent) {
    op.counters.push_back({.agent = agent, .dead = -1, .waiting = 1});
  } else {
    op.counters.push_back({.agent = agent, .dead = -1, .dropped = 1});
    op.counters.push_back({.agent = m->agent, .accepted = 1, .waiting = 1});
  }
  op.decided = [this, m](const journal::CommitVerdict&) { Deliver(m); };
  op.durable = [this, agent, seq, done = std::move(done)]() mutable {
    EndDeadLetterWork(agent, seq);
    DeadLettersChanged(agent);
    done(absl::OkStatus());
  };
  deps_.journal->committer().Submit(std::move(op));
}

void RouterImpl::DropDeadLetter(AgentId agent, Seq seq,
                                absl::AnyInvocable<void(absl::Status)> done) {
  if (!BeginDeadLetterWork(agent, seq, done)) return;
  absl::StatusOr<journal::DeadLetterRecord> dead = deps_.journal->GetDeadLetter(agent, seq);
  if (!dead.ok()) {
    EndDeadLetterWork(agent, seq);
    done(dead.status());
    return;
  }
  journal::CommitOp op;
  op.rows.Delete(journal::Table::kDead, journal::MessageKey(agent, seq));
  op.counters.push_back({.agent = agent, .dead = -1, .dropped = 1});
  op.durable = [this, agent, seq, done = std::move(done)]() mutable {
    EndDeadLetterWork(agent, seq);
    DeadLettersChanged(agent);
    done(absl::OkStatus());
  };
  deps_.journal->committer().Submit(std::move(op));
}

}  // namespace

std::unique_ptr<Router> Router::Make(RouterDeps deps) {
  return std::make_unique<RouterImpl>(std::move(deps));
}

}  // namespace caxton::router
