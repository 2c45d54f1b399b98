// SPDX-License-Identifier: Apache-2.0
//
// RouteTable: which revision handles an agent's messages, as one immutable snapshot. The controller
// publishes a new one by a pointer swap; every shard reads the current one at each dispatch.
//
// Thread rule: snapshots are immutable; RouteTables (the place they are published) is thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "caxton/base/hash.h"
#include "caxton/base/mutex.h"
#include "caxton/model/revision.h"
#include "caxton/router/recent_steps.h"
#include "caxton/supervisor/revision_workers.h"

namespace caxton::router {

// What is waiting for one agent; shared by all snapshots of its route. Relaxed counters: limits,
// not accounts.
struct AgentLoad {
  std::atomic<int64_t> waiting_messages{0};
  std::atomic<int64_t> waiting_bytes{0};
  std::atomic<int64_t> origin_bytes{0};  // of waiting messages this agent sent
  std::atomic<int64_t> refused{0};       // answered RESOURCE_EXHAUSTED
  std::atomic<bool> retain{false};       // handled messages are kept for tails
  // Copies that wait for the agent's shadow or run on it, and what they hold.
  std::atomic<int64_t> mirrored_messages{0};
  std::atomic<int64_t> mirrored_bytes{0};
  std::atomic<int64_t> mirror_dropped{0};  // and not reported yet
};

// What runs on one revision; shared by all snapshots that name it.
struct RevisionLoad {
  std::atomic<int64_t> running{0};           // dispatched and not settled
  std::atomic<int64_t> last_dispatch_ns{0};  // monotonic
  std::atomic<uint64_t> handled{0};
  std::atomic<uint64_t> failed{0};
  RecentSteps recent;
};

struct RevisionRoute {
  std::shared_ptr<const Revision> revision;  // null: none
  std::shared_ptr<supervisor::RevisionWorkers> workers;
  std::shared_ptr<RevisionLoad> load;

  explicit operator bool() const { return revision != nullptr; }
};

struct AgentRoute {
  AgentId id;
  std::string name;
  RevisionRoute stable;
  RevisionRoute candidate;
  uint32_t weight_ppm = 0;        // of the candidate, parts per million
  Salt salt{};                    // drawn anew for each deployment
  bool stick_to_message = false;  // draw by message id instead of by key
  DeploymentId judged;            // first runs are evidence for it; 0: none
  // The deployment's traffic clock: at_ms = clock_offset_ms + (now - clock_base_ns) / 1e6.
  int64_t clock_base_ns = 0;  // monotonic
  int64_t clock_offset_ms = 0;
  // A shadow runs copies of what stable has run: never live messages, so that it is no candidate.
  // Its `load` is not used. `secondary`: workers of their own that run stable's module once more
  // under a revision number of their own; none: no second run.
  RevisionRoute shadow, secondary;
  uint32_t mirror_ppm = 0;  // share of the messages that is mirrored, drawn by message id
  DeploymentId mirrored;    // whose comparison it is; 0: none
  bool closed = false;      // being removed: nothing new is accepted
  std::vector<RevisionNumber> withdrawn;
  std::shared_ptr<AgentLoad> load;

  bool IsWithdrawn(RevisionNumber revision) const;
  // What hash(salt, key) draws: the candidate with probability weight_ppm / 1e6. A key stays where
  // it is while the weight rises.
  bool DrawsCandidate(uint64_t hash) const;
  // There is a shadow, and `message_id` is in its sample.
  bool Mirrors(std::string_view message_id) const {
    return mirror_ppm != 0 && DrawsShadow(message_id);
  }

 private:
  bool DrawsShadow(std::string_view message_id) const;
};

class RouteTable {
 public:
  std::shared_ptr<const AgentRoute> Find(std::string_view name) const;
  std::shared_ptr<const AgentRoute> Find(AgentId id) const;
  std::vector<std::string> Names() const;
  const absl::flat_hash_map<AgentId, std::shared_ptr<const AgentRoute>>& all() const {
    return by_id_;
  }

  // A copy with `routes` in place of their agents' old ones.
  std::shared_ptr<const RouteTable> With(
      std::vector<std::shared_ptr<const AgentRoute>> routes) const;
  std::shared_ptr<const RouteTable> Without(AgentId id) const;

 private:
  absl::flat_hash_map<AgentId, std::shared_ptr<const AgentRoute>> by_id_;
  absl::flat_hash_map<std::string, AgentId> by_name_;
};

// Where the current table is.
class RouteTables {
 public:
  RouteTables();
  void Publish(std::vector<std::shared_ptr<const AgentRoute>> routes) ABSL_LOCKS_EXCLUDED(mutex_);
  void Remove(AgentId id) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const RouteTable> Current() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const RouteTable> current_ ABSL_GUARDED_BY(mutex_);
  std::atomic<uint64_t> version_{1};
};

// One thread's view of it: costs a load while nothing changes. Not thread-safe.
class RouteReader {
 public:
  explicit RouteReader(const RouteTables* tables) : tables_(tables) {}
  const RouteTable& Get();

 private:
  const RouteTables* tables_;
  uint64_t seen_ = 0;
  std::shared_ptr<const RouteTable> cached_;
};

}  // namespace caxton::router
