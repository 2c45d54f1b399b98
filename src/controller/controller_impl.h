// SPDX-License-Identifier: Apache-2.0
//
// The controller's inside. Where to look: controller.cc (construction, deploy), transitions.cc
// (events, journal, effects, queue), examining.cc (what a revision is compared with),
// preparation.cc (validation, workers, draining), clock.cc (judge, stages, ticks), commands.cc
// (promote, pause, ...), rollback.cc, removal.cc, recovery.cc, reads.cc (views, etags, watchers),
// explain.cc.
//
// Thread rule: everything private runs on the strand.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "agent_book.h"
#include "caxton/base/mutex.h"
#include "caxton/controller/controller.h"
#include "caxton/deployment/state_machine.h"
#include "places.h"
#include "shared_comparison.h"
#include "shared_replay.h"

namespace caxton::controller {

class ControllerImpl final : public Controller {
 public:
  explicit ControllerImpl(ControllerDeps deps);
  ~ControllerImpl() override;

  absl::Status Recover() override;
  void StartServing() override;
  void Stop() override;

  void Deploy(DeployRequest request, Done<DeployOutcome> done) override;
  void DeployGroup(std::vector<DeployRequest> requests, CommandClaim claim,
                   Done<GroupOutcome> done) override;
  void Promote(PromoteRequest request, Done<DeploymentView> done) override;
  void Pause(std::string target, CommandTerms terms, Done<DeploymentView> done) override;
  void Resume(std::string target, CommandTerms terms, Done<DeploymentView> done) override;
  void Abort(std::string target, CommandTerms terms, Done<DeploymentView> done) override;
  void Retry(std::string target, CommandClaim claim, Done<DeployOutcome> done) override;
  void Rollback(RollbackRequest request, Done<RollbackOutcome> done) override;
  void RemoveAgent(std::string name, router::RemoveMode mode, CommandTerms terms,
                   Done<RemoveOutcome> done) override;
  void Validate(DeployRequest request, Done<validation::ValidationReport> done) override;

  void GetDeployment(std::string target, Done<DeploymentView> done) override;
  void ListDeployments(std::string agent, Done<std::vector<DeploymentView>> done) override;
  void GetAgent(std::string name, Done<AgentView> done) override;
  void ListAgents(Done<std::vector<AgentView>> done) override;
  void History(std::string name, Done<std::vector<HistoryEntry>> done) override;
  void Explain(std::string target, Done<Explanation> done) override;
  void Watch(std::string target, Watcher changed, WatchEnded ended, Done<uint64_t> done) override;
  void Unwatch(uint64_t id) override;
  void Observe(const Observation& observation) override;
  void OnMirrored(const MirroredStep& step) override;
  void OnMirrorFate(DeploymentId deployment, MirrorFate fate, int64_t count) override;

 private:
  using Then = absl::AnyInvocable<void(absl::Status)>;

  // A replay of history that is under way.
  struct Replaying {
    struct Side {
      std::shared_ptr<const Revision> of;
      router::RevisionRoute running;  // in workers of its own; none yet: they start
    };
    Side stable, candidate;
    std::vector<router::KeptMessage> messages;
    std::shared_ptr<SharedReplay> shown;
  };

  // An event that waits while a transition's record is on its way to the disk.
  struct Waiting {
    deployment::Event event;
    CommandTerms terms;
    Then then;
  };

