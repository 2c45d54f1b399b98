// SPDX-License-Identifier: Apache-2.0
//
// Shard: the messages of a share of all keys, on one strand, without locks. It owns each key's
// queue, dispatches the message whose turn it is, and settles what comes back. Every decision about
// one message is made here.
//
// Where to look: shard.cc (arrival, queues, dispatch), shard_results.cc (what a result means,
// retries, dead letters), shard_commits.cc (the ops for the committer and what follows from its
// verdicts).
//
// Thread rule: Arrive, Adopt, Result, Lost, Room, RouteChanged, TakeBack, Discard, Forget and the
// two reads from any thread (they post; Arrive and Result run at once where the strand is idle),
// Deliver from the committer's strand; the rest is private and runs on the strand.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/base/random.h"
#include "caxton/journal/journal.h"
#include "caxton/router/router.h"
#include "message.h"
#include "mirror.h"
#include "recent_commits.h"
#include "recent_messages.h"
#include "waiters.h"

namespace caxton::router {

// What a shard needs of the router around it.
class MessagePlane {
 public:
  virtual ~MessagePlane() = default;
  // A new message that a step of `origin` sends, with its seq; null where its receiver cannot take
  // it (`why`).
  virtual MessagePtr MakeInternal(const Message& cause, Envelope envelope, std::string* why) = 0;
  // Hands an accepted message to its shard. Called in commit order.
  virtual void Deliver(MessagePtr message) = 0;
  // A message that MakeInternal made and whose step did not commit.
  virtual void Abandon(const Message& message) = 0;
  virtual Seq NextSeq() = 0;
  // Dead letters of `agent` became durable, or are gone.
  virtual void DeadLettersChanged(AgentId agent) = 0;
};

struct ShardDeps {
  uint32_t index = 0;
  size_t shards = 1;  // over all
  Executor* executor = nullptr;
  journal::Journal* journal = nullptr;
  const Clock* clock = nullptr;
  const RouteTables* tables = nullptr;
  MessagePlane* plane = nullptr;
  RouterObserver* observer = nullptr;
  DeferredReplies* deferred = nullptr;
  JoinedWaiters* joined = nullptr;
  Mirror* mirror = nullptr;                     // null: nothing is mirrored
  std::atomic<int64_t>* running = nullptr;      // over all shards
  std::atomic<int64_t>* unwritten = nullptr;    // requests without a row
  const std::atomic<bool>* stopping = nullptr;  // what has a row waits for the next start
  uint64_t jitter_seed = 0;
};

struct TakenBack {
  uint64_t interrupted = 0;
  uint64_t redelivered = 0;
};

inline constexpr std::string_view kDeadLettered = "DEAD_LETTERED";

class Shard {
 public:
  explicit Shard(ShardDeps deps);

  void Arrive(MessagePtr message);                      // new, admitted, not yet journaled
  void Adopt(MessagePtr message, int64_t retry_in_ns);  // has its row; retry_in_ns < 0: not held
  void Deliver(MessagePtr message);                     // as Adopt, of what commits right now
  void Result(RevisionRef revision, StepResult result);
  void Lost(RevisionRef revision, std::vector<supervisor::LostStep> lost, std::string cause);
  void Room(RevisionRef revision);
  void RouteChanged(AgentId agent);
  void TakeBack(RevisionRef revision, std::function<void(TakenBack)> done);
  // Ends every message of `agent`, from now until Forget: as dead letters or dropped. `submitted`
  // runs once none is left here.
  void Discard(AgentId agent, bool dead_letter, std::function<void()> submitted);
  void Forget(AgentId agent);
  void OldestWaiting(std::function<void(const WaitingAges&)> done);
  void RecentOf(AgentId agent, size_t count, std::function<void(std::vector<KeptMessage>)> done);

 private:
  struct Mailbox {
    std::deque<MessagePtr> queue;  // the front is the one whose turn it is
  };
  using MailboxKey = std::pair<AgentId, std::string>;
  // What a step sends, between its result and its commit.
  struct Outputs {
    std::vector<MessagePtr> to_agents;
    std::vector<Envelope> to_clients;
    bool replied = false;
    bool deferred = false;      // its caller is answered by a later message
    bool dead_letters = false;  // of what could not be delivered
  };
  // An agent that is being removed.
  struct Removal {
    bool dead_letter = false;
    size_t left = 0;  // messages of it in all_
    std::function<void()> submitted;
  };

