// SPDX-License-Identifier: Apache-2.0
//
// The Supervisor of production: real worker processes, each in its own cgroup behind its own
// channel.
//
// Lifecycle: StartSupervisor reads what an earlier server left in the slot directory and starts one
// thread, which spawns (and so must outlive) every worker. Destroying it kills and reaps all of
// them and calls nothing any more: neither the sink nor a `done` that is still owed. Stop revisions
// first where their ends matter. Thread rule: as Supervisor. One reader thread per worker besides.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/platform/cgroup.h"
#include "caxton/supervisor/artifact_store.h"
#include "caxton/supervisor/supervisor.h"
#include "caxton/telemetry/log.h"
#include "caxton/telemetry/metrics.h"

namespace caxton::supervisor {

struct SupervisorOptions {
  std::string worker_path;     // absolute: caxton-worker
  std::string slot_directory;  // made if missing; one server at a time
  std::string engine_key;      // WorkerIdentity::EngineKey()
  bool jail = true;            // false only where the host forbids it, and in tests
};

// All outlive the supervisor, and the clock every RevisionWorkers as well.
struct SupervisorDeps {
  const Clock* clock = nullptr;
  ArtifactStore* artifacts = nullptr;
  platform::CgroupManager* cgroups = nullptr;
  StepSink* sink = nullptr;
  telemetry::Logger* log = nullptr;
  telemetry::Metrics* metrics = nullptr;
  // What each worker that comes up says of its jail: the parts that this machine does not enforce.
  // On the supervisor's thread; may be empty.
  std::function<void(const std::vector<std::string>& not_enforced)> on_jail;
};

absl::StatusOr<std::unique_ptr<Supervisor>> StartSupervisor(const SupervisorOptions& options,
                                                            const SupervisorDeps& deps);

}  // namespace caxton::supervisor
