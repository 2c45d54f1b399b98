// SPDX-License-Identifier: Apache-2.0
//
// RecentMessages: the last messages that agents have handled, of one shard, for replays and
// validation. In memory only, within limits.h, the oldest first out: of an agent that has too much,
// and of all agents together. Thread rule: one strand.
#pragma once

#include <cstddef>
#include <deque>
#include <list>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "caxton/model/ids.h"
#include "caxton/router/replay.h"

namespace caxton::router {

class RecentMessages {
 public:
  // `shards`: among how many the limits on bytes are shared out.
  explicit RecentMessages(size_t shards);

  // In the order in which they were handled. A message that is too large is dropped here. In a full
  // store this allocates nothing: the place of what goes is used again.
  void Keep(AgentId agent, KeptMessage message);
  // Copies of the last `count` of `agent`, by seq.
  std::vector<KeptMessage> Last(AgentId agent, size_t count) const;
  void Forget(AgentId agent);

  size_t size() const { return order_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Place {
    AgentId agent;
    KeptMessage message;
  };
  using Order = std::list<Place>;  // oldest first, over all agents
  struct Agent {
    std::deque<Order::iterator> places;  // oldest first
    size_t bytes = 0;
  };
  static size_t BytesOf(const KeptMessage& message);
  // Takes the agent's oldest out of the accounts; its place goes to `free_`.
  void DropOldest(Agent* of);

  const size_t max_agent_bytes_, max_bytes_;
  Order order_;
  Order free_;  // at most one place
  absl::flat_hash_map<AgentId, Agent> agents_;
  size_t bytes_ = 0;
};

}  // namespace caxton::router
