// SPDX-License-Identifier: Apache-2.0
//
// SimServer: router, journal, controller and fakes of worker, validator and disk, wired as the real
// server wires them, on one simulated clock and one thread. What a revision's steps do is a script
// per module.
//
// Lifecycle: construct (starts) -> use -> Crash (kill -9, or a power cut) and Start, any number of
// times. What the disk holds survives a crash; nothing else does, and no answer comes after it.
// Thread rule: one thread. How to use: start calls, then run `world`; the methods with a result run
// it themselves.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caxton/base/random.h"
#include "caxton/base/testing/sim_world.h"
#include "caxton/controller/controller.h"
#include "caxton/journal/journal.h"
#include "caxton/journal/testing/mem_store.h"
#include "caxton/router/router.h"
#include "caxton/supervisor/testing/fake_supervisor.h"
#include "caxton/supervisor/testing/memory_artifact_store.h"
#include "caxton/validation/testing/fake_validator.h"

namespace caxton::controller::testing {

struct SimServerOptions {
  uint64_t seed = 1;
  size_t shards = 2;
  size_t max_deployments = kDefaultMaxDeployments;
  int64_t keep_evidence_ns = kDefaultKeepEvidenceNs;
  int64_t keep_ended_ns = kDefaultKeepEndedNs;
  supervisor::testing::FakeSupervisorOptions workers;
};

// What a caller got; filled in when its answer comes.
struct Caller {
  int answers = 0;
  std::optional<router::Answer> answer;
  bool ok() const { return answer.has_value() && answer->status.ok(); }
  absl::StatusCode code() const {
    return answer.has_value() ? answer->status.code() : absl::StatusCode::kUnknown;
  }
};

enum class CrashKind : uint8_t { kKill, kPowerCut };

class SimServer final : private router::RouterObserver {
 public:
  explicit SimServer(const SimServerOptions& options = {});
  ~SimServer() override;

  // The whole server dies at once. A power cut also drops what was not synced, but for the first
  // `survivors` writes of it.
  void Crash(CrashKind kind = CrashKind::kKill, size_t survivors = 0);
  // Not after the construction; recovery has begun when this returns.
  void Start();
  bool up() const { return controller != nullptr; }

  // A module of this name; its steps do what `script` says.
  Digest AddModule(const std::string& name, supervisor::testing::Script script);

  // ---- messages
  static Envelope To(const std::string& agent, const std::string& content,
                     const std::string& key = "");
  std::shared_ptr<Caller> Send(Envelope envelope);
  std::shared_ptr<Caller> Request(Envelope envelope);

