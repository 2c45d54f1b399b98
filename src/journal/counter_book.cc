// SPDX-License-Identifier: Apache-2.0
#include "counter_book.h"

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/wire.h"

namespace caxton::journal {
namespace {

void Add(uint64_t* counter, int32_t delta) {
  CAXTON_ASSERT(delta >= 0 || *counter >= static_cast<uint64_t>(-int64_t{delta}),
                "a counter went below zero: rows and counters no longer agree");
  *counter += static_cast<uint64_t>(int64_t{delta});
}

}  // namespace

absl::Status CounterBook::Load(const Store& store) {
  absl::Status bad;
  RETURN_IF_ERROR(store.Scan(Table::kCounters, "", EndOfTable(),
                             [&](std::string_view key, std::string_view value) {
                               ByteReader r(key);
                               const AgentId agent(r.U32BigEndian());
                               bad = r.Finish("counters key");
                               if (!bad.ok()) return false;
                               absl::StatusOr<CounterRow> row = DecodeCounters(value);
                               if (!row.ok()) {
                                 bad = Annotate(row.status(), StrCat("agent ", agent.value()));
                                 return false;
                               }
                               entries_[agent].row = *row;
                               return true;
                             }));
  RETURN_IF_ERROR(bad);
  std::lock_guard lock(mutex_);
  for (const auto& [agent, entry] : entries_) shown_[agent] = entry.row;
  return absl::OkStatus();
}

void CounterBook::Apply(const CounterDelta& d) {
  CAXTON_ASSERT(int64_t{d.accepted} == int64_t{d.completed} + d.dead + d.dropped + d.waiting,
                "an op's counters do not balance");
  Entry& entry = entries_[d.agent];
  if (!entry.touched) {
    entry.touched = true;
    touched_.push_back(d.agent);
  }
  Add(&entry.row.accepted, d.accepted);
  Add(&entry.row.completed, d.completed);
  Add(&entry.row.dead, d.dead);
  Add(&entry.row.dropped, d.dropped);
  Add(&entry.row.waiting, d.waiting);
  Add(&entry.row.retries, d.retries);
}

void CounterBook::EndRound(RowBatch* rows) {
  if (touched_.empty()) return;
  std::lock_guard lock(mutex_);
  for (AgentId agent : touched_) {
    Entry& entry = entries_[agent];
    entry.touched = false;
    std::string value;
    Encode(entry.row, &value);
    rows->Put(Table::kCounters, AgentKey(agent), std::move(value));
    shown_[agent] = entry.row;
  }
  touched_.clear();
}

bool CounterBook::Reconcile(AgentId agent, uint64_t waiting) {
  Entry& entry = entries_[agent];
  if (entry.row.waiting == waiting) return true;
  entry.row.accepted = entry.row.accepted - entry.row.waiting + waiting;
  entry.row.waiting = waiting;
  if (!entry.touched) {
    entry.touched = true;
    touched_.push_back(agent);
  }
  std::lock_guard lock(mutex_);
  shown_[agent] = entry.row;
  return false;
}

CounterRow CounterBook::Get(AgentId agent) const {
  std::lock_guard lock(mutex_);
  auto it = shown_.find(agent);
  return it == shown_.end() ? CounterRow() : it->second;
}

CounterRow CounterBook::Total() const {
  CounterRow sum;
  std::lock_guard lock(mutex_);
  for (const auto& [agent, row] : shown_) {
    sum.accepted += row.accepted;
    sum.completed += row.completed;
    sum.dead += row.dead;
    sum.dropped += row.dropped;
    sum.waiting += row.waiting;
    sum.retries += row.retries;
  }
  return sum;
}

std::vector<AgentId> CounterBook::agents() const {
  std::vector<AgentId> agents;
  for (const auto& [agent, entry] : entries_) agents.push_back(agent);
  return agents;
}

}  // namespace caxton::journal
