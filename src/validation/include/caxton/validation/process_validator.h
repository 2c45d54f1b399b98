// SPDX-License-Identifier: Apache-2.0
//
// The Validator of production: one jailed child of caxton-worker per validation.
//
// Lifecycle: StartValidator starts one thread, which spawns (and so must outlive) the children.
// Destroying it kills them and calls no `done` that is still owed. Thread rule: as Validator.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/platform/cgroup.h"
#include "caxton/supervisor/artifact_store.h"
#include "caxton/telemetry/log.h"
#include "caxton/telemetry/metrics.h"
#include "caxton/validation/limits.h"
#include "caxton/validation/validator.h"

namespace caxton::validation {

struct ValidatorOptions {
  std::string worker_path;  // absolute: caxton-worker
  std::string engine_key;   // supervisor::WorkerIdentity::EngineKey()
  bool jail = true;         // false only where the host forbids it, and in tests
  int64_t cpu_limit_seconds = kCompilerCpuSeconds;
  int64_t init_limit_ms = kInitLimitMs;
};

// All outlive the validator.
struct ValidatorDeps {
  const Clock* clock = nullptr;
  supervisor::ArtifactStore* artifacts = nullptr;
  platform::CgroupManager* cgroups = nullptr;
  telemetry::Logger* log = nullptr;
  telemetry::Metrics* metrics = nullptr;
};

absl::StatusOr<std::unique_ptr<Validator>> StartValidator(const ValidatorOptions& options,
                                                          const ValidatorDeps& deps);

}  // namespace caxton::validation
