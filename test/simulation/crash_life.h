// SPDX-License-Identifier: Apache-2.0
//
// Life: one server under a steady load that carries out the commands of a scenario and dies once,
// between two tasks of the simulated world. What it comes up with is held against what this test
// has seen for itself before: the records that were on the disk, its own clock, the observations
// that the router told, the shares that the routes gave.
//
// Lifecycle: construct (a first revision of each agent serves) -> ReachTransition -> RunTask, any
// number of times -> Crash, or not -> RunOut -> CheckEnd. Thread rule: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {

class Life;

// What a crash may cost a deployment: a tick of its clock, and workers and validation once more.
inline constexpr int64_t kLag = kTickNs;
inline constexpr int64_t kStartAgain = 300 * kNanosPerMilli;
// The clock of its stage or cleanup window.
bool ClockRuns(const deployment::DeploymentStatus& status);

using Told = std::shared_ptr<std::optional<absl::StatusOr<std::string>>>;

// A command: what it does under an idempotency key. Repeated after a crash that left it without an
// answer.
struct Asked {
  int64_t at_ns = 0;  // from the beginning
  std::function<Told(Life&, const std::string& key)> call;
};

struct Scenario {
  const char* name = "";
  std::vector<Asked> asked;       // the first one at once
  std::vector<std::string> path;  // each transition, without a crash: "2 Prepared"
  std::vector<std::string> end;   // what the deployments come to (Life::EndOf)
  // What their steps do; empty: echo.
  std::function<supervisor::testing::Script(const Life&)> stable = {}, candidate = {};
  std::function<void(Life&)> faults = {};  // after each start of the server
  std::vector<std::string> agents = {"agent"};
  int keys = 97;
  int64_t within_ns = 0;  // its last transition begins before that; 0: whenever
};

// A transition as it began.
struct Seen {
  std::string event;
  deployment::DeploymentStatus status;
  int64_t at_ns = 0;       // from the beginning
  int64_t elapsed_ns = 0;  // by then, of the stage or the cleanup window
};

// What a life without a crash came to.
struct Whole {
  std::vector<Seen> seen;
  std::vector<std::string> end;
  int64_t length_ns = 0;
};

class Life {
 public:
  explicit Life(const Scenario& scenario);

  // Gives the first command and runs until the `n`th transition has begun (0: until nothing has).
  // False: it came to no such transition.
  bool ReachTransition(size_t n);
  // Runs up to the first task that is due at `at_ns` or later.
  void ReachTime(int64_t at_ns);
  void RunTask();
  // Its record and all that follows from it without delay are done. (n = 0: the command is
  // answered.)
  bool IsOver(size_t n);
  // Kill or power cut, the next server's start, and all comparisons with what was before.
  void Crash(CrashKind kind);
  // To the end of a life of `length_ns`, then without further load.
  void RunOut(int64_t length_ns);
  void CheckEnd(const Whole& whole);
  Whole Take() &&;

  // After Crash: the transitions (from 1) that died before their record was on the disk, and those
  // that died after it in the same instant.
  const std::vector<size_t>& cut_before() const { return cut_before_; }
  const std::vector<size_t>& cut_after() const { return cut_after_; }

  // How far its record says that its stages and its cleanup window have come.
  int64_t Progress(DeploymentId id) const;

  int64_t Age() const { return server.world.MonoNanos() - begun_ns_; }
  const Digest& module(size_t i) const { return modules_[i]; }  // 0: what serves at first
  std::vector<std::string> EndOf();

  SimServer server;

 private:
  void Serve(const std::string& agent);
  void Ask(size_t i);
  void Tell();
  void OnTransition(const DeploymentView& view);
  int64_t ElapsedNs(const Seen& seen) const;
  const Seen* LastOnDisk(DeploymentId id) const;
  void ReadDisk();
  uint32_t LiveShare(const deployment::DeploymentStatus& status) const;
  std::map<DeploymentId, uint32_t> LiveShares() const;
  void NoteCuts();
  void CheckRecords(const std::map<DeploymentId, uint32_t>& shares);
  void CheckResumed();
  void CheckStatus(const deployment::DeploymentStatus& disk, const DeploymentView& now);
  void CheckShares(const std::vector<AgentView>& agents);
  void CheckElapsed(const DeploymentView& now);
  void CheckNumbers(const DeploymentView& now);
  void CheckComparison(const DeploymentView& now);
  void CheckMessages(const std::string& agent);
  void CheckEvidence(const deployment::DeploymentStatus& status);
  void CheckPath(const Whole& whole);

  const Scenario& scenario_;
  Executor* clients_;
  std::vector<Digest> modules_;
  std::map<std::string, AgentId> ids_;
  int64_t begun_ns_ = 0;
  bool loaded_ = false;
  int number_ = 0;
  std::vector<std::pair<std::string, std::shared_ptr<Caller>>> sent_;
  std::vector<Told> told_;  // by command; null: not given yet
  std::vector<Seen> seen_;  // up to the crash, and after it those that are on the disk
  std::vector<size_t> cut_before_, cut_after_;
  bool drained_by_crash_ = false;
  uint64_t syncs_ = 0;
  size_t synced_observations_ = 0;
  std::vector<int64_t> mirrored_at_;  // as server.mirrored
  std::map<DeploymentId, deployment::DeploymentStatus> disk_;
};

}  // namespace caxton::controller::testing
