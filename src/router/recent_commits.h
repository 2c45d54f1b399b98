// SPDX-License-Identifier: Apache-2.0
//
// RecentCommits: which keys have a commit that may not be on the disk yet. A volatile message's
// reply shows what its key's earlier steps did, so it waits for them. Holds only keys of rounds
// that are not known to be durable. Thread rule: one strand.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "caxton/model/ids.h"

namespace caxton::router {

class RecentCommits {
 public:
  void Note(AgentId agent, std::string_view key, uint64_t round, uint64_t durable_round) {
    Forget(durable_round);
    if (round <= durable_round) return;
    Key k(agent, key);
    rounds_[k] = round;
    order_.emplace_back(round, std::move(k));
  }

  // The round of the key's last commit, 0 if it is durable.
  uint64_t RoundOf(AgentId agent, std::string_view key, uint64_t durable_round) {
    Forget(durable_round);
    auto it = rounds_.find(Key(agent, key));
    return it == rounds_.end() ? 0 : it->second;
  }

  size_t size() const { return rounds_.size(); }

 private:
  using Key = std::pair<AgentId, std::string>;

  void Forget(uint64_t durable_round) {
    while (!order_.empty() && order_.front().first <= durable_round) {
      auto it = rounds_.find(order_.front().second);
      if (it != rounds_.end() && it->second <= durable_round) rounds_.erase(it);
      order_.pop_front();
    }
  }

  absl::flat_hash_map<Key, uint64_t> rounds_;
  std::deque<std::pair<uint64_t, Key>> order_;
};

}  // namespace caxton::router
