// SPDX-License-Identifier: Apache-2.0
//
// Controller: runs deployments. One strand; each transition of the state machine
// (caxton/deployment) is journaled before its effects where it gives traffic, and after its
// withdrawal where it takes traffic. After a crash Recover continues every deployment where its
// record says. docs/internals/life-of-a-deployment.md tells the whole way.
//
// Lifecycle: Make, Recover (before the router recovers), StartServing (after), serve, Stop;
// destroyed after its strand has stopped. Thread rule: every method from any thread; callbacks run
// on the controller's strand and must not block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/base/random.h"
#include "caxton/controller/command_book.h"
#include "caxton/controller/limits.h"
#include "caxton/controller/views.h"
#include "caxton/journal/journal.h"
#include "caxton/router/router.h"
#include "caxton/supervisor/artifact_store.h"
#include "caxton/supervisor/supervisor.h"
#include "caxton/validation/validator.h"

namespace caxton::controller {

template <typename T>
using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;

// What a caller adds to a command. Both are looked at where the command is carried out: nothing
// happens between the look and the act.
struct CommandTerms {
  // Of the deployment that the target means (of the agent: where it is created, set or removed),
  // else ABORTED, ETAG_MISMATCH. Empty: however it is by now.
  std::string etag;
  // Journaled in one batch with the command's effect. A claim of an earlier start is answered from
  // its record, and the command not carried out.
  CommandClaim claim;
  std::string reason = {};  // why, as a person says; abort and rollback put it on record
};

struct DeployRequest {
  std::string agent;
  std::string label;  // --version; may be empty
  Digest module;      // in the artifact store; all zero: the stable revision's (agent set)
  DeploymentSpec spec;
  RevisionOverrides overrides;
  bool force = false;
  bool validate_only = false;
  // Broken and undecided contracts are let through; on record with `requested_by`, which is then
  // not empty.
  bool allow_breaking = false;
  std::string requested_by;  // who asks, as far as it is known
  CommandTerms terms;
};

struct PromoteRequest {
  std::string target;
  std::string from_stage;  // a StageName; empty: the current one
  bool full = false;
  CommandTerms terms;
};

struct RollbackRequest {
  std::string target;  // an agent's name or "dep-N"
  RevisionNumber to;   // 0: the last that was not withdrawn
  int64_t drain_ns = 0;
  CommandTerms terms;
};

// What one clean-up by age has dropped.
struct CleanedUp {
  size_t deployments = 0;  // their records
  size_t evidence = 0;     // deployments whose evidence went
  size_t revisions = 0;
  absl::Status swept;  // of the files of modules that nobody names
};

struct ControllerDeps {
  Executor* executor = nullptr;
  journal::Journal* journal = nullptr;
  const Clock* clock = nullptr;
  RandomSource* random = nullptr;
  router::Router* router = nullptr;
  supervisor::Supervisor* supervisor = nullptr;
  supervisor::ArtifactStore* artifacts = nullptr;
  validation::Validator* validator = nullptr;
  int64_t time_scale = 1;                           // --dev --time-scale: divides stage durations
  size_t max_deployments = kDefaultMaxDeployments;  // under way at once, at least 1
  // For work that may block or takes long (files, evidence), its alone; null: modules are swept at
  // the start only, and evidence is folded on the strand.
  Executor* cleaner = nullptr;
  int64_t keep_evidence_ns = kDefaultKeepEvidenceNs;  // after a deployment's end, at least
  int64_t keep_ended_ns = kDefaultKeepEndedNs;        // kMinKeepNs
  // After each clean-up, on the cleaner. May be empty.
  std::function<void(const CleanedUp&)> on_cleaned;
  // A shadow's report, about once a second and when it ends; on the strand. May be empty.
  std::function<void(const DeploymentView&)> on_compared;
  // Transitions, for logs and metrics; on the strand. May be empty.
  std::function<void(const DeploymentView&, std::string_view event)> on_transition;
};

class Controller {
 public:
  static std::unique_ptr<Controller> Make(ControllerDeps deps);
  virtual ~Controller() = default;

