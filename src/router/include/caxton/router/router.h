// SPDX-License-Identifier: Apache-2.0
//
// Router: takes messages in, keeps each key's order, dispatches steps to the revision that the
// route names, commits their results, and retries or dead-letters what fails.
// docs/internals/life-of-a-message.md tells the way of one message through these files.
//
// Lifecycle: constructed; Recover once, before the first message; serves; StopAccepting, then
// WhenIdle, then the executors are stopped; destroyed. Thread rule: every method from any thread.
// Answers are called on the committer's strand or a shard's and must not block; each exactly once,
// unless the process ends before.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/base/random.h"
#include "caxton/journal/journal.h"
#include "caxton/model/envelope.h"
#include "caxton/router/observer.h"
#include "caxton/router/replay.h"
#include "caxton/router/route_table.h"
#include "caxton/supervisor/revision_workers.h"

namespace caxton::router {

// To a Send: ok means on the disk. To a Request: ok comes with the reply.
struct Answer {
  absl::Status status;
  std::string message_id;
  std::optional<Reply> reply;
  RevisionNumber revision;  // that handled it; 0: none (a replayed answer)
  bool duplicate = false;   // its idempotency key had been accepted before
};
using AnswerFn = absl::AnyInvocable<void(Answer)>;

struct WithdrawReport {
  uint64_t interrupted = 0;  // steps that were running and will not commit
  uint64_t redelivered = 0;  // messages sent to the restored revision at once
  int64_t diverted_ns = 0;   // decision to table swapped and every shard past it
  int64_t last_dispatch_ns =
      0;  // decision to the last dispatch to the withdrawn revision; 0: none after it
  int64_t durable_ns = 0;  // decision to the record on the disk
};

// Nanoseconds since the oldest message arrived that is not handled yet.
using WaitingAges = std::map<AgentId, int64_t>;

enum class RemoveMode : uint8_t { kRefuseIfWaiting, kDrain, kDeadLetter, kPurge };

struct RouterDeps {
  std::vector<Executor*> shards;  // one strand each, at most kMaxShards
  journal::Journal* journal = nullptr;
  const Clock* clock = nullptr;
  RandomSource* random = nullptr;  // thread-safe; salts of ids, jitter
  RouterObserver* observer = nullptr;
  // The strand of mirror and replays, theirs alone; null: no message is mirrored, nothing replayed.
  Executor* mirror = nullptr;
};

class Router : public supervisor::StepSink {
 public:
  static std::unique_ptr<Router> Make(RouterDeps deps);

  // ---- messages
  // `envelope.sender` is the caller's identity ("client:..."), set by the API.
  virtual void Send(Envelope envelope, AnswerFn acked) = 0;
  virtual void Request(Envelope envelope, AnswerFn replied) = 0;

  // ---- routes (the controller journals before it gives traffic)
  virtual void Publish(std::shared_ptr<const AgentRoute> route) = 0;
  // Several agents' routes in one swap: a reader sees all of them or none.
  virtual void PublishAll(std::vector<std::shared_ptr<const AgentRoute>> routes) = 0;
  virtual std::shared_ptr<const RouteTable> Routes() const = 0;
  // Takes all traffic from `revision`, at once: publishes `after` (which must not name it), fences
  // the committer, interrupts its running steps and runs their messages where `after` says.
  // `record` makes it durable.
  virtual void Withdraw(RevisionRef revision, std::shared_ptr<const AgentRoute> after,
                        journal::CommitOp record,
                        absl::AnyInvocable<void(WithdrawReport)> done) = 0;
  // Ends every message of `agent`, those that still arrive included: as dead letters or dropped.
  // `done` runs once none is left and that is on the disk. `agent`'s route must be closed. kDrain
  // is the controller waiting for waiting_messages == 0 first.
  virtual void DiscardWaiting(AgentId agent, RemoveMode mode, absl::AnyInvocable<void()> done) = 0;
  // After that: takes the agent out of the routes. A message that comes later still is dropped.
  virtual void Forget(AgentId agent) = 0;

  // ---- replays
  // The last `count` messages that `agent` handled and that are kept (limits.h), by seq. Since the
  // start of this server: they are in memory. `done` runs on a shard.
  virtual void RecentMessages(AgentId agent, size_t count,
                              absl::AnyInvocable<void(std::vector<KeptMessage>)> done) = 0;
  // Runs messages on two revisions beside everything else; commits nothing. Not where the router
  // has no strand for it.
  virtual void Replay(ReplayOrder order) = 0;
  virtual void StopReplay(DeploymentId deployment) = 0;

  // ---- dead letters
  virtual void RetryDeadLetter(AgentId agent, Seq seq,
                               absl::AnyInvocable<void(absl::Status)> done) = 0;
  virtual void DropDeadLetter(AgentId agent, Seq seq,
                              absl::AnyInvocable<void(absl::Status)> done) = 0;

  // ---- life
  // Reads held and waiting messages from the journal; `suspects` run alone first. Routes must be
  // published before.
  virtual absl::Status Recover(const std::vector<Seq>& suspects) = 0;
  // Refuses new messages and dispatches no message that has a row; requests in memory go on.
  virtual void StopAccepting() = 0;
  // Steps dispatched and not settled, over all revisions.
  virtual int64_t Running() const = 0;
  // Requests in memory that have no row yet (they promise nothing before their reply).
  virtual int64_t UnwrittenRequests() const = 0;
  // Of every agent that has any; for status pages: looks at all that waits. `done` runs on a shard.
  virtual void OldestWaiting(absl::AnyInvocable<void(WaitingAges)> done) = 0;
};

}  // namespace caxton::router
