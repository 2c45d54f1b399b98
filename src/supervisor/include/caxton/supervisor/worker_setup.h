// SPDX-License-Identifier: Apache-2.0
//
// What the server tells the worker program and asks it: the configuration of a revision, and which
// engine it has. Values. Thread rule: any thread.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/ipc/frames.h"
#include "caxton/model/revision.h"

namespace caxton::supervisor {

// The first frame of a worker of `revision`, and the input of a compiling child: the same for every
// start, so that every instance is initialized alike (fixed seed per agent, fixed clock per
// revision).
ipc::Configure MakeConfigure(const Revision& revision);
// RESOURCE_EXHAUSTED where the settings are more than a worker can be given.
absl::Status CheckSettings(const Revision& revision);
// What a worker of `revision` may use, all instances and the process itself.
int64_t WorkerMemoryBytes(const Revision& revision);

// What `caxton-worker --version` says.
struct WorkerIdentity {
  std::string version;        // "caxton-worker 0.1.0"
  std::string engine;         // "wasmtime 48.0.8"
  std::string engine_config;  // hex; covers the engine's configuration and the CPU's features

  // Names native code in the artifact store beside its module.
  std::string EngineKey() const { return engine + "/" + engine_config; }
};
// Runs `worker_path --version`; blocks for at most kIdentityLimitMs. For the server's start.
absl::StatusOr<WorkerIdentity> AskWorkerIdentity(const std::string& worker_path);
// Reads its three lines.
absl::StatusOr<WorkerIdentity> ParseWorkerIdentity(std::string_view text);

}  // namespace caxton::supervisor
