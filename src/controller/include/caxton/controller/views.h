// SPDX-License-Identifier: Apache-2.0
//
// What the controller tells others: copies, made on its strand.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caxton/analysis/history.h"
#include "caxton/analysis/judge.h"
#include "caxton/analysis/shadow.h"
#include "caxton/deployment/status.h"
#include "caxton/journal/records.h"
#include "caxton/model/deployment_spec.h"
#include "caxton/model/revision.h"
#include "caxton/supervisor/revision_workers.h"
#include "caxton/validation/validator.h"

namespace caxton::controller {

struct DeploymentView {
  deployment::DeploymentStatus status;
  std::shared_ptr<const Revision> candidate;
  std::shared_ptr<const Revision> stable;                  // null: none
  std::optional<analysis::JudgeNumbers> numbers;           // while judged, and the last ones after
  std::optional<analysis::ShadowReport> shadow;            // of a shadow, as far as it has come
  std::optional<analysis::HistoryReport> history;          // of a replay, as far as it has come
  std::optional<validation::ValidationReport> validation;  // of this server's life
  int64_t elapsed_ns = 0;  // of the stage or the cleanup window, now
  int64_t remaining_ns = 0;
  uint64_t interrupted = 0;  // of a rollback: steps that were running and did not commit
  uint64_t redelivered = 0;
  DeploymentId queued_behind;  // while it waits: the agent's deployment in progress
  size_t place_in_queue = 0;   // while it waits for a place on the server: from 1
};

struct AgentView {
  journal::AgentRecord record;
  std::shared_ptr<const Revision> stable;     // null: none yet
  std::shared_ptr<const Revision> candidate;  // null: none
  uint32_t weight_ppm = 0;
  std::string etag;
  std::optional<deployment::DeploymentStatus> deployment;  // the newest
  std::optional<supervisor::WorkersStatus> stable_workers, candidate_workers;
  journal::CounterRow counters;
  int64_t refused = 0;
  double error_rate = 0;            // of stable's steps, about the last minute
  double candidate_error_rate = 0;  // of the candidate's
  int64_t oldest_waiting_ns = 0;
};

struct HistoryEntry {
  Revision revision;
  std::optional<deployment::DeploymentStatus> deployment;
  bool withdrawn = false;
  bool restorable = false;  // a rollback can return to it
  uint32_t weight_ppm = 0;  // of the agent's traffic now
};

struct FieldChange {
  std::string field, before, after;
};

struct DeployOutcome {
  DeploymentView view;  // not set with already_running or validate_only
  bool already_running = false;
  std::optional<validation::ValidationReport> validation;  // validate_only
  std::vector<FieldChange> changes;                        // against the stable revision
};

struct GroupOutcome {
  std::vector<DeploymentView> made;          // in the order of the requests
  std::vector<std::string> already_running;  // agents left out: the same content serves there
};

// What a caller names who wants to change exactly what it has seen. It is another after every
// change but the progress of a clock, and the same after a restart.
std::string EtagOf(const deployment::DeploymentStatus& status);

struct RollbackOutcome {
  DeploymentView view;   // of the deployment rolled back, or of the new one that restores
  std::string from, to;  // "greeter@7"
};

struct RemoveOutcome {
  int64_t drained = 0, dead_lettered = 0, dropped = 0;
};

struct Explanation {
  DeploymentView view;
  deployment::Verdict recomputed;
  analysis::JudgeNumbers numbers;
  int64_t evidence = 0;
  bool matches = false;
};

}  // namespace caxton::controller
