// SPDX-License-Identifier: Apache-2.0
#include "caxton/validation/process_validator.h"
#include "caxton/base/mutex.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>
#include <list>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/ipc/compile_end.h"
#include "caxton/ipc/compile_request.h"
#include "caxton/ipc/recent_messages.h"
#include "caxton/ipc/worker_command.h"
#include "caxton/platform/memfd.h"
#include "caxton/platform/process.h"
#include "caxton/supervisor/worker_setup.h"
#include "caxton/telemetry/metric_names.h"
#include "outcome.h"

namespace caxton::validation {
namespace {

using Done = absl::AnyInvocable<void(absl::StatusOr<ValidationReport>)>;

struct Job {
  Revision revision;
  int64_t limit_ns = 0;
  bool has_recent = false;
  std::string recent;  // EncodeRecentMessages; contents of messages: never logged
  Surroundings surroundings;
  Done done;
  // While its child runs.
  int64_t started_ns = 0;  // since when the limit counts
  int attempts = 0;
  int64_t memory_limit_bytes = 0;
  bool timed_out = false;
  platform::Child child;
  platform::UniqueFd code, report;
  std::unique_ptr<platform::Cgroup> cgroup;
};

std::string Encoded(const Surroundings& surroundings) {
  std::string bytes;
  EncodeSurroundings(surroundings, &bytes);
  return bytes;
}

// The same content deployed again has another number, and each measurement another time: neither
// makes it something else to compare with.
std::string ContentOf(Surroundings surroundings) {
  const auto strip = [](KnownRevision& revision) {
    revision.name.clear();
    revision.traits.figures.max_step_ns = 0;
    if (revision.replaced.has_value()) revision.replaced->figures.max_step_ns = 0;
  };
  if (surroundings.live.has_value()) strip(*surroundings.live);
  for (KnownRevision& other : surroundings.others) strip(other);
  return Encoded(surroundings);
}

// What a report depends on beside the module: all the child is told, but for the numbers revisions
// are known by. Of recent messages: whether it ran any. They change with each message, and a
// redeployment must not wait for them.
std::string CacheName(const std::string& engine_key, const Job& job) {
  Revision plain;
  plain.agent = job.revision.agent;
  plain.limits = job.revision.limits;
  plain.settings = job.revision.settings;
  std::string bytes;
  ipc::EncodeConfigure(supervisor::MakeConfigure(plain), &bytes);
  return StrCat("examined 6 ", engine_key, " ", Sha256(bytes).ToHex(), " ",
                Sha256(ContentOf(job.surroundings)).ToHex(), job.has_recent ? " recent" : "");
}

bool IsOf(const Job& job, const std::vector<RevisionRef>& revisions) {
  return std::find(revisions.begin(), revisions.end(), job.revision.ref) != revisions.end();
}

absl::Status Cancelled() { return absl::CancelledError("the validation was cancelled"); }

void Refuse(Done& done, size_t limit) {
  done(WithRetryAfterMs(
      absl::ResourceExhaustedError(StrCat(limit, " validations wait already, the limit")), 1000));
}

class ProcessValidator final : public Validator {
 public:
  ProcessValidator(const ValidatorOptions& options, const ValidatorDeps& deps)
      : options_(options), deps_(deps) {
    for (size_t i = 0; i < kExamineStages; ++i) {
      const std::string stage(ExamineStageName(static_cast<ExamineStage>(i)));
      durations_[i] = deps.metrics->GetHistogram(telemetry::names::kValidationTime,
                                                 {{"stage", stage}}, telemetry::DurationBuckets());
    }
  }
  ~ProcessValidator() override;
  absl::Status Start();

  void Validate(const Revision& revision, ValidateOptions options, Done done) override;
  void Cancel(RevisionRef revision) override;

 private:
  void Wake();
  void Run();
  void WaitForEvents();
  void TakeOrders();
  // Answers a job that needs no child; any other waits for one, if there is room.
  void LookAt(Job job);
  void AnswerCancelled(const std::vector<RevisionRef>& revisions);
  void CheckRunning();
  void Begin(Job job);
  // True: answered from the cache, or by an error.
  bool AnswerWithoutChild(Job& job);
  absl::Status StartChild(Job& job, std::string_view wasm);
  void Finish(Job& job, const platform::ExitStatus& exit);
  // To metrics and log.
  void Tell(const Job& job, const ValidationReport& report);
  // Takes the native code over; an error is ours, not the module's.
  absl::Status Keep(const Job& job, const ExamineReport& report);