  // One deployment. Its record is `status`; the rest is of this server's life.
  struct Run {
    deployment::DeploymentStatus status;
    std::optional<validation::ValidationReport> validation;
    std::unique_ptr<analysis::Judge> judge;
    std::optional<analysis::JudgeNumbers> last_numbers;
    std::optional<int64_t>
        validate_until_ns;  // monotonic: how long a full validator is asked again
    bool judge_spoke = false;
    std::optional<uint32_t> early_asked;           // the stage that the evidence was to end early
    std::shared_ptr<SharedComparison> comparison;  // of a shadow that runs
    std::optional<analysis::ShadowReport> shadow_report;  // of one that has ended
    std::shared_ptr<Replaying> replaying;
    std::optional<analysis::HistoryReport> history;  // of a replay that has ended
    bool evidence_gone = false;                      // by age
    std::vector<DeploymentId> met;  // of its group: those it was compared with, if need be
    bool ready = false;             // of a group: warm, waits for the others
    // The running clock (stage or cleanup): elapsed = base + (now - since).
    TimerId timer;
    bool clock_runs = false;
    int64_t clock_since_ns = 0;
    int64_t clock_base_ns = 0;
    bool busy = false;  // a transition's record is on its way to the disk
    std::deque<Waiting> waiting;
    int64_t rollback_decided_ns = 0;  // monotonic; 0: not
    uint64_t interrupted = 0, redelivered = 0;
    int64_t warm_until_ns = 0;               // of warm_up; monotonic
    std::optional<int64_t> unwell_since_ns;  // the candidate has no healthy worker
    // Called once; the run may be gone by then.
    std::vector<absl::AnyInvocable<void()>> when_rolled_back;  // and its workers stopped
    std::vector<absl::AnyInvocable<void()>> when_settled;      // it serves, or has failed
  };
  // An agent's counters when its removal began.
  struct RemovalStart {
    uint64_t waiting = 0, dead = 0, dropped = 0;
  };
  struct Removal {
    router::RemoveMode mode = router::RemoveMode::kRefuseIfWaiting;
    int64_t deadline_ns = 0;  // of draining; monotonic
    bool discarding = false;  // the mode is carried out, and changes no more
    std::vector<std::pair<RemovalStart, Done<RemoveOutcome>>> askers;
  };
  struct Watching {
    DeploymentId deployment;
    Watcher changed;
    WatchEnded ended;
  };

  // -- controller.cc
  void OnStrand(absl::AnyInvocable<void()> work);
  void OnDeploy(DeployRequest request, Done<DeployOutcome> done);
  absl::Status CheckRequest(const DeployRequest& request);
  absl::StatusOr<Revision> NewRevision(const DeployRequest& request, const AgentEntry* agent);
  absl::Status CheckLabel(const AgentEntry& agent, const Revision& revision);
  static bool RunsAlready(const AgentEntry& agent, const Revision& revision);
  absl::StatusOr<deployment::DeploymentPlan> PlanFor(const DeploymentSpec& spec,
                                                     const AgentEntry* agent);
  struct Making {
    DeployRequest request;
    Revision revision;
    deployment::DeploymentPlan plan;
    std::vector<DeploymentId> group = {};
    // A rollback to what is not warm any more: has a place on the server, whoever waits for one.
    bool restores = false;
  };
  void Create(Making what, Done<DeployOutcome> done);
  // What both Create and a group do: the agent, its revision, and a deployment that is busy until
  // `op` is on the disk.
  struct Made {
    DeploymentId id;
    std::vector<deployment::Effect> effects;
    std::vector<DeploymentId> overtaken;
    DeploymentId replaced;
  };
  Made Make(Making what, journal::CommitOp* op);
  void OnCreated(Made made);
  Run* FindRun(DeploymentId id);
  // Of a claim of an earlier start: the deployment that it made.
  void TellMade(const CommandClaim& claim, Done<DeployOutcome> done);
  absl::StatusOr<Run*> FindTarget(const std::string& target);
  absl::Status NoSuchAgent(const std::string& name);
  static std::vector<FieldChange> Changes(const Revision* before, const Revision& after);

  // -- examining.cc
  struct Examined {
    Revision revision;
    int64_t limit_ns = 0;
    bool allow_breaking = false;
    std::vector<DeploymentId> together;  // the other members of its group
    std::vector<SentMessage> sends;      // as far as known before
    bool again = false;
  };
  void DryRun(Examined what, std::vector<FieldChange> changes, Done<DeployOutcome> done);
  // `done` on the strand.
  void Examine(Examined what, Done<validation::ValidationReport> done);
  Surroundings SurroundingsOf(const Examined& what);
  // What another examination may take: what the one before left of the limit, but no less than it
  // is likely to need.
  static int64_t SecondLimit(int64_t limit_ns, int64_t took_ns);
  // Whether it is known whom the candidate exchanges which messages with.
  static bool IsExamined(const Run& run);
  std::shared_ptr<const Revision> CandidateOf(const Run& run);
  // The other members of its group that are examined.
  std::vector<DeploymentId> ExaminedMembers(const Run& run);
  // Whether it exchanges messages with one of them that it was not compared with.
  bool HasUnmetMember(const Run& run);
  bool IsMember(const std::vector<DeploymentId>& group, std::string_view agent);
  // Whether agents here get messages from it that it was not compared with.
  bool MeetsMore(const Examined& what, const Surroundings& around,
                 const std::vector<SentMessage>& sends);
  std::shared_ptr<const Revision> ServingOf(const std::string& agent);
  // Broken and undecided contracts that are warnings because somebody allowed them.
  static std::vector<std::string> LetThrough(const validation::ValidationReport& report);

