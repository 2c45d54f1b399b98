// SPDX-License-Identifier: Apache-2.0
#include "caxton/controller/testing/sim_server.h"

#include <utility>

#include "caxton/base/assert.h"
#include "caxton/base/strings.h"
#include "caxton/journal/store.h"
#include "caxton/model/deployment_spec.h"

namespace caxton::controller::testing {

using deployment::DeploymentState;
using supervisor::testing::FakeSupervisor;
using validation::testing::FakeValidator;

SimServer::SimServer(const SimServerOptions& options)
    : random(options.seed),
      options_(options),
      committer_(world.NewExecutor()),
      control_(world.NewExecutor()),
      workers_(world.NewExecutor()),
      validation_(world.NewExecutor()) {
  for (size_t i = 0; i < options.shards; ++i) shards_.push_back(world.NewExecutor());
  mirror_ = world.NewExecutor();
  cleaner_ = world.NewExecutor();
  artifacts.SetClock(&world);
  Start();
}

SimServer::~SimServer() {
  if (up()) Crash();
}

void SimServer::Start() {
  CAXTON_ASSERT(!up(), "one server at a time");
  auto opened = journal::Journal::Open(
      &store, committer_, &world, journal_options,
      [](const absl::Status&) { CAXTON_ASSERT(false, "the simulated disk writes"); });
  CAXTON_ASSERT(opened.ok(), std::string(StdView(opened.status().message())));
  journal = *std::move(opened);
  commands = std::make_unique<CommandBook>(&world, journal.get());
  absl::Status recovered = commands->Recover();
  router::RouterDeps deps{
      .journal = journal.get(), .clock = &world, .random = &random, .observer = this};
  deps.shards = shards_;
  deps.mirror = mirror_;
  router = router::Router::Make(std::move(deps));
  supervisor = std::make_unique<FakeSupervisor>(
      workers_, &world,
      [this](const Revision& revision, const StepInput& input, const Envelope& envelope) {
        return RunScript(revision, input, envelope);
      },
      options_.workers);
  supervisor->SetSink(router.get());
  supervisor->SetSuspects(std::exchange(suspects_, {}));
  validator = std::make_unique<FakeValidator>(validation_);
  controller = Controller::Make({.executor = control_,
                                 .journal = journal.get(),
                                 .clock = &world,
                                 .random = &random,
                                 .router = router.get(),
                                 .supervisor = supervisor.get(),
                                 .artifacts = &artifacts,
                                 .validator = validator.get(),
                                 .max_deployments = options_.max_deployments,
                                 .cleaner = cleaner_,
                                 .keep_evidence_ns = options_.keep_evidence_ns,
                                 .keep_ended_ns = options_.keep_ended_ns,
                                 .on_cleaned =
                                     [this](const CleanedUp& report) {
                                       CAXTON_ASSERT(report.swept.ok(), "memory can be swept");
                                       cleaned.push_back(report);
                                     },
                                 .on_transition =
                                     [this](const DeploymentView& view, std::string_view event) {
                                       Retain(view.status.candidate.agent);
                                       transitions.emplace_back(view.status.id, event);
                                       if (on_transition) on_transition(view);
                                     }});
  if (recovered.ok()) recovered = controller->Recover();
  if (recovered.ok()) recovered = router->Recover(supervisor->TakeSuspects());
  if (recovered.ok()) controller->StartServing();
  CAXTON_ASSERT(recovered.ok(), std::string(StdView(recovered.message())));
  // Also what is redelivered before anybody sends.
  const std::shared_ptr<const router::RouteTable> table = router->Routes();
  for (const std::string& name : table->Names()) Retain(table->Find(std::string_view(name))->id);
}

void SimServer::Crash(CrashKind kind, size_t survivors) {
  suspects_ = supervisor->ExecutingNow();
  for (Executor* shard : shards_) world.Crash(shard);
  world.Crash(mirror_);
  world.Crash(cleaner_);
  for (Executor* strand : {committer_, control_, workers_, validation_}) world.Crash(strand);
  controller.reset();
  commands.reset();
  validator.reset();
  supervisor.reset();
  router.reset();
  journal.reset();
  if (kind == CrashKind::kPowerCut) store.PowerCut(survivors);
}

Digest SimServer::AddModule(const std::string& name, supervisor::testing::Script script) {
  const Digest digest = *artifacts.PutModule(name);
  scripts_[digest] = std::move(script);
  return digest;
}

supervisor::testing::ScriptedStep SimServer::RunScript(const Revision& revision,
                                                       const StepInput& input,
                                                       const Envelope& envelope) {
  auto it = scripts_.find(revision.module);
  CAXTON_ASSERT(it != scripts_.end(), "a test deploys modules that it added");
  return it->second(revision, input, envelope);
}

void SimServer::Retain(AgentId agent) {
  if (auto route = router->Routes()->Find(agent); route != nullptr) {
    if (route->load->retain.exchange(true)) return;
    journal->SetRetention(agent, true);
  }
}

// ---- messages

Envelope SimServer::To(const std::string& agent, const std::string& content,
                       const std::string& key) {
  Envelope envelope;
  envelope.sender = "client:test";
  envelope.receiver = agent;
  envelope.content = content;
  envelope.key = key;
  return envelope;
}

router::AnswerFn SimServer::Into(const std::shared_ptr<Caller>& caller) {
  return [caller](router::Answer answer) {
    ++caller->answers;
    caller->answer = std::move(answer);
  };
}

std::shared_ptr<Caller> SimServer::Send(Envelope envelope) {
  auto caller = std::make_shared<Caller>();
  Retain(IdOf(envelope.receiver));
  router->Send(std::move(envelope), Into(caller));
  return caller;
}

std::shared_ptr<Caller> SimServer::Request(Envelope envelope) {
  auto caller = std::make_shared<Caller>();
  Retain(IdOf(envelope.receiver));
  router->Request(std::move(envelope), Into(caller));
  return caller;
}

// ---- commands

DeployRequest SimServer::Direct(const std::string& agent, const Digest& module) {
  DeployRequest request;
  request.agent = agent;
  request.module = module;
  return request;
}

DeployRequest SimServer::Canary(const std::string& agent, const Digest& module,
                                const std::string& stages, const std::string& conditions) {
  DeployRequest request = Direct(agent, module);
  request.spec.strategy = Strategy::kCanary;
  request.spec.stages = *ParseStages(stages);
  request.spec.rollback_on = *ParseConditions(conditions);
  return request;
}

absl::StatusOr<DeployOutcome> SimServer::Deploy(DeployRequest request) {
  return Ask<DeployOutcome>(
      [&](Done<DeployOutcome> done) { controller->Deploy(std::move(request), std::move(done)); });
}

absl::StatusOr<DeploymentView> SimServer::Get(const std::string& target) {
  return Ask<DeploymentView>(
      [&](Done<DeploymentView> done) { controller->GetDeployment(target, std::move(done)); });
}

bool SimServer::Await(const std::string& target, DeploymentState state, int64_t limit_ns) {
  const int64_t end_ns = world.MonoNanos() + limit_ns;
  while (world.MonoNanos() < end_ns) {
    absl::StatusOr<DeploymentView> view = Get(target);
    if (!view.ok()) return false;
    if (view->status.state == state) return true;
    world.RunFor(kNanosPerMilli);
  }
  return false;
}

absl::StatusOr<RollbackOutcome> SimServer::Rollback(RollbackRequest request) {
  return Ask<RollbackOutcome>([&](Done<RollbackOutcome> done) {
    controller->Rollback(std::move(request), std::move(done));
  });
}

absl::StatusOr<RemoveOutcome> SimServer::Remove(const std::string& agent, router::RemoveMode mode) {
  return Ask<RemoveOutcome>(
      [&](Done<RemoveOutcome> done) { controller->RemoveAgent(agent, mode, {}, std::move(done)); });
}

// ---- what became of things

AgentId SimServer::IdOf(const std::string& agent) const {
  auto route = router->Routes()->Find(std::string_view(agent));
  return route == nullptr ? AgentId() : route->id;
}

std::vector<journal::RetainedRecord> SimServer::Handled(AgentId agent) const {
  std::vector<journal::RetainedRecord> rows;
  auto read = journal->ScanRetained(agent, 1, [&](uint64_t, const journal::RetainedRecord& row) {
    rows.push_back(row);
    return true;
  });
  CAXTON_ASSERT(read.ok(), std::string(StdView(read.status().message())));
  return rows;
}

std::vector<journal::DeadLetterRecord> SimServer::DeadLetters(AgentId agent) const {
  std::vector<journal::DeadLetterRecord> rows;
  absl::Status read =
      journal->ScanDeadLetters(agent, Seq(), [&](Seq, const journal::DeadLetterRecord& row) {
        rows.push_back(row);
        return true;
      });
  CAXTON_ASSERT(read.ok(), std::string(StdView(read.message())));
  return rows;
}

std::string SimServer::CheckCounters() const {
  const journal::CounterRow sum = journal->TotalCounters();
  if (sum.accepted != sum.completed + sum.dead + sum.dropped + sum.waiting) {
    return StrCat("accepted ", sum.accepted, " is not completed ", sum.completed, " + dead ",
                  sum.dead, " + dropped ", sum.dropped, " + waiting ", sum.waiting);
  }
  const size_t rows = store.rows(journal::Table::kInbox) + store.rows(journal::Table::kHeld);
  if (sum.waiting != rows) return StrCat("waiting ", sum.waiting, " but ", rows, " rows");
  return "";
}

}  // namespace caxton::controller::testing