  const ValidatorOptions options_;
  const ValidatorDeps deps_;
  std::array<telemetry::Histogram, kExamineStages> durations_;  // by stage
  platform::UniqueFd wake_;
  std::thread thread_;

  Mutex mutex_;
  std::vector<Job> arrived_ ABSL_GUARDED_BY(mutex_);  // not looked at yet
  std::vector<Done> refused_ ABSL_GUARDED_BY(mutex_);
  std::vector<RevisionRef> cancelled_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // The thread's own.
  std::deque<Job> queue_;  // wait for a child
  std::list<Job> running_;
  uint64_t next_name_ = 1;
};

ProcessValidator::~ProcessValidator() {
  if (!thread_.joinable()) return;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
}

absl::Status ProcessValidator::Start() {
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return ErrnoStatus(errno, "starting the validator");
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void ProcessValidator::Wake() {
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
}

void ProcessValidator::Validate(const Revision& revision, ValidateOptions options, Done done) {
  Job job{.revision = revision,
          .limit_ns = std::clamp<int64_t>(options.limit_ns, 0, kMaxValidateNs),
          .has_recent = !options.recent.empty(),
          .recent = ipc::EncodeRecentMessages(options.recent),
          .surroundings = std::move(options.surroundings),
          .done = std::move(done)};
  {
    MutexLock lock(&mutex_);
    if (arrived_.size() >= kMaxArrivedValidations) {
      refused_.push_back(std::move(job.done));
    } else {
      arrived_.push_back(std::move(job));
    }
  }
  Wake();
}

void ProcessValidator::Cancel(RevisionRef revision) {
  {
    MutexLock lock(&mutex_);
    cancelled_.push_back(revision);
  }
  Wake();
}

void ProcessValidator::Run() {
  pthread_setname_np(pthread_self(), "cx-validator");
  while (true) {
    {
      MutexLock lock(&mutex_);
      if (stopping_) break;
    }
    TakeOrders();
    WaitForEvents();
    CheckRunning();
  }
  for (Job& job : running_) platform::KillAndReap(job.child);
  running_.clear();
}

void ProcessValidator::WaitForEvents() {
  std::vector<pollfd> fds = {{wake_.get(), POLLIN, 0}};
  for (const Job& job : running_) fds.push_back({job.child.pidfd.get(), POLLIN, 0});
  (void)poll(fds.data(), fds.size(),
             running_.empty() ? -1 : static_cast<int>(kTickNs / kNanosPerMilli));
  uint64_t count;
  (void)!read(wake_.get(), &count, sizeof count);
}

void ProcessValidator::TakeOrders() {
  std::vector<Job> arrived;
  std::vector<Done> refused;
  std::vector<RevisionRef> cancelled;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    arrived.swap(arrived_);
    refused.swap(refused_);
    cancelled.swap(cancelled_);
  }
  for (Done& done : refused) Refuse(done, kMaxArrivedValidations);
  AnswerCancelled(cancelled);
  for (Job& job : arrived) {
    if (IsOf(job, cancelled)) {
      job.done(Cancelled());
    } else {
      LookAt(std::move(job));
    }
  }
  while (running_.size() < kMaxValidations && !queue_.empty()) {
    Job job = std::move(queue_.front());
    queue_.pop_front();
    Begin(std::move(job));
  }
}

void ProcessValidator::LookAt(Job job) {
  if (AnswerWithoutChild(job)) return;
  if (queue_.size() >= kMaxQueuedValidations) return Refuse(job.done, kMaxQueuedValidations);
  queue_.push_back(std::move(job));
}

void ProcessValidator::AnswerCancelled(const std::vector<RevisionRef>& revisions) {
  if (revisions.empty()) return;
  std::vector<Done> ended;
  for (Job& job : queue_) {
    if (IsOf(job, revisions)) ended.push_back(std::move(job.done));
  }
  std::erase_if(queue_, [&](const Job& job) { return IsOf(job, revisions); });
  for (auto it = running_.begin(); it != running_.end();) {
    if (!IsOf(*it, revisions)) {
      ++it;
      continue;
    }
    platform::KillAndReap(it->child);
    ended.push_back(std::move(it->done));
    it = running_.erase(it);
  }
  for (Done& done : ended) done(Cancelled());
}

void ProcessValidator::CheckRunning() {
  const int64_t now = deps_.clock->MonoNanos();
  for (auto it = running_.begin(); it != running_.end();) {
    const auto ended = platform::WaitChild(it->child, 0);
    if (ended.ok() && !ended->has_value()) {
      if (now - it->started_ns >= it->limit_ns && !std::exchange(it->timed_out, true)) {
        (void)platform::KillChild(it->child, SIGKILL);
      }
      ++it;
      continue;
    }
    Job job = std::move(*it);
    it = running_.erase(it);
    if (ended.ok()) {
      Finish(job, **ended);
    } else {
      job.done(ended.status());
    }
  }
}

void ProcessValidator::Begin(Job job) {
  if (job.attempts++ == 0) job.started_ns = deps_.clock->MonoNanos();
  if (AnswerWithoutChild(job)) return;  // one before it may have been the same
  auto wasm = deps_.artifacts->GetModule(job.revision.module);
  if (!wasm.ok()) return job.done(wasm.status());
  if (absl::Status started = StartChild(job, *wasm); !started.ok()) {
    return job.done(Annotate(started, "validation could not be started"));
  }
  running_.push_back(std::move(job));
}

bool ProcessValidator::AnswerWithoutChild(Job& job) {
  const Revision& revision = job.revision;
  if (absl::Status settings = supervisor::CheckSettings(revision); !settings.ok()) {
    ExamineReport report;
    report.findings.push_back({.code = "SETTINGS_TOO_LARGE",
                               .message = std::string(settings.message()),
                               .fix = FixOf(settings)});
    job.done(MakeReport(revision.module, report, 0));
    return true;
  }
  const auto kept =
      deps_.artifacts->GetReport(revision.module, CacheName(options_.engine_key, job));
  if (!kept.has_value()) return false;
  auto examined = DecodeExamineReport(*kept);
  if (!examined.ok()) return false;
  StageRun& contracts = examined->stages[static_cast<size_t>(ExamineStage::kContracts)];
  if (contracts.ran) contracts.note = ComparedWith(job.surroundings);
  const platform::UniqueFd native(
      deps_.artifacts->OpenNative(revision.module, options_.engine_key));
  if (!native.valid()) return false;
  ValidationReport report = MakeReport(revision.module, *examined, 0);
  report.cached = true;
  job.done(std::move(report));
  return true;
}

absl::Status ProcessValidator::StartChild(Job& job, std::string_view wasm) {
  const std::string name = StrCat("compile", next_name_++);
  ipc::Configure configure = supervisor::MakeConfigure(job.revision);
  configure.init_deadline_ns = options_.init_limit_ms * kNanosPerMilli;
  const std::string config_bytes = ipc::EncodeCompileRequest(configure, Encoded(job.surroundings));
  ASSIGN_OR_RETURN(const platform::UniqueFd module, platform::MemfdWithContent(name, wasm));
  ASSIGN_OR_RETURN(const platform::UniqueFd config, platform::MemfdWithContent(name, config_bytes));
  ASSIGN_OR_RETURN(const platform::UniqueFd recent, platform::MemfdWithContent(name, job.recent));
  ASSIGN_OR_RETURN(job.code, platform::CreateMemfd(name + "-code", 0));
  ASSIGN_OR_RETURN(job.report, platform::CreateMemfd(name + "-report", 0));
  job.memory_limit_bytes = kCompilerMemoryBytes + job.revision.limits.memory_bytes;
  ASSIGN_OR_RETURN(job.cgroup, deps_.cgroups->Create(name, {.memory_bytes = job.memory_limit_bytes,
                                                            .cpu_millis = kCompilerCpuMillis,
                                                            .pids_max = kCompilerThreadsMax}));
  platform::SpawnOptions options;
  options.path = options_.worker_path;
  options.argv = ipc::CommandLine(
      options_.worker_path, ipc::CompileCommand{.data_limit_bytes = job.memory_limit_bytes,
                                                .cpu_limit_seconds = options_.cpu_limit_seconds,
                                                .jail = options_.jail});
  options.fds = {{module.get(), ipc::kCompileModuleFd},
                 {config.get(), ipc::kCompileConfigFd},
                 {job.code.get(), ipc::kCompileCodeFd},
                 {job.report.get(), ipc::kCompileReportFd},
                 {recent.get(), ipc::kCompileRecentFd}};
  options.rlimits = {{RLIMIT_CORE, 0, 0},
                     {RLIMIT_FSIZE, kMaxNativeCodeBytes, kMaxNativeCodeBytes}};  // of its memfds
  job.cgroup->Join(&options);
  ASSIGN_OR_RETURN(job.child, platform::Spawn(options));
  return absl::OkStatus();
}

void ProcessValidator::Finish(Job& job, const platform::ExitStatus& exit) {
  ipc::ChildEnd end{.exit = exit,
                    .timed_out = job.timed_out,
                    .limit_ns = job.limit_ns,
                    .memory_limit_bytes = job.memory_limit_bytes,
                    .cpu_limit_seconds = options_.cpu_limit_seconds};
  if (auto bytes = platform::ReadFd(job.report.get(), ipc::kMaxCompileReportBytes); bytes.ok()) {
    end.report = *std::move(bytes);
  }
  if (auto usage = job.cgroup->Usage(); usage.ok()) end.out_of_memory = usage->oom_kills > 0;
  // Killed by somebody else: the module had no part in it.
  const bool foul = !exit.exited && exit.signal == SIGKILL && !end.timed_out && !end.out_of_memory;
  if (foul && job.attempts < kMaxAttempts) return Begin(std::move(job));
  bool native = false;
  const auto examined = ipc::JudgeEnd(end, &native);
  if (!examined.ok()) return job.done(examined.status());
  if (native) {
    if (absl::Status kept = Keep(job, *examined); !kept.ok()) return job.done(kept);
  }
  const int64_t took = deps_.clock->MonoNanos() - job.started_ns;
  ValidationReport report = MakeReport(job.revision.module, *examined, took);
  Tell(job, report);
  job.done(std::move(report));
}

void ProcessValidator::Tell(const Job& job, const ValidationReport& report) {
  // The one that it failed in, or the last.
  std::string_view stage = report.stages.back().stage;
  for (size_t i = 0; i < kExamineStages; ++i) {
    const StageReport& one = report.stages[i];
    if (one.outcome == StageOutcome::kNotRun) continue;
    durations_[i].Observe(static_cast<double>(one.duration_ns) / kNanosPerSecond);
    if (one.outcome == StageOutcome::kFailed) stage = one.stage;
  }
  deps_.log->Info(report.ok() ? "module validated" : "module rejected",
                  {{"agent", job.revision.agent},
                   {"stage", stage},
                   {"duration_ms", report.took_ns / kNanosPerMilli},
                   {"findings", report.Summary()}});
}

absl::Status ProcessValidator::Keep(const Job& job, const ExamineReport& report) {
  RETURN_IF_ERROR(platform::SealMemfd(job.code.get(), platform::Seal::kContent));
  ASSIGN_OR_RETURN(const std::string code, platform::ReadFd(job.code.get(), kMaxNativeCodeBytes));
  if (code.empty()) return absl::InternalError("the validating process left no native code");
  const Digest& module = job.revision.module;
  RETURN_IF_ERROR(deps_.artifacts->PutNative(module, options_.engine_key, code));
  std::string bytes;
  EncodeExamineReport(report, &bytes);
  return deps_.artifacts->PutReport(module, CacheName(options_.engine_key, job), bytes);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Validator>> StartValidator(const ValidatorOptions& options,
                                                          const ValidatorDeps& deps) {
  CAXTON_ASSERT(deps.clock && deps.artifacts && deps.cgroups && deps.log && deps.metrics,
                "the composition root gives the validator all it needs");
  auto validator = std::make_unique<ProcessValidator>(options, deps);
  RETURN_IF_ERROR(validator->Start());
  return validator;
}

}  // namespace caxton::validation