  // -- transitions.cc
  static absl::Status Gone();
  // For what waited when `newer` came to wait in its place.
  static deployment::Abort Overtaken(DeploymentId newer);
  // Applies `event`; `then` gets the outcome once the record is durable and the effects have begun.
  // Where `terms` do not hold, nothing happens.
  void Step(DeploymentId id, deployment::Event event, Then then, CommandTerms terms = {});
  void Begin(Run* run, Waiting next);
  void Finish(DeploymentId id);
  void CarryOut(DeploymentId id, std::vector<deployment::Effect> effects);
  void CarryOutWithdrawal(Run* run, deployment::Transition transition, CommandClaim claim,
                          Then then);
  static void NotePhases(Run* run, int64_t drained_ns, const router::WithdrawReport& report);
  void NoteDiverted(Run* run);
  // With the claim of the command that it comes from.
  journal::CommitOp RecordOf(Run* run, const std::vector<deployment::Effect>& effects,
                             CommandClaim claim = {});
  static journal::RouteRecord RouteFor(const AgentEntry& agent, const Run& run,
                                       const deployment::PublishRoute& to);
  void PublishAgent(AgentEntry* agent);
  void Do(Run* run, const deployment::Effect& effect);
  void RunNextQueued(AgentEntry* agent, DeploymentId ended);
  // The deployment in whose name the place is held: a group has one, in its first's.
  static DeploymentId PlaceOf(const deployment::DeploymentStatus& status);
  void LeavePlace(const deployment::DeploymentStatus& ended);
  void FillPlaces();
  void Dequeue(DeploymentId id);
  void ForgetOld(AgentEntry* agent);
  void ForgetRevision(AgentEntry* agent, RevisionNumber number, journal::RowBatch* rows);
  static void EraseDeployment(DeploymentId id, journal::RowBatch* rows);
  static void EraseEvidence(DeploymentId id, journal::RowBatch* rows);
  void DropRun(DeploymentId id, const absl::Status& why);
  static absl::Status NotKept(DeploymentId id);

  // -- explain.cc
  void ExplainRun(DeploymentId id, Done<Explanation> done);
  void ExplainJudged(Explanation explanation, Done<Explanation> done);
  bool LacksNumbers(const Run& run);
  void ShowWithNumbers(DeploymentView view, Done<DeploymentView> done);

  // -- shadows.cc
  void StartComparison(Run* run);
  void StopComparison(Run* run);
  void StartSecondary(RevisionRef stable);
  void RecordComparison(Run* run);
  // Of a shadow that has its verdict: what it was made from, to be written with it.
  static void PutDecided(const Run& run, journal::RowBatch* rows);
  void OnComparisonFired(DeploymentId id);
  void ReadShadowReport(Run* run);
  absl::StatusOr<Explanation> ExplainShadow(const Run& run);

  // -- history.cc
  // Validates `revision`, also on its agent's last messages; `done` on the strand.
  void ValidateOnRecent(const Revision& revision, validation::ValidateOptions options,
                        Done<validation::ValidationReport> done);
  void StartReplay(Run* run);
  bool ReplayGoesOn(DeploymentId id, const std::shared_ptr<Replaying>& replay);
  void OnGathered(DeploymentId id, const std::shared_ptr<Replaying>& replay,
                  std::vector<router::KeptMessage> messages);
  void ShowReplay(DeploymentId id, const std::shared_ptr<Replaying>& replay);
  void StartReplayWorkers(DeploymentId id, const std::shared_ptr<Replaying>& replay,
                          Replaying::Side* side, bool candidate);
  void RunReplay(DeploymentId id, const std::shared_ptr<Replaying>& replay);
  static deployment::Verdict VerdictOf(const Replaying& replay);
  void DecideReplay(DeploymentId id, const std::shared_ptr<Replaying>& replay,
                    deployment::Verdict verdict);
  void StopReplay(Run* run);
  void ReadHistoryReport(Run* run);
  absl::StatusOr<Explanation> ExplainHistory(const Run& run);