  // -- shard.cc
  void FromCommitter(Task task);
  void OnArrive(const MessagePtr& m);
  void Keep(const MessagePtr& m);
  void OnAdopt(const MessagePtr& m, int64_t retry_in_ns);
  void Enqueue(const MessagePtr& m);
  Mailbox* MailboxOf(const Message& m);
  // Dispatches the front of the key's queue if it is waiting for its turn; called while another is
  // being advanced, right after that one (a long queue must not become a deep stack).
  void Advance(MailboxKey key);
  void AdvanceOne(const MailboxKey& key);
  bool Expired(const Message& m) const;
  bool KeptForLater(const Message& m) const;
  void Dispatch(const MessagePtr& m);
  bool ChooseTarget(const MessagePtr& m, std::shared_ptr<const AgentRoute> route);
  void Put(const MessagePtr& m);  // on a worker, or in `blocked_`
  bool TryPut(const MessagePtr& m);
  void Block(const MessagePtr& m, RevisionRef on, bool first);
  void UnblockAll(const std::function<bool(const RevisionRef&)>& which);
  void OnRoom(RevisionRef revision);
  void OnRouteChanged(AgentId agent);
  void OnTakeBack(RevisionRef revision, const std::function<void(TakenBack)>& done);
  void Requeue(const MessagePtr& m);  // its turn again, at once, wherever the route says now
  void Leave(const MessagePtr& m);    // out of every queue; the next of its key follows
  void FlushLater(const RevisionRoute& target);

  // -- shard_results.cc
  void OnResult(RevisionRef revision, StepResult result);
  void OnLost(RevisionRef revision, const std::vector<supervisor::LostStep>& lost,
              const std::string& cause);
  MessagePtr TakeRunning(Ticket ticket);
  bool RevisionWithdrawn(const Message& m);
  void NoteStep(const Message& m, const StepResult& result, int64_t latency_ns);
  std::optional<Observation> Observe(const Message& m, RunVerdict verdict, int64_t latency_ns,
                                     const StepResult& result);
  // For the shadow, where the message's first run on stable is decided by `result`; null: none.
  std::unique_ptr<MirrorCopy> CopyForShadow(Message& m, const StepResult& result,
                                            int64_t latency_ns);
  static bool MayMoveToStable(const Message& m);
  static bool RetryFollows(const Message& m, const StepResult& result);
  void OnFailed(const MessagePtr& m, StepResult result, int64_t latency_ns);
  void Charge(const MessagePtr& m, const StepResult& result);
  void OnKilledWorker(const MessagePtr& m, const std::string& cause);
  void Hold(const MessagePtr& m);
  void ArmRetry(const MessagePtr& m, int64_t delay_ns);
  void OnRetry(const MessagePtr& m);
  void DeadLetter(const MessagePtr& m, std::string cause);
  void Expire(const MessagePtr& m);
  void Drop(const MessagePtr& m, absl::Status why);  // on record; its waiter is answered `why`

  // -- shard_commits.cc
  void CommitAccept(const MessagePtr& m);
  void OnClaimed(const MessagePtr& m, bool accepted);
  void AnswerRepeat(const MessagePtr& m, const journal::CommitVerdict& verdict);
  void CommitStep(const MessagePtr& m, StepResult result, std::optional<Observation> evidence);
  // False: the sending agent is over its quota.
  bool AddSends(const MessagePtr& m, StepResult& result, journal::CommitOp* op, Outputs* out);
  void AddUndeliverable(const Message& m, Envelope envelope, std::string why,
                        journal::CommitOp* op);
  // The rows and counters that end `m`'s own row.
  void AddEnd(const Message& m, int completed, int dead, int dropped, journal::CommitOp* op);
  // `end`: ok, or what the sender of a message that ends unhandled is told.
  void AddSettle(const Message& m, const absl::Status& end, const std::optional<Reply>& reply,
                 journal::CommitOp* op);
  static absl::Status DeadLettered(const std::string& id, const std::string& why);
  static absl::Status EndedUnhandled(const std::string& id, const journal::IdemRecord& record);
  void DeferAnswer(const MessagePtr& m, Outputs& out);
  void AnswerStep(const MessagePtr& m, Outputs& out, std::optional<Reply> reply,
                  RevisionRef revision);
  void OnStepDecided(const MessagePtr& m, journal::CommitVerdict::Kind kind, uint64_t round);
  void FinishVolatile(const MessagePtr& m, StepResult result, std::optional<Observation> evidence);
  void SubmitEvidence(Observation observation);
  void AnswerNow(const MessagePtr& m, Answer answer);
  void OnDiscard(AgentId agent, bool dead_letter, std::function<void()> submitted);
  void End(const MessagePtr& m);  // as the removal of its agent says
  void CountRemoval(AgentId agent);
  void KeepForReplays(const MessagePtr& m);
  void Release(const MessagePtr& m);  // out of the accounts of what waits

  ShardDeps d_;
  RouteReader routes_;
  SeededRandom jitter_;
  uint64_t next_ticket_ = 1;
  absl::flat_hash_map<Seq, MessagePtr> all_;
  absl::flat_hash_map<MailboxKey, Mailbox> mailboxes_;
  absl::flat_hash_map<Ticket, MessagePtr> running_;
  absl::flat_hash_map<RevisionRef, std::deque<Seq>>
      blocked_;  // number 0: no revision serves the agent
  std::deque<MailboxKey> to_advance_;
  bool advancing_ = false;
  absl::flat_hash_map<AgentId, Removal> removals_;
  std::vector<std::shared_ptr<supervisor::RevisionWorkers>> to_flush_;
  RecentCommits recent_;
  RecentMessages kept_;
};

}  // namespace caxton::router
