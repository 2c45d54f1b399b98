// SPDX-License-Identifier: Apache-2.0
#include "caxton/router/route_table.h"

#include <algorithm>

namespace caxton::router {

bool AgentRoute::IsWithdrawn(RevisionNumber revision) const {
  return std::find(withdrawn.begin(), withdrawn.end(), revision) != withdrawn.end();
}

bool AgentRoute::DrawsCandidate(uint64_t hash) const { return hash % 1'000'000 < weight_ppm; }

bool AgentRoute::DrawsShadow(std::string_view message_id) const {
  return shadow && mirrored.valid() && SipHash24(salt, message_id) % 1'000'000 < mirror_ppm;
}

std::shared_ptr<const AgentRoute> RouteTable::Find(std::string_view name) const {
  auto it = by_name_.find(absl::string_view(name.data(), name.size()));
  return it == by_name_.end() ? nullptr : Find(it->second);
}

std::shared_ptr<const AgentRoute> RouteTable::Find(AgentId id) const {
  auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

std::vector<std::string> RouteTable::Names() const {
  std::vector<std::string> names;
  names.reserve(by_name_.size());
  for (const auto& [name, id] : by_name_) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::shared_ptr<const RouteTable> RouteTable::With(
    std::vector<std::shared_ptr<const AgentRoute>> routes) const {
  auto copy = std::make_shared<RouteTable>(*this);
  for (std::shared_ptr<const AgentRoute>& route : routes) {
    copy->by_name_[route->name] = route->id;
    const AgentId id = route->id;
    copy->by_id_[id] = std::move(route);
  }
  return copy;
}

std::shared_ptr<const RouteTable> RouteTable::Without(AgentId id) const {
  auto copy = std::make_shared<RouteTable>(*this);
  if (auto it = copy->by_id_.find(id); it != copy->by_id_.end()) {
    // A re-created agent of the same name has another id and keeps its entry.
    auto name = copy->by_name_.find(it->second->name);
    if (name != copy->by_name_.end() && name->second == id) copy->by_name_.erase(name);
    copy->by_id_.erase(it);
  }
  return copy;
}

RouteTables::RouteTables() : current_(std::make_shared<RouteTable>()) {}

void RouteTables::Publish(std::vector<std::shared_ptr<const AgentRoute>> routes) {
  MutexLock lock(&mutex_);
  current_ = current_->With(std::move(routes));
  version_.fetch_add(1, std::memory_order_release);
}

void RouteTables::Remove(AgentId id) {
  MutexLock lock(&mutex_);
  current_ = current_->Without(id);
  version_.fetch_add(1, std::memory_order_release);
}

std::shared_ptr<const RouteTable> RouteTables::Current() const {
  MutexLock lock(&mutex_);
  return current_;
}

const RouteTable& RouteReader::Get() {
  const uint64_t version = tables_->version();
  if (version != seen_) {
    cached_ = tables_->Current();
    seen_ = version;
  }
  return *cached_;
}

}  // namespace caxton::router
