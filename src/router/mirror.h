// SPDX-License-Identifier: Apache-2.0
//
// Mirror: runs copies of messages that stable has run on a shadow, and where asked on stable a
// second time, and hands what they did to the observer (docs/internals/shadow.md).
//
// Nothing a copy does can be committed: this class knows no journal, no shard and no caller, only
// workers and the observer. Nor can it hold up a shard: what it has no room for is dropped there
// and then, before anything is copied.
//
// Lifecycle: as the router's; its executor ends before it. Thread rule: the public methods from any
// thread (they post, or touch atomics); the rest is private and runs on the mirror's own strand.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/base/random.h"
#include "caxton/model/mirrored.h"
#include "caxton/router/observer.h"
#include "caxton/router/route_table.h"
#include "caxton/supervisor/revision_workers.h"

namespace caxton::router {

// What is under way over all agents. Shared: a copy may outlive the mirror in a strand's queue.
struct MirrorTotals {
  std::atomic<int64_t> messages{0};
  std::atomic<int64_t> bytes{0};
};

// One copy's place in the limits, given back when it goes. Move-only.
class MirrorRoom {
 public:
  MirrorRoom(std::shared_ptr<AgentLoad> load, std::shared_ptr<MirrorTotals> totals, int64_t bytes);
  ~MirrorRoom();
  MirrorRoom(MirrorRoom&& other) noexcept = default;
  MirrorRoom& operator=(MirrorRoom&&) = delete;

 private:
  std::shared_ptr<AgentLoad> load_;  // null: moved from
  std::shared_ptr<MirrorTotals> totals_;
  int64_t bytes_;
};

// What a shard hands over.
struct MirrorCopy {
  MirrorRoom room;
  std::shared_ptr<const AgentRoute> route;  // of the live step; names shadow and secondary
  StepInput input;                          // the live step's clock, random seed and key
  std::string message_id, content_type;
  std::string envelope;  // encoded; both runs read these bytes
  MirrorSide live;
};

struct MirrorDeps {
  Executor* executor = nullptr;
  const Clock* clock = nullptr;
  const RouteTables* tables = nullptr;
  RouterObserver* observer = nullptr;
  uint64_t order_seed = 0;
};

class Mirror {
 public:
  explicit Mirror(MirrorDeps deps);

  // None: there is no room for `bytes` more; counted as dropped. Does not block or allocate, but
  // for a task where the first drop after a report is to be reported.
  std::optional<MirrorRoom> Reserve(const AgentRoute& route, size_t bytes);
  void Take(std::unique_ptr<MirrorCopy> copy);

  // Of tickets whose place is kMirrorPlace.
  void Result(RevisionRef revision, StepResult result);
  void Lost(RevisionRef revision, std::vector<supervisor::LostStep> lost);
  void Room(RevisionRef revision);
  void RouteChanged(AgentId agent);

 private:
  // A copy with what has come back of it. One of its runs is dispatched at a time.
  struct Job {
    std::unique_ptr<MirrorCopy> copy;
    bool secondary_first = false;
    std::optional<MirrorSide> shadow, secondary;
    int64_t dispatched_ns = 0;  // monotonic

    bool on_secondary() const;  // the run that is dispatched, or next
    const RevisionRoute& target() const;
    bool done() const;
  };
  // Of one agent. In the order of arrival, but for second runs, which come first.
  struct Queue {
    DeploymentId deployment;
    std::deque<std::unique_ptr<Job>> waiting;
    size_t running = 0;
  };

  void OnTake(std::unique_ptr<MirrorCopy> copy);
  void OnResult(RevisionRef revision, StepResult result, int64_t at_ns);
  void OnLost(RevisionRef revision, const std::vector<supervisor::LostStep>& lost);
  void OnRouteChanged(AgentId agent);
  bool StillMirrored(AgentId agent, DeploymentId deployment);
  std::unique_ptr<Job> TakeRunning(Ticket ticket);
  void Pump(AgentId agent);
  bool TryRun(std::unique_ptr<Job>& job);
  void FlushLater(const std::shared_ptr<supervisor::RevisionWorkers>& workers);
  void Report(std::unique_ptr<Job> job);
  // Ends all that is under way for `agent`; it is reported as lost.
  void Drop(AgentId agent);

  const MirrorDeps d_;
  const std::shared_ptr<MirrorTotals> totals_ = std::make_shared<MirrorTotals>();
  // The strand's.
  RouteReader routes_;
  SeededRandom order_;
  uint64_t next_ticket_ = 1;
  absl::flat_hash_map<AgentId, Queue> queues_;
  absl::flat_hash_map<Ticket, std::unique_ptr<Job>> running_;
  std::vector<std::shared_ptr<supervisor::RevisionWorkers>> to_flush_;
};

}  // namespace caxton::router
