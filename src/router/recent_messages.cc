// SPDX-License-Identifier: Apache-2.0
#include "recent_messages.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/router/limits.h"

namespace caxton::router {

RecentMessages::RecentMessages(size_t shards)
    : max_agent_bytes_(kMaxKeptBytesPerAgent / shards), max_bytes_(kMaxKeptBytes / shards) {
  CAXTON_ASSERT(shards > 0 && shards <= kMaxShards, "a shard keeps them");
}

size_t RecentMessages::BytesOf(const KeptMessage& message) {
  return message.envelope.size() + kKeptOverheadBytes;
}

void RecentMessages::Keep(AgentId agent, KeptMessage message) {
  if (message.envelope.size() > kMaxKeptMessageBytes) return;
  const size_t bytes = BytesOf(message);
  Agent& mine = agents_[agent];
  while (mine.places.size() >= kMaxKeptPerAgent || mine.bytes + bytes > max_agent_bytes_) {
    DropOldest(&mine);
  }
  while (bytes_ + bytes > max_bytes_) DropOldest(&agents_.at(order_.front().agent));
  if (free_.empty()) free_.emplace_back();
  order_.splice(order_.end(), free_, free_.begin());
  order_.back() = {agent, std::move(message)};
  mine.places.push_back(std::prev(order_.end()));
  mine.bytes += bytes;
  bytes_ += bytes;
}

// An agent without messages stays in the map until Forget: `mine` above must not move.
void RecentMessages::DropOldest(Agent* of) {
  const Order::iterator oldest = of->places.front();
  of->places.pop_front();
  const size_t bytes = BytesOf(oldest->message);
  of->bytes -= bytes;
  bytes_ -= bytes;
  free_.clear();
  free_.splice(free_.begin(), order_, oldest);
  free_.front() = {};
}

std::vector<KeptMessage> RecentMessages::Last(AgentId agent, size_t count) const {
  auto it = agents_.find(agent);
  if (it == agents_.end()) return {};
  const std::deque<Order::iterator>& places = it->second.places;
  std::vector<KeptMessage> last;
  last.reserve(std::min(count, places.size()));
  for (size_t i = places.size() - std::min(count, places.size()); i < places.size(); ++i) {
    last.push_back(places[i]->message);
  }
  std::sort(last.begin(), last.end(),
            [](const KeptMessage& a, const KeptMessage& b) { return a.seq < b.seq; });
  return last;
}

void RecentMessages::Forget(AgentId agent) {
  auto it = agents_.find(agent);
  if (it == agents_.end()) return;
  while (!it->second.places.empty()) DropOldest(&it->second);
  agents_.erase(it);
}

}  // namespace caxton::router
