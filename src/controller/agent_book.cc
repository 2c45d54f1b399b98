// SPDX-License-Identifier: Apache-2.0
#include "agent_book.h"

#include <algorithm>

#include "caxton/base/assert.h"

namespace caxton::controller {

using journal::Table;

std::shared_ptr<const Revision> AgentEntry::Find(RevisionNumber number) const {
  auto it = revisions.find(number);
  return it == revisions.end() ? nullptr : it->second;
}

bool AgentEntry::IsWithdrawn(RevisionNumber number) const {
  return std::find(route.withdrawn.begin(), route.withdrawn.end(), number) != route.withdrawn.end();
}

RevisionRef AgentEntry::Serving() const {
  const bool full = route.candidate.valid() && route.weight_ppm == kFullWeightPpm;
  const RevisionNumber number = full || !route.stable.valid() ? route.candidate : route.stable;
  return number.valid() ? RevisionRef{record.id, number} : RevisionRef{};
}

void AgentBook::Load(const journal::JournalImage& image) {
  for (const journal::AgentRecord& record : image.agents) {
    next_agent_ = std::max(next_agent_, record.id.value() + 1);
    if (record.removed) continue;  // a tombstone: its number is not given out again
    auto entry = std::make_unique<AgentEntry>();
    entry->record = record;
    entry->route.agent = record.id;
    entry->load->retain.store(record.retain);
    entry->closed = record.removing != 0;
    by_name_[record.name] = record.id;
    by_id_[record.id] = std::move(entry);
  }
  for (const Revision& revision : image.revisions) {
    if (AgentEntry* agent = Find(revision.ref.agent); agent != nullptr) {
      agent->revisions[revision.ref.number] = std::make_shared<Revision>(revision);
    }
  }
  for (const journal::RouteRecord& route : image.routes) {
    if (AgentEntry* agent = Find(route.agent); agent != nullptr) agent->route = route;
  }
}

AgentEntry* AgentBook::Find(std::string_view name) {
  auto it = by_name_.find(std::string(name));
  return it == by_name_.end() ? nullptr : Find(it->second);
}

AgentEntry* AgentBook::Find(AgentId id) {
  auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second.get();
}

AgentEntry* AgentBook::Create(const std::string& name, int64_t wall_ns, journal::RowBatch* rows) {
  CAXTON_ASSERT(Find(name) == nullptr, "names are unique");
  auto entry = std::make_unique<AgentEntry>();
  entry->record.id = AgentId(next_agent_++);
  entry->record.name = name;
  entry->record.created_ns = wall_ns;
  entry->route.agent = entry->record.id;
  std::string bytes;
  journal::Encode(entry->record, &bytes);
  rows->Put(Table::kAgents, journal::AgentKey(entry->record.id), std::move(bytes));
  AgentEntry* agent = entry.get();
  by_name_[name] = agent->record.id;
  by_id_[agent->record.id] = std::move(entry);
  return agent;
}

void AgentBook::Remove(AgentId id) {
  AgentEntry* agent = Find(id);
  if (agent == nullptr) return;
  by_name_.erase(agent->record.name);
  by_id_.erase(id);
}

std::vector<AgentEntry*> AgentBook::All() {
  std::vector<AgentEntry*> all;
  for (auto& [id, entry] : by_id_) all.push_back(entry.get());
  std::sort(all.begin(), all.end(), [](const AgentEntry* a, const AgentEntry* b) {
    return a->record.name < b->record.name;
  });
  return all;
}

std::vector<std::string> AgentBook::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, id] : by_name_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::shared_ptr<const Revision> AgentBook::AddRevision(AgentEntry* agent, Revision revision,
                                                       journal::RowBatch* rows) {
  revision.ref = RevisionRef{agent->record.id, RevisionNumber(agent->record.next_revision++)};
  std::string bytes;
  journal::Encode(agent->record, &bytes);
  rows->Put(Table::kAgents, journal::AgentKey(agent->record.id), std::move(bytes));
  const RevisionNumber number = revision.ref.number;
  UpdateRevision(agent, std::move(revision), rows);
  return agent->Find(number);
}

void AgentBook::UpdateRevision(AgentEntry* agent, Revision revision, journal::RowBatch* rows) {
  std::string bytes;
  EncodeRevision(revision, &bytes);
  rows->Put(Table::kRevisions, journal::RevisionKey(revision.ref), std::move(bytes));
  const RevisionNumber number = revision.ref.number;
  agent->revisions[number] = std::make_shared<Revision>(std::move(revision));
}

void AgentBook::PutRoute(const journal::RouteRecord& route, journal::RowBatch* rows) {
  std::string bytes;
  journal::Encode(route, &bytes);
  rows->Put(Table::kRoutes, journal::AgentKey(route.agent), std::move(bytes));
}

// Copies are made once everybody who is to run them is there: what only some ran compares nothing.
void AgentBook::AddShadow(const AgentEntry& agent, router::RevisionRoute shadow,
                          router::AgentRoute* route) {
  if (!shadow) return;
  if (agent.route.secondary) {
    auto it = agent.running.find(SecondaryOf(agent.route.stable));
    if (it == agent.running.end()) return;
    route->secondary = it->second;
  }
  route->shadow = std::move(shadow);
  route->mirror_ppm = agent.route.mirror_ppm;
  route->mirrored = agent.route.deployment;
}

std::shared_ptr<const router::AgentRoute> AgentBook::Snapshot(const AgentEntry& agent) const {
  auto route = std::make_shared<router::AgentRoute>();
  route->id = agent.record.id;
  route->name = agent.record.name;
  auto running = [&agent](RevisionNumber number) {
    auto it = agent.running.find(number);
    return it == agent.running.end() ? router::RevisionRoute{} : it->second;
  };
  route->stable = running(agent.route.stable);
  // While stable is still starting (after a restart) its messages wait; they are not the
  // candidate's.
  if (route->stable || !agent.route.stable.valid()) {
    if (agent.route.shadow) {
      AddShadow(agent, running(agent.route.candidate), route.get());
    } else {
      route->candidate = running(agent.route.candidate);
    }
  }
  route->weight_ppm = agent.route.weight_ppm;
  route->salt = agent.route.salt;
  route->stick_to_message = agent.route.stick_to_message;
  if (!agent.route.shadow) route->judged = agent.route.deployment;
  route->clock_base_ns = agent.clock_base_ns;
  route->clock_offset_ms = agent.clock_offset_ms;
  route->closed = agent.closed;
  route->withdrawn = agent.route.withdrawn;
  route->load = agent.load;
  return route;
}

}  // namespace caxton::controller