  // -- groups.cc
  void OnDeployGroup(std::vector<DeployRequest> requests, CommandClaim claim,
                     Done<GroupOutcome> done);
  // Of a claim of an earlier start: what it made, and who of `requests` was left out.
  void TellGroup(const std::vector<DeployRequest>& requests, const CommandClaim& claim,
                 Done<GroupOutcome> done);
  absl::Status CheckGroup(const std::vector<DeployRequest>& requests);
  // A member that is possible; none: its content serves already.
  absl::StatusOr<std::optional<Making>> MemberOf(const DeployRequest& request);
  // A member is warm: switches all once all are.
  void GroupReady(DeploymentId id);
  void SwitchGroup(std::vector<DeploymentId> group);
  // A member has ended before the switch: the others end too.
  void GroupFailed(const Run& run);

  // -- preparation.cc
  void DoValidate(Run* run);
  void OnValidated(DeploymentId id, absl::StatusOr<validation::ValidationReport> report);
  void DoPrepare(DeploymentId id);
  void OnPrepared(DeploymentId id, RevisionRef revision,
                  absl::StatusOr<std::shared_ptr<supervisor::RevisionWorkers>> workers);
  // Workers for `revision`; compiles it again where the cache has lost its code.
  using WorkersReady =
      absl::AnyInvocable<void(absl::StatusOr<std::shared_ptr<supervisor::RevisionWorkers>>)>;
  void GetWorkers(const Revision& revision, int64_t limit_ns, bool may_compile, WorkersReady ready);
  struct Compiled {
    Revision revision;
    int64_t limit_ns = 0;
    int64_t until_ns = 0;  // a full validator is asked again; monotonic
  };
  void CompileAgain(Compiled what, WorkersReady ready);
  // Its health is known, and good, before it gets traffic.
  void AwaitWell(DeploymentId id);
  void GiveTraffic(DeploymentId id);
  bool Wanted(const AgentEntry& agent, RevisionNumber number);
  void StartWorkers(RevisionRef revision);
  void SetRunning(RevisionRef revision, std::shared_ptr<supervisor::RevisionWorkers> workers);
  void DoDrain(DeploymentId id, RevisionRef revision, int64_t deadline_ns);
  void DoStopRevision(DeploymentId id, RevisionRef revision);

  // -- clock.cc
  void StartJudge(Run* run);
  void AskJudge(Run* run);
  void AskEarly(Run* run);
  void TickJudge(Run* run);
  deployment::StageReport ReportOf(const Run& run) const;
  void ArmClock(Run* run, int64_t remaining_ns, bool cleanup);
  void OnTimeUp(DeploymentId id, bool cleanup);
  void StopClock(Run* run);
  int64_t ElapsedNs(const Run& run) const;
  // Why the candidate is not well; empty: it is, or its health_check was not answered yet.
  std::string WhyUnwell(const Run& run);
  // A deployment whose candidate has traffic and something to fall back on.
  static bool Watched(const Run& run);
  void CheckWell(Run* run);
  void KeepTicking();
  void RecordProgress(Run* run);
  void Tick();

  // -- cleanup.cc
  void CleanUp();
  static bool EndedFor(const Run& run, int64_t keep_ns, int64_t now_ns);
  void CleanUpDeployments(AgentEntry* agent, int64_t now_ns, CleanedUp* cleaned,
                          journal::RowBatch* rows);
  void CleanUpRevisions(AgentEntry* agent, int64_t now_ns, CleanedUp* cleaned,
                        journal::RowBatch* rows);
  bool GroupNeeds(const Run& run);
  std::vector<Digest> KeptModules();
  void SweepModules(CleanedUp cleaned);
  absl::Status CheckEvidenceKept(const Run& run);