  // ---- commands; each runs the world until it is answered, at most for `limit_ns`.
  template <typename T>
  absl::StatusOr<T> Ask(const std::function<void(Done<T>)>& call,
                        int64_t limit_ns = 600 * kNanosPerSecond) {
    auto got = std::make_shared<std::optional<absl::StatusOr<T>>>();
    call([got](absl::StatusOr<T> answer) { *got = std::move(answer); });
    world.RunUntil([&got] { return got->has_value(); }, limit_ns);
    return got->has_value() ? **got : absl::DeadlineExceededError("no answer");
  }
  absl::StatusOr<DeployOutcome> Deploy(DeployRequest request);
  absl::StatusOr<GroupOutcome> Group(const std::vector<DeployRequest>& requests) {
    return Ask<GroupOutcome>(
        [&](Done<GroupOutcome> done) { controller->DeployGroup(requests, {}, std::move(done)); });
  }
  static DeployRequest Direct(const std::string& agent, const Digest& module);
  static DeployRequest Canary(const std::string& agent, const Digest& module,
                              const std::string& stages, const std::string& conditions);
  // The newest deployment of an agent, or "dep-N".
  absl::StatusOr<DeploymentView> Get(const std::string& target);
  // Runs until the deployment is in `state`.
  bool Await(const std::string& target, deployment::DeploymentState state,
             int64_t limit_ns = 3'600 * kNanosPerSecond);
  absl::StatusOr<RollbackOutcome> Rollback(RollbackRequest request);
  absl::StatusOr<RemoveOutcome> Remove(const std::string& agent, router::RemoveMode mode);
  // As the API does with an idempotency key: carried out once per key, `answer` made of the
  // outcome. Does not run the world.
  template <typename T>
  std::shared_ptr<std::optional<absl::StatusOr<std::string>>> Once(
      const std::string& key, const std::string& request,
      const std::function<void(CommandClaim, Done<T>)>& call,
      std::function<std::string(const T&)> answer) {
    auto got = std::make_shared<std::optional<absl::StatusOr<std::string>>>();
    auto told = [got](const absl::StatusOr<std::string>& answer) { *got = answer; };
    std::optional<CommandClaim> claim = commands->Begin("Call", key, {{"request", request}}, told);
    if (!claim.has_value()) return got;
    const uint64_t number = claim->number;
    call(*std::move(claim), [book = commands.get(), number, told,
                             answer = std::move(answer)](absl::StatusOr<T> outcome) {
      book->Settle(number,
                   outcome.ok() ? absl::StatusOr<std::string>(answer(*outcome)) : outcome.status(),
                   told);
    });
    return got;
  }

  // ---- what became of things
  AgentId IdOf(const std::string& agent) const;
  // Every handled message of an agent in commit order (retention is switched on for all agents).
  std::vector<journal::RetainedRecord> Handled(AgentId agent) const;
  std::vector<journal::DeadLetterRecord> DeadLetters(AgentId agent) const;
  // Why the counters do not add up, or empty.
  std::string CheckCounters() const;

  caxton::testing::SimWorld world;
  journal::testing::MemStore store;
  supervisor::testing::MemoryArtifactStore artifacts;
  SeededRandom random;
  journal::JournalOptions journal_options;
  // Called at each transition, before its record is on the disk.
  std::function<void(const DeploymentView&)> on_transition;
  std::vector<router::StepEvent> steps;
  std::vector<Observation> observations;
  std::vector<MirroredStep> mirrored;
  // The event of each transition, as it began.
  std::vector<std::pair<DeploymentId, std::string>> transitions;
  std::vector<CleanedUp> cleaned;  // each clean-up by age

  std::unique_ptr<journal::Journal> journal;
  std::unique_ptr<router::Router> router;
  std::unique_ptr<supervisor::testing::FakeSupervisor> supervisor;
  std::unique_ptr<validation::testing::FakeValidator> validator;
  std::unique_ptr<CommandBook> commands;
  std::unique_ptr<Controller> controller;

 private:
  void OnStep(const router::StepEvent& event) override { steps.push_back(event); }
  void OnObservation(const Observation& seen) override {
    observations.push_back(seen);
    if (controller) controller->Observe(seen);
  }
  void OnMirrored(const MirroredStep& step) override {
    mirrored.push_back(step);
    if (controller) controller->OnMirrored(step);
  }
  void OnMirrorFate(DeploymentId deployment, MirrorFate fate, int64_t count) override {
    if (controller) controller->OnMirrorFate(deployment, fate, count);
  }
  supervisor::testing::ScriptedStep RunScript(const Revision& revision, const StepInput& input,
                                              const Envelope& envelope);
  static router::AnswerFn Into(const std::shared_ptr<Caller>& caller);
  void Retain(AgentId agent);

  const SimServerOptions options_;
  Executor* committer_;
  Executor* control_;
  Executor* workers_;
  Executor* mirror_;
  Executor* cleaner_;
  Executor* validation_;
  std::vector<Executor*> shards_;
  std::map<Digest, supervisor::testing::Script> scripts_;
  std::vector<Seq> suspects_;  // what the slot files of the dead server say
};

}  // namespace caxton::controller::testing
