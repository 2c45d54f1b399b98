// SPDX-License-Identifier: Apache-2.0
#include "caxton/server/server.h"

#include <unistd.h>

#include <cstdio>
#include <optional>
#include <thread>

#include "agent_log_book.h"
#include "caxton/api/api_server.h"
#include "caxton/api/listen_address.h"
#include "caxton/base/mutex.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/thread_executor.h"
#include "caxton/base/version.h"
#include "caxton/controller/controller.h"
#include "caxton/journal/journal.h"
#include "caxton/journal/rocks_store.h"
#include "caxton/platform/cgroup.h"
#include "caxton/platform/file.h"
#include "caxton/router/router.h"
#include "caxton/server/limits.h"
#include "caxton/supervisor/artifact_store.h"
#include "caxton/supervisor/process_supervisor.h"
#include "caxton/supervisor/worker_setup.h"
#include "caxton/telemetry/log.h"
#include "caxton/telemetry/metrics.h"
#include "caxton/validation/process_validator.h"
#include "doctor.h"
#include "http_server.h"
#include "observer.h"

namespace caxton::server {
namespace {

// After a failed write or fsync nothing the process believes is certain: it ends here, and recovery
// decides.
[[noreturn]] void DieOfJournal(const absl::Status& status) {
  std::string line =
      "{\"level\":\"error\",\"message\":\"the journal cannot be written; the server ends here and "
      "nothing "
      "acknowledged is lost\",\"error\":";
  telemetry::AppendJsonString(StdView(status.message()), &line);
  line += "}\n";
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  _exit(70);
}

absl::StatusOr<std::string> WorkerPath() {
  ASSIGN_OR_RETURN(const std::string self, platform::SelfExecutable());
  const std::string path = StrCat(self.substr(0, self.rfind('/')), "/caxton-worker");
  if (platform::PathExists(path)) return path;
  return WithFix(
      WithReason(absl::FailedPreconditionError(StrCat("there is no ", path)), "NO_WORKER_PROGRAM"),
      "install caxton-worker beside caxton");
}

class ServerImpl final : public Server {
 public:
  explicit ServerImpl(const ServerConfig& config)
      : config_(config),
        log_(telemetry::JsonLoggerOptions{.level = *telemetry::ParseLogLevel(config.log_level)},
             clock_),
        observer_(&clock_, &log_, &metrics_, &agent_logs_) {}
  ~ServerImpl() override { Stop(); }

  absl::Status Begin();
  std::string grpc_address() const override { return api_->address(); }
  std::string http_address() const override { return http_->address(); }
  void Stop() override;

 private:
  absl::Status OpenData();
  absl::Status MakeParts();
  absl::Status Recover();
  void LogCleanedUp(const controller::CleanedUp& cleaned);
  absl::Status Listen();
  void AwaitIdle();

