// SPDX-License-Identifier: Apache-2.0
//
// ApiServer: the gRPC services of caxton.v1 with health and reflection, over the controller, the
// router and the journal; the same calls as HTTP/JSON by connect().
//
// Lifecycle: Start binds and serves; SetServing(false) makes health say so; Stop ends open calls
// (streams get UNAVAILABLE) and returns once none is left. What it is given outlives it. Thread
// rule: Start and Stop from one thread; the services run on gRPC's threads, decode, enqueue, and
// never wait.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caxton/api/connect.h"
#include "caxton/base/clock.h"
#include "caxton/base/random.h"
#include "caxton/controller/command_book.h"
#include "caxton/controller/controller.h"
#include "caxton/journal/journal.h"
#include "caxton/router/router.h"
#include "caxton/supervisor/artifact_store.h"
#include "caxton/supervisor/supervisor.h"

namespace caxton::api {

// What `caxton server status` shows beside the parts' own figures.
struct ServerFacts {
  std::string version;
  std::string data_dir;
  std::string http_address;
  bool dev = false;
  double time_scale = 1;
  std::string cgroup_mode;
  std::vector<std::string> warnings;
};

struct DoctorCheck {
  enum class Status { kOk, kWarning, kProblem };
  std::string name;
  Status status = Status::kOk;
  std::string detail, fix;
};

// Lines agents logged, kept for `caxton agent logs`.
struct LogEntry {
  uint64_t number = 0;  // from 1, per agent
  int64_t at_ns = 0;    // wall clock
  std::string revision;
  uint8_t level = 2;
  std::string text;
};
class AgentLogs {
 public:
  virtual ~AgentLogs() = default;
  // Lines of `agent` with number > `after`, oldest first, at most `most`.
  virtual std::vector<LogEntry> Read(const std::string& agent, uint64_t after,
                                     size_t most) const = 0;
};

// Of the journal's latest group commits. Nanoseconds.
struct CommitTimes {
  size_t count = 0;  // 0: none yet
  int64_t p50_ns = 0, p99_ns = 0;
};

struct ApiDeps {
  controller::Controller* controller = nullptr;
  controller::CommandBook* commands = nullptr;
  router::Router* router = nullptr;
  journal::Journal* journal = nullptr;
  supervisor::Supervisor* supervisor = nullptr;
  supervisor::ArtifactStore* artifacts = nullptr;
  AgentLogs* logs = nullptr;
  const Clock* clock = nullptr;
  RandomSource* random = nullptr;  // thread-safe
  ServerFacts facts;
  std::function<CommitTimes()> commit_times;  // any thread
  std::function<std::vector<DoctorCheck>()> doctor;
};

class ApiServer {
 public:
  // `listen`: "127.0.0.1:50051"; port 0 picks one. Only loopback addresses are accepted: there is
  // no TLS and no token yet. ALREADY_EXISTS where the port is taken.
  static absl::StatusOr<std::unique_ptr<ApiServer>> Start(const std::string& listen, ApiDeps deps);
  virtual ~ApiServer() = default;
  // "127.0.0.1:50051", with the port that was bound.
  virtual std::string address() const = 0;
  // The same calls as HTTP/JSON, for the HTTP server.
  virtual ConnectFront* connect() = 0;
  virtual void SetServing(bool serving) = 0;
  virtual void Stop() = 0;
};

}  // namespace caxton::api
