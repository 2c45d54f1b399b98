// SPDX-License-Identifier: Apache-2.0
#include "retention.h"

#include <algorithm>
#include <utility>

#include "caxton/base/status.h"
#include "caxton/journal/limits.h"

namespace caxton::journal {

absl::Status Retention::Load() {
  absl::Status bad;
  RETURN_IF_ERROR(
      store_->Scan(Table::kAgents, "", EndOfTable(), [&](std::string_view, std::string_view value) {
        absl::StatusOr<AgentRecord> agent = DecodeAgent(value);
        if (!agent.ok()) {
          bad = agent.status();
          return false;
        }
        if (agent->retain) states_[agent->id].row.on = true;
        return true;
      }));
  RETURN_IF_ERROR(bad);
  // Where retention was ever switched, its own row knows better than the agent's.
  RETURN_IF_ERROR(store_->Scan(Table::kMeta, kRetentionPrefix, PrefixEnd(kRetentionPrefix),
                               [&](std::string_view key, std::string_view value) {
                                 absl::StatusOr<AgentId> agent = ParseRetentionKey(key);
                                 absl::StatusOr<RetentionRow> row = DecodeRetention(value);
                                 if (!agent.ok()) bad = agent.status();
                                 if (!row.ok()) bad = row.status();
                                 if (!bad.ok()) return false;
                                 states_[*agent].row = *row;
                                 return true;
                               }));
  RETURN_IF_ERROR(bad);
  std::lock_guard lock(mutex_);
  for (const auto& [agent, state] : states_) {
    shown_[agent] = Shown{state.row.first, state.row.next};
  }
  return absl::OkStatus();
}

bool Retention::on(AgentId agent) const {
  auto it = states_.find(agent);
  return it != states_.end() && it->second.row.on;
}

Retention::State& Retention::Touch(AgentId agent) {
  State& state = states_[agent];
  if (!state.touched) {
    state.touched = true;
    state.round_first = state.row.next;
    touched_.push_back(agent);
  }
  return state;
}

void Retention::Switch(AgentId agent, bool on, RowBatch* rows) {
  State& state = Touch(agent);
  state.row.on = on;
  if (on) return;
  rows->DeleteRange(Table::kRetained, RetainedKey(agent, 0), PrefixEnd(AgentKey(agent)));
  state.row.first = state.row.next;
  state.row.bytes = 0;
}

void Retention::Append(AgentId agent, const RetainedRecord& record, RowBatch* rows) {
  auto it = states_.find(agent);
  if (it == states_.end() || !it->second.row.on) return;
  State& state = Touch(agent);
  std::string key = RetainedKey(agent, state.row.next);
  std::string value;
  Encode(record, &value);
  ++state.row.next;
  state.row.bytes += key.size() + value.size();
  rows->Put(Table::kRetained, std::move(key), std::move(value));
}

absl::Status Retention::EndRound(RowBatch* rows) {
  for (AgentId agent : touched_) {
    State& state = states_[agent];
    state.touched = false;
    if (state.row.bytes > max_bytes_) RETURN_IF_ERROR(Trim(agent, &state, rows));
    rows->Put(Table::kMeta, RetentionKey(agent), EncodeRetention(state.row));
    if (!std::exchange(state.unshown, true)) unshown_.push_back(agent);
  }
  touched_.clear();
  return absl::OkStatus();
}

// Drops more than it must, so that it does not have to every round. The rows of this round are not
// in the store yet: they stay, however little max_bytes_ is.
absl::Status Retention::Trim(AgentId agent, State* state, RowBatch* rows) const {
  const uint64_t target = max_bytes_ - max_bytes_ / kRetainedTrimShare;
  RetentionRow& row = state->row;
  const uint64_t from = row.first;
  absl::Status bad;
  RETURN_IF_ERROR(store_->Scan(
      Table::kRetained, RetainedKey(agent, row.first), RetainedKey(agent, state->round_first),
      [&](std::string_view key, std::string_view value) {
        absl::StatusOr<std::pair<AgentId, Seq>> id = ParseMessageKey(key);
        if (!id.ok()) {
          bad = id.status();
          return false;
        }
        row.bytes -= std::min<uint64_t>(row.bytes, key.size() + value.size());
        row.first = id->second.value() + 1;
        return row.bytes > target;
      }));
  RETURN_IF_ERROR(bad);
  if (row.first > from) {
    rows->DeleteRange(Table::kRetained, RetainedKey(agent, from), RetainedKey(agent, row.first));
  }
  return absl::OkStatus();
}

bool Retention::Watched() const {
  if (unshown_.empty()) return false;
  std::lock_guard lock(mutex_);
  for (const auto& [id, watcher] : watchers_) {
    if (std::find(unshown_.begin(), unshown_.end(), watcher.agent) != unshown_.end()) return true;
  }
  return false;
}

void Retention::Durable() {
  if (unshown_.empty()) return;
  std::vector<std::function<void()>> calls;
  {
    std::lock_guard lock(mutex_);
    for (AgentId agent : unshown_) {
      State& state = states_[agent];
      state.unshown = false;
      shown_[agent] = Shown{state.row.first, state.row.next};
    }
    for (const auto& [id, watcher] : watchers_) {
      if (std::find(unshown_.begin(), unshown_.end(), watcher.agent) != unshown_.end()) {
        calls.push_back(watcher.changed);
      }
    }
  }
  unshown_.clear();
  for (const std::function<void()>& call : calls) call();
}

absl::StatusOr<uint64_t> Retention::Scan(AgentId agent, uint64_t cursor, const Each& each) const {
  Shown shown;
  {
    std::lock_guard lock(mutex_);
    auto it = shown_.find(agent);
    if (it != shown_.end()) shown = it->second;
  }
  absl::Status bad;
  RETURN_IF_ERROR(store_->Scan(Table::kRetained, RetainedKey(agent, std::max(cursor, shown.first)),
                               RetainedKey(agent, shown.next),
                               [&](std::string_view key, std::string_view value) {
                                 absl::StatusOr<std::pair<AgentId, Seq>> id = ParseMessageKey(key);
                                 absl::StatusOr<RetainedRecord> record = DecodeRetained(value);
                                 if (!id.ok()) bad = id.status();
                                 if (!record.ok()) bad = record.status();
                                 return bad.ok() && each(id->second.value(), *record);
                               }));
  RETURN_IF_ERROR(bad);
  return shown.first;
}

uint64_t Retention::Watch(AgentId agent, std::function<void()> changed) {
  std::lock_guard lock(mutex_);
  const uint64_t id = next_watcher_++;
  watchers_.emplace(id, Watcher{agent, std::move(changed)});
  return id;
}

void Retention::Unwatch(uint64_t id) {
  std::lock_guard lock(mutex_);
  watchers_.erase(id);
}

}  // namespace caxton::journal