  const ServerConfig config_;
  SystemClock clock_;
  OsRandom random_;
  telemetry::JsonLogger log_;
  telemetry::PrometheusMetrics metrics_;
  AgentLogBook agent_logs_;
  Observer observer_;
  std::unique_ptr<platform::DirectoryLock> lock_;
  std::unique_ptr<journal::RocksStore> store_;
  std::unique_ptr<ThreadExecutor> committer_strand_, controller_strand_, mirror_strand_, cleaner_;
  std::vector<std::unique_ptr<ThreadExecutor>> shard_strands_;
  std::unique_ptr<supervisor::ArtifactStore> artifacts_;
  std::unique_ptr<platform::CgroupManager> cgroups_;
  supervisor::WorkerIdentity worker_;
  Mutex jail_mutex_;
  // What the last worker that came up said.
  std::optional<std::vector<std::string>> not_enforced_ ABSL_GUARDED_BY(jail_mutex_);
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<router::Router> router_;
  std::unique_ptr<supervisor::Supervisor> supervisor_;
  std::unique_ptr<validation::Validator> validator_;
  std::unique_ptr<controller::CommandBook> commands_;
  std::unique_ptr<controller::Controller> controller_;
  std::unique_ptr<api::ApiServer> api_;
  std::unique_ptr<HttpServer> http_;
  std::atomic<bool> ready_{false};
  std::atomic<api::ConnectFront*> connect_{nullptr};  // api_'s, once it serves
  bool stopped_ = false;
};

absl::Status ServerImpl::OpenData() {
  RETURN_IF_ERROR(api::CheckLoopback(config_.listen));
  RETURN_IF_ERROR(api::CheckLoopback(config_.http));
  RETURN_IF_ERROR(platform::MkdirAll(config_.data_dir));
  ASSIGN_OR_RETURN(platform::DirectoryLock lock,
                   platform::DirectoryLock::Acquire(config_.data_dir));
  lock_ = std::make_unique<platform::DirectoryLock>(std::move(lock));
  ASSIGN_OR_RETURN(store_, journal::RocksStore::Open(config_.data_dir + "/journal",
                                                     {.accept_loss = config_.accept_loss}));
  if (store_->lost_writes() > 0) {
    log_.Error("the journal's end was damaged and is lost (--accept-loss)",
               {{"writes", store_->lost_writes()}});
  }
  ASSIGN_OR_RETURN(artifacts_, supervisor::OpenArtifactStore(config_.data_dir + "/artifacts"));
  return absl::OkStatus();
}

absl::Status ServerImpl::MakeParts() {
  ASSIGN_OR_RETURN(const std::string worker_path, WorkerPath());
  ASSIGN_OR_RETURN(worker_, supervisor::AskWorkerIdentity(worker_path));
  cgroups_ = platform::OpenCgroups({});
  if (cgroups_->report().version == 0) {
    log_.Warn("workers have no cgroups: memory and CPU limits are not enforced by the kernel",
              {{"detail", cgroups_->report().detail}, {"fix", cgroups_->report().fix}});
  }
  committer_strand_ = std::make_unique<ThreadExecutor>("committer", clock_);
  controller_strand_ = std::make_unique<ThreadExecutor>("controller", clock_);
  mirror_strand_ = std::make_unique<ThreadExecutor>("mirror", clock_);
  mirror_strand_->Post([] { (void)!::nice(kMirrorNice); });  // of that thread alone, on Linux
  cleaner_ = std::make_unique<ThreadExecutor>("cleaner", clock_);
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < std::min(cores, 8u); ++i) {
    shard_strands_.push_back(std::make_unique<ThreadExecutor>(StrCat("shard-", i), clock_));
  }
  journal::JournalOptions journal_options;
  journal_options.observer = &observer_;
  ASSIGN_OR_RETURN(journal_, journal::Journal::Open(store_.get(), committer_strand_.get(), &clock_,
                                                    journal_options, DieOfJournal));
  router::RouterDeps router{
      .journal = journal_.get(), .clock = &clock_, .random = &random_, .observer = &observer_};
  for (auto& strand : shard_strands_) router.shards.push_back(strand.get());
  router.mirror = mirror_strand_.get();
  router_ = router::Router::Make(std::move(router));
  ASSIGN_OR_RETURN(supervisor_,
                   supervisor::StartSupervisor({.worker_path = worker_path,
                                                .slot_directory = config_.data_dir + "/slots",
                                                .engine_key = worker_.EngineKey()},
                                               {.clock = &clock_,
                                                .artifacts = artifacts_.get(),
                                                .cgroups = cgroups_.get(),
                                                .sink = router_.get(),
                                                .log = &log_,
                                                .metrics = &metrics_,
                                                .on_jail = [this](const auto& not_enforced) {
                                                  MutexLock lock(&jail_mutex_);
                                                  not_enforced_ = not_enforced;
                                                }}));
  ASSIGN_OR_RETURN(validator_, validation::StartValidator(
                                   {.worker_path = worker_path, .engine_key = worker_.EngineKey()},
                                   {.clock = &clock_,
                                    .artifacts = artifacts_.get(),
                                    .cgroups = cgroups_.get(),
                                    .log = &log_,
                                    .metrics = &metrics_}));
  commands_ = std::make_unique<controller::CommandBook>(&clock_, journal_.get());
  controller_ = controller::Controller::Make(
      {.executor = controller_strand_.get(),
       .journal = journal_.get(),
       .clock = &clock_,
       .random = &random_,
       .router = router_.get(),
       .supervisor = supervisor_.get(),
       .artifacts = artifacts_.get(),
       .validator = validator_.get(),
       .time_scale = config_.time_scale,
       .max_deployments = static_cast<size_t>(config_.max_deployments),
       .cleaner = cleaner_.get(),
       .keep_evidence_ns = config_.keep_evidence_ns,
       .keep_ended_ns = config_.keep_ended_ns,
       .on_cleaned = [this](const controller::CleanedUp& cleaned) { LogCleanedUp(cleaned); },
       .on_compared =
           [this](const controller::DeploymentView& view) { observer_.OnCompared(view); },
       .on_transition = [this](const controller::DeploymentView& view,
                               std::string_view event) { observer_.OnTransition(view, event); }});
  observer_.Connect(router_.get(), journal_.get(), controller_.get());
  return absl::OkStatus();
}

void ServerImpl::LogCleanedUp(const controller::CleanedUp& cleaned) {
  if (!cleaned.swept.ok()) {
    log_.Warn("modules that nobody names could not be removed",
              {{"error", std::string(cleaned.swept.message())}});
  }
  if (cleaned.deployments + cleaned.evidence + cleaned.revisions == 0) return;
  log_.Info("cleaned up what is old", {{"deployments", cleaned.deployments},
                                       {"evidence", cleaned.evidence},
                                       {"revisions", cleaned.revisions}});
}

absl::Status ServerImpl::Recover() {
  const std::vector<Seq> suspects = supervisor_->TakeSuspects();
  RETURN_IF_ERROR(commands_->Recover());
  RETURN_IF_ERROR(controller_->Recover());
  RETURN_IF_ERROR(router_->Recover(suspects));
  controller_->StartServing();
  return absl::OkStatus();
}

absl::Status ServerImpl::Listen() {
  ASSIGN_OR_RETURN(
      http_, HttpServer::Start(config_.http, {.metrics = &metrics_,
                                              .ready = [this] { return ready_.load(); },
                                              .connect = [this] { return connect_.load(); }}));
  api::ApiDeps deps;
  deps.controller = controller_.get();
  deps.commands = commands_.get();
  deps.router = router_.get();
  deps.journal = journal_.get();
  deps.supervisor = supervisor_.get();
  deps.artifacts = artifacts_.get();
  deps.logs = &agent_logs_;
  deps.clock = &clock_;
  deps.random = &random_;
  deps.facts.version = std::string(Version());
  deps.facts.data_dir = config_.data_dir;
  deps.facts.http_address = http_->address();
  deps.facts.dev = config_.dev;
  deps.facts.time_scale = static_cast<double>(config_.time_scale);
  const platform::CgroupReport& cgroups = cgroups_->report();
  deps.facts.cgroup_mode = cgroups.version == 0 ? "none" : StrCat("v", cgroups.version);
  if (cgroups.version == 0) deps.facts.warnings.push_back(cgroups.detail);
  deps.commit_times = [this] { return observer_.commit_times(); };
  deps.doctor = [this] {
    DoctorFacts facts{
        .data_dir = config_.data_dir, .cgroups = cgroups_->report(), .worker = worker_};
    {
      MutexLock lock(&jail_mutex_);
      facts.not_enforced = not_enforced_;
    }
    return RunDoctor(facts);
  };
  ASSIGN_OR_RETURN(api_, api::ApiServer::Start(config_.listen, std::move(deps)));
  connect_ = api_->connect();
  ready_ = true;
  log_.Info("serving", {{"grpc", api_->address()},
                        {"http", http_->address()},
                        {"data_dir", config_.data_dir},
                        {"start_count", journal_->start_count()},
                        {"engine", worker_.engine},
                        {"cgroups", cgroups.detail}});
  return absl::OkStatus();
}

absl::Status ServerImpl::Begin() {
  RETURN_IF_ERROR(OpenData());
  RETURN_IF_ERROR(MakeParts());
  RETURN_IF_ERROR(Recover());
  return Listen();
}

// Running steps may commit and requests in memory be answered; what has a row waits for the next
// start.
void ServerImpl::AwaitIdle() {
  const int64_t deadline = clock_.MonoNanos() + kStopLimitNs;
  while ((router_->Running() > 0 || router_->UnwrittenRequests() > 0) &&
         clock_.MonoNanos() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void ServerImpl::Stop() {
  if (std::exchange(stopped_, true)) return;
  ready_ = false;
  if (api_) api_->SetServing(false);
  if (router_) router_->StopAccepting();
  if (controller_) controller_->Stop();
  if (router_ && api_) AwaitIdle();
  if (api_) api_->Stop();
  if (http_) http_->Stop();
  // Nothing calls into the parts from outside any more. The controller ends first: what is on its
  // strand uses the validator and the supervisor, and their late answers to it are dropped. Then
  // the processes' threads, then the other strands, from the one that asks to the one that answers;
  // only then the parts themselves.
  if (controller_strand_) controller_strand_->Stop();
  validator_.reset();
  supervisor_.reset();
  if (mirror_strand_) mirror_strand_->Stop();
  if (cleaner_) cleaner_->Stop();
  for (auto& strand : shard_strands_) strand->Stop();
  if (committer_strand_) committer_strand_->Stop();
  log_.Info("stopped", {});
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerConfig& config) {
  auto server = std::make_unique<ServerImpl>(config);
  RETURN_IF_ERROR(server->Begin());
  return server;
}

}  // namespace caxton::server
