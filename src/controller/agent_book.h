// SPDX-License-Identifier: Apache-2.0
//
// AgentBook: the agents, their revisions and their routes, as the controller knows them, and the
// rows that record them. Thread rule: the controller's strand.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "caxton/journal/journal.h"
#include "caxton/model/deployment_spec.h"
#include "caxton/model/revision.h"
#include "caxton/router/route_table.h"

namespace caxton::controller {

struct AgentEntry {
  journal::AgentRecord record;
  journal::RouteRecord route;
  std::map<RevisionNumber, std::shared_ptr<const Revision>> revisions;
  // Of the revisions that have workers now.
  std::map<RevisionNumber, router::RevisionRoute> running;
  DeploymentId active;                // VALIDATING or DEPLOYING; 0: none
  std::vector<DeploymentId> queued;   // oldest first; the newest wins
  std::vector<DeploymentId> history;  // oldest first
  // Of the deployment being judged: its traffic clock.
  int64_t clock_base_ns = 0;
  int64_t clock_offset_ms = 0;
  bool closed = false;
  std::shared_ptr<router::AgentLoad> load = std::make_shared<router::AgentLoad>();

  std::shared_ptr<const Revision> Find(RevisionNumber number) const;
  bool IsWithdrawn(RevisionNumber number) const;  // among the last that were
  // What a new deployment takes over from: in a judged cleanup window that is the candidate. Number
  // 0: none.
  RevisionRef Serving() const;
};

// The number under which a second group of workers runs `stable` for a shadow's comparison. Numbers
// that are given out never have this bit.
inline RevisionNumber SecondaryOf(RevisionNumber stable) {
  constexpr uint32_t kSecondaryBit = 1u << 31;
  return RevisionNumber(stable.value() | kSecondaryBit);
}

class AgentBook {
 public:
  void Load(const journal::JournalImage& image);

  AgentEntry* Find(std::string_view name);
  AgentEntry* Find(AgentId id);
  // A new agent; its row goes into `rows`.
  AgentEntry* Create(const std::string& name, int64_t wall_ns, journal::RowBatch* rows);
  void Remove(AgentId id);
  std::vector<AgentEntry*> All();  // by name
  std::vector<std::string> Names() const;
  size_t size() const { return by_id_.size(); }

  // Gives `revision` the agent's next number and keeps it.
  std::shared_ptr<const Revision> AddRevision(AgentEntry* agent, Revision revision,
                                              journal::RowBatch* rows);
  void UpdateRevision(AgentEntry* agent, Revision revision, journal::RowBatch* rows);
  // The row that makes `route` its agent's; the caller sets AgentEntry::route when it may be
  // followed.
  static void PutRoute(const journal::RouteRecord& route, journal::RowBatch* rows);

  // The snapshot for the router: what of the route has workers now.
  std::shared_ptr<const router::AgentRoute> Snapshot(const AgentEntry& agent) const;

 private:
  static void AddShadow(const AgentEntry& agent, router::RevisionRoute shadow,
                        router::AgentRoute* route);

  absl::flat_hash_map<AgentId, std::unique_ptr<AgentEntry>> by_id_;
  absl::flat_hash_map<std::string, AgentId> by_name_;
  uint32_t next_agent_ = 1;
};

}  // namespace caxton::controller