  // Publishes the recorded routes, without workers: messages wait. Called once, before messages are
  // recovered; not on the strand and before the strand has work.
  virtual absl::Status Recover() = 0;
  // Starts the workers and resumes deployments. After the router has read every waiting message:
  // a step that ran before could put a message ahead of older ones of its key.
  virtual void StartServing() = 0;
  // No further transition begins.
  virtual void Stop() = 0;

  // ---- commands. `target` is an agent's name or "dep-N".
  virtual void Deploy(DeployRequest request, Done<DeployOutcome> done) = 0;
  // Several agents, one request each, switched in one route change: all of them or none. An agent
  // that serves the same content already is left out, unless forced; of the others none may have a
  // deployment under way. Strategies direct and blue-green, without a wait.
  // `claim` is the group's; those of its members are not looked at.
  virtual void DeployGroup(std::vector<DeployRequest> requests, CommandClaim claim,
                           Done<GroupOutcome> done) = 0;
  virtual void Promote(PromoteRequest request, Done<DeploymentView> done) = 0;
  virtual void Pause(std::string target, CommandTerms terms, Done<DeploymentView> done) = 0;
  virtual void Resume(std::string target, CommandTerms terms, Done<DeploymentView> done) = 0;
  virtual void Abort(std::string target, CommandTerms terms, Done<DeploymentView> done) = 0;
  virtual void Retry(std::string target, CommandClaim claim, Done<DeployOutcome> done) = 0;
  // Answers when the restored revision serves and the withdrawn one's workers are gone.
  virtual void Rollback(RollbackRequest request, Done<RollbackOutcome> done) = 0;
  // Who asks again while it is removed in the same way gets the same answer.
  virtual void RemoveAgent(std::string name, router::RemoveMode mode, CommandTerms terms,
                           Done<RemoveOutcome> done) = 0;
  virtual void Validate(DeployRequest request, Done<validation::ValidationReport> done) = 0;

  // ---- reads
  virtual void GetDeployment(std::string target, Done<DeploymentView> done) = 0;
  // Newest first; of one agent, or of all where `agent` is empty.
  virtual void ListDeployments(std::string agent, Done<std::vector<DeploymentView>> done) = 0;
  virtual void GetAgent(std::string name, Done<AgentView> done) = 0;
  virtual void ListAgents(Done<std::vector<AgentView>> done) = 0;
  virtual void History(std::string name, Done<std::vector<HistoryEntry>> done) = 0;
  virtual void Explain(std::string target, Done<Explanation> done) = 0;

  // `changed` gets the current view at once, then one after each transition and about one a second
  // while a clock runs, until Unwatch. `ended` says why nothing comes any more, where the
  // deployment goes from the record (its agent was removed) before Unwatch. `done` gets the id for
  // Unwatch.
  using Watcher = std::function<void(const DeploymentView& view, bool transition)>;
  using WatchEnded = absl::AnyInvocable<void(absl::Status why)>;
  virtual void Watch(std::string target, Watcher changed, WatchEnded ended,
                     Done<uint64_t> done) = 0;
  virtual void Unwatch(uint64_t id) = 0;

  // From the router's observer: one settled first run.
  virtual void Observe(const Observation& observation) = 0;
  // From the router's observer, on the mirror's strand: the comparison is made there and then.
  virtual void OnMirrored(const MirroredStep& step) = 0;
  virtual void OnMirrorFate(DeploymentId deployment, MirrorFate fate, int64_t count) = 0;
};

// "canary 5%", "full", "validate", "cleanup", ...: what `from_stage` of Promote names.
std::string StageName(const deployment::DeploymentStatus& status);
// "canary 5%", "preview", "shadow".
std::string StageName(const deployment::StagePlan& stage);

}  // namespace caxton::controller