  // -- recovery.cc
  void RepeatSuperseding(DeploymentId id);
  void ResumeQueue(AgentEntry* agent);

  // -- commands.cc
  void Command(std::string target, CommandTerms terms,
               std::function<deployment::Event(const Run&)> event, Done<DeploymentView> done);
  absl::Status CheckPromotable(const PromoteRequest& request);
  static absl::Status TooManyCommands(const Run& run);
  static absl::Status Removing(const std::string& agent);
  void OnRetry(const std::string& target, CommandClaim claim, Done<DeployOutcome> done);

  // -- rollback.cc
  void OnRollback(RollbackRequest request, Done<RollbackOutcome> done);
  Run* RolledBackFor(const std::string& target, const AgentEntry& agent, Run* found);
  void RollbackRun(Run* run, RollbackRequest request, Done<RollbackOutcome> done);
  void TellRolledBack(DeploymentId id, Done<RollbackOutcome> done);
  void Redeploy(AgentEntry* agent, RevisionNumber to, CommandClaim claim,
                Done<RollbackOutcome> done);
  void AwaitRestored(DeploymentId id, Done<RollbackOutcome> done);
  void TellRestored(DeploymentId id, Done<RollbackOutcome> done);
  absl::StatusOr<RevisionNumber> RollbackTarget(const AgentEntry& agent, RevisionNumber to);
  bool IsWithdrawn(const AgentEntry& agent, const Revision& revision) const;
  bool Proven(const AgentEntry& agent, const Revision& revision) const;
  // The revision whose content a rollback's deployment restored as `revision`; else itself.
  RevisionNumber OriginalOf(const AgentEntry& agent, const Revision& revision) const;
  bool Restorable(const AgentEntry& agent, RevisionNumber number) const;

  // -- removal.cc
  void OnRemove(const std::string& name, router::RemoveMode mode, CommandTerms terms,
                Done<RemoveOutcome> done);
  bool TellRemoved(const CommandClaim& claim, Done<RemoveOutcome>* done);
  void JoinRemoval(AgentEntry* agent, router::RemoveMode mode, CommandClaim claim,
                   Done<RemoveOutcome> done);
  // What the record says while a removal is under way, so that a restart goes on with it.
  void RecordRemoval(AgentEntry* agent, std::optional<router::RemoveMode> mode,
                     const CommandClaim& claim, absl::AnyInvocable<void()> then);
  void BeginRemoval(AgentId id);
  void AwaitDrained(AgentId id);
  void GiveUpRemoval(AgentEntry* agent, absl::Status why);
  void Discard(AgentId id);
  void EraseAgent(AgentId id);
  RemoveOutcome OutcomeOf(AgentId id, const RemovalStart& start) const;
  static void EraseRows(AgentId id, journal::RowBatch* rows);

  // -- reads.cc
  void ShowSettled(std::string target, int polls, Done<DeploymentView> done);
  DeploymentView ViewOf(const Run& run);
  AgentView ViewOf(const AgentEntry& agent);
  std::string EtagOf(const AgentEntry& agent);
  static absl::Status EtagMismatch(std::string_view what);
  static absl::Status CheckEtag(const Run& run, const std::string& etag);
  absl::Status CheckEtag(const AgentEntry& agent, const std::string& etag);
  void Notify(const Run& run, bool transition);
  void BeginWatch(const DeploymentView& view, Watcher changed, WatchEnded ended,
                  Done<uint64_t> done);
  void EndWatches(DeploymentId id, const absl::Status& why);

  ControllerDeps d_;
  bool stopped_ = false;
  AgentBook book_;
  std::map<DeploymentId, std::unique_ptr<Run>> runs_;
  std::map<AgentId, Removal> removals_;  // those under way
  Places places_;
  Mutex comparisons_mutex_;
  absl::flat_hash_map<DeploymentId, std::shared_ptr<SharedComparison>> comparisons_
      ABSL_GUARDED_BY(comparisons_mutex_);
  uint64_t next_deployment_ = 1;
  bool ticking_ = false;
  uint64_t next_watch_ = 1;
  std::map<uint64_t, Watching> watching_;
};

}  // namespace caxton::controller
