// SPDX-License-Identifier: Apache-2.0
#include "supervisor_thread.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/ipc/slot.h"
#include "caxton/supervisor/worker_setup.h"
#include "caxton/telemetry/metric_names.h"

namespace caxton::supervisor {
namespace {

constexpr int kEventsAtOnce = 64;

std::string VersionLabel(const Revision& revision) {
  return revision.version.empty() ? StrCat(revision.ref.number.value()) : revision.version;
}

}  // namespace

SupervisorThread::SupervisorThread(const SupervisorOptions& options, const SupervisorDeps& deps)
    : options_(options), deps_(deps) {}

absl::Status SupervisorThread::Start() {
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (!epoll_.valid() || !wake_.valid() ||
      epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) != 0) {
    return ErrnoStatus(errno, "starting the supervisor");
  }
  thread_ = std::thread([this] { Run(); });
  return absl::OkStatus();
}

void SupervisorThread::Join() {
  if (!thread_.joinable()) return;
  Post([this] { ending_ = true; });
  thread_.join();
}

void SupervisorThread::Post(Task task) {
  {
    MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
  }
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);  // full: it is awake anyway
}

std::vector<std::pair<RevisionRef, WorkersStatus>> SupervisorThread::Status() const {
  std::map<RevisionRef, std::shared_ptr<WorkerGroup>> groups;
  {
    MutexLock lock(&mutex_);
    groups = visible_;
  }
  std::vector<std::pair<RevisionRef, WorkersStatus>> all;
  for (const auto& [ref, group] : groups) all.emplace_back(ref, group->status());
  return all;
}

void SupervisorThread::LaneReady(WorkerGroup*, Lane* lane, ipc::Ready ready) {
  Post([this, lane, ready = std::move(ready)] { HandleReady(*lane, ready); });
}

void SupervisorThread::LaneEnded(WorkerGroup*, Lane* lane) {
  Post([this, lane] {
    lane->life.reader_ended = true;
    RetireIfOver(*EntryOf(lane), *lane);
  });
}

void SupervisorThread::TooLarge(WorkerGroup* group, Ticket ticket) {
  Post([this, ref = group->revision(), ticket] {
    deps_.sink->OnResult(ref, StepResult{.ticket = ticket,
                                         .outcome = StepOutcome::kOverLimit,
                                         .detail = "the message does not fit the worker's channel: "
                                                   "raise resources.max_message"});
  });
}

void SupervisorThread::Run() {
  pthread_setname_np(pthread_self(), "cx-supervisor");
  while (!ending_) {
    WaitForEvents();
    RunTasks();
    Tick();
    DropEnded();
  }
  KillEverything();
}

// Milliseconds until the next restart that is due, at most a tick.
int SupervisorThread::WaitMillis() const {
  const int64_t now = deps_.clock->MonoNanos();
  int64_t wait = kTickNs;
  for (const auto& entry : entries_) {
    for (const auto& lane : entry->group->lanes()) {
      if (lane->life.state != State::kDown || entry->stopping) continue;
      wait = std::min(wait, lane->life.restart_due_ns - now);
    }
  }
  return static_cast<int>((std::max<int64_t>(wait, 0) + kNanosPerMilli - 1) / kNanosPerMilli);
}

void SupervisorThread::WaitForEvents() {
  epoll_event events[kEventsAtOnce];
  const int n = epoll_wait(epoll_.get(), events, kEventsAtOnce, WaitMillis());
  for (int i = 0; i < n; ++i) {
    if (events[i].data.ptr == nullptr) {
      uint64_t count;
      (void)!read(wake_.get(), &count, sizeof count);
    } else {
      Reap(*static_cast<Lane*>(events[i].data.ptr));
    }
  }
}

void SupervisorThread::RunTasks() {
  std::vector<Task> tasks;
  {
    MutexLock lock(&mutex_);
    tasks.swap(tasks_);
  }
  for (Task& task : tasks) {
    std::move(task)();
  }
}

SupervisorThread::Entry* SupervisorThread::EntryOf(const Lane* lane) {
  auto it = by_lane_.find(lane);
  CAXTON_ASSERT(it != by_lane_.end(), "a lane speaks only while its entry is there");
  return it->second;
}

void SupervisorThread::Prepare(const Revision& revision, int64_t limit_ns, PrepareDone done) {
  if (auto it = live_.find(revision.ref); it != live_.end()) {
    Entry& entry = *it->second;
    if (entry.prepared) return done(Supervisor::Prepared(entry.group));
    return entry.waiting.push_back(std::move(done));
  }
  if (live_.size() >= kMaxRevisions) {
    return done(WithFix(absl::ResourceExhaustedError(
                            StrCat(kMaxRevisions, " revisions have workers already, the limit")),
                        "remove agents that are not needed any more"));
  }
  if (absl::Status settings = CheckSettings(revision); !settings.ok()) return done(settings);
  platform::UniqueFd code(deps_.artifacts->OpenNative(revision.module, options_.engine_key));
  if (!code.valid()) {
    return done(absl::NotFoundError(
        StrCat("there is no native code of ", revision.Name(), ": it has to be compiled again")));
  }
  auto entry = std::make_unique<Entry>();
  entry->revision = revision;
  entry->group = std::make_shared<WorkerGroup>(revision, this, deps_.sink, deps_.clock);
  entry->code = std::move(code);
  entry->prepare_due_ns = deps_.clock->MonoNanos() + limit_ns;
  entry->waiting.push_back(std::move(done));
  entry->labels = {{"agent", revision.agent}, {"version", VersionLabel(revision)}};
  entry->memory = deps_.metrics->GetGauge(telemetry::names::kAgentMemory, entry->labels);
  entry->cpu = deps_.metrics->GetCounter(telemetry::names::kAgentCpu, entry->labels);
  entry->restarts = deps_.metrics->GetCounter(telemetry::names::kWorkerRestarts, entry->labels);
  live_[revision.ref] = entry.get();
  for (const auto& lane : entry->group->lanes()) by_lane_[lane.get()] = entry.get();
  entries_.push_back(std::move(entry));
  MutexLock lock(&mutex_);  // Tick starts the lanes
  visible_[revision.ref] = live_[revision.ref]->group;
}

void SupervisorThread::Stop(RevisionRef ref, Task done) {
  if (auto it = live_.find(ref); it != live_.end()) {
    Entry& entry = *it->second;
    entry.stopped.push_back(std::move(done));
    AnswerPrepare(entry, absl::CancelledError("the revision was stopped meanwhile"));
    return BeginStop(entry, kStopGraceNs);
  }
  // Stopping already: done when the last process is gone.
  for (auto it = entries_.rbegin(); it != entries_.rend(); ++it) {
    if ((*it)->revision.ref == ref) return (*it)->stopped.push_back(std::move(done));
  }
  done();
}

void SupervisorThread::BeginStop(Entry& entry, int64_t grace_ns) {
  live_.erase(entry.revision.ref);
  {
    MutexLock lock(&mutex_);
    visible_.erase(entry.revision.ref);
  }
  entry.stopping = true;
  for (const auto& lane : entry.group->lanes()) {
    if (lane->life.state == State::kDown) continue;
    lane->life.state = State::kEnding;
    lane->life.kill_due_ns = deps_.clock->MonoNanos() + grace_ns;
    lane->RequestStop();
  }
}

void SupervisorThread::AnswerPrepare(Entry& entry, const Supervisor::Prepared& answer) {
  for (PrepareDone& done : std::exchange(entry.waiting, {})) done(answer);
}

void SupervisorThread::FailPrepare(Entry& entry, const absl::Status& status) {
  deps_.log->Warn("workers could not be prepared", {{"agent", entry.revision.agent},
                                                    {"version", VersionLabel(entry.revision)},
                                                    {"error", std::string(status.message())}});
  BeginStop(entry, 0);
  AnswerPrepare(entry, status);
}

void SupervisorThread::StartLane(Entry& entry, Lane& lane) {
  const int64_t now = deps_.clock->MonoNanos();
  Lane::Life& life = lane.life;
  life.name = StrCat("w", next_name_++);
  life.reaped = life.reader_ended = false;
  life.up_since_ns = 0;
  life.ready_due_ns = entry.prepared ? now + kRestartReadyLimitNs : entry.prepare_due_ns;
  const absl::Status started = lane.Start({.name = life.name,
                                           .worker_path = options_.worker_path,
                                           .slot_directory = options_.slot_directory,
                                           .jail = options_.jail,
                                           .code_fd = entry.code.get(),
                                           .revision = &entry.revision,
                                           .cgroups = deps_.cgroups});
  if (!started.ok()) {
    return LaneDied(entry, lane,
                    StrCat("a worker could not be started: ", StdView(started.message())));
  }
  life.state = State::kStarting;
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &lane}};
  const int added = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, lane.child()->pidfd.get(), &event);
  CAXTON_ASSERT(added == 0, "a fresh pidfd can be watched");
  deps_.log->Debug("worker started", {{"agent", entry.revision.agent},
                                      {"version", VersionLabel(entry.revision)},
                                      {"pid", lane.child()->pid}});
}

void SupervisorThread::HandleReady(Lane& lane, const ipc::Ready& ready) {
  Entry& entry = *EntryOf(&lane);
  if (deps_.on_jail) deps_.on_jail(ready.not_enforced);
  if (!ready.not_enforced.empty() && !std::exchange(jail_said_, true)) {
    std::string what;
    for (const std::string& one : ready.not_enforced)
      StrAppend(&what, what.empty() ? "" : "; ", one);
    deps_.log->Warn("parts of the workers' jail are not enforced on this machine",
                    {{"not_enforced", what}});
  }
  if (entry.stopping) return;
  if (!ready.ok) {
    const std::string why = StrCat("could not be initialized: ", ready.detail);
    lane.Kill(why);
    if (!entry.prepared) {
      FailPrepare(entry, absl::FailedPreconditionError(StrCat(entry.revision.Name(), " ", why)));
    }
    return;
  }
  const int64_t now = deps_.clock->MonoNanos();
  lane.life.state = State::kUp;
  lane.life.up_since_ns = now;
  // Asked at once: a candidate gets traffic when it is known to be well.
  lane.life.health_due_ns = now + kHealthPeriodNs;
  if (entry.revision.traits.has_health_check) lane.AskHealth();
  if (!std::exchange(entry.prepared, true)) AnswerPrepare(entry, Supervisor::Prepared(entry.group));
}

void SupervisorThread::Reap(Lane& lane) {
  const auto ended = platform::WaitChild(*lane.child(), 0);
  if (ended.ok() && !ended->has_value()) return;  // woken for nothing
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, lane.child()->pidfd.get(), nullptr);
  lane.NoteExit(ended.ok() ? **ended : platform::ExitStatus{});
  lane.life.reaped = true;
  RetireIfOver(*EntryOf(&lane), lane);
}

void SupervisorThread::RetireIfOver(Entry& entry, Lane& lane) {
  if (!lane.life.reaped || !lane.life.reader_ended) return;
  const std::string cause = lane.cause();
  lane.life.cpu_usec += static_cast<uint64_t>(std::max<int64_t>(lane.Usage().cpu_usec, 0));
  lane.Retire();
  (void)ipc::RemoveSlot(options_.slot_directory, lane.life.name);
  lane.life.state = State::kDown;
  if (!entry.stopping) LaneDied(entry, lane, cause);
}

void SupervisorThread::LaneDied(Entry& entry, Lane& lane, const std::string& cause) {
  const int64_t now = deps_.clock->MonoNanos();
  Lane::Life& life = lane.life;
  life.state = State::kDown;
  if (!entry.prepared && ++entry.died_early >= kPrepareAttempts) {
    return FailPrepare(entry, absl::UnavailableError(StrCat("no worker of ", entry.revision.Name(),
                                                            " came up: ", cause)));
  }
  if (life.up_since_ns > 0 && now - life.up_since_ns >= kHealthyAfterNs) life.backoff_ns = -1;
  life.restart_due_ns = now + std::max<int64_t>(life.backoff_ns, 0);
  life.backoff_ns = life.backoff_ns <= 0 ? kRestartBackoffFirstNs
                                         : std::min(2 * life.backoff_ns, kRestartBackoffMaxNs);
  entry.group->CountRestart();
  entry.restarts.Add();
  deps_.log->Warn("a worker is replaced",
                  {{"agent", entry.revision.agent},
                   {"version", VersionLabel(entry.revision)},
                   {"cause", cause},
                   {"restart_in_ms", (life.restart_due_ns - now) / kNanosPerMilli}});
}

void SupervisorThread::Tick() {
  const int64_t now = deps_.clock->MonoNanos();
  const bool sample = now >= usage_due_ns_;
  if (sample) usage_due_ns_ = now + kUsagePeriodNs;
  for (size_t i = 0; i < entries_.size(); ++i) {  // callbacks may not add entries, posts do
    Entry& entry = *entries_[i];
    if (!entry.stopping && !entry.prepared && now >= entry.prepare_due_ns) {
      FailPrepare(entry, absl::DeadlineExceededError(StrCat(
                             "the workers of ", entry.revision.Name(), " were not ready in time")));
    }
    for (const auto& lane : entry.group->lanes()) TickLane(entry, *lane, now);
    entry.group->LookForRoom();
    if (sample) SampleUsage(entry);
  }
}

void SupervisorThread::TickLane(Entry& entry, Lane& lane, int64_t now) {
  Lane::Life& life = lane.life;
  lane.RefillLogBudget();
  switch (life.state) {
    case State::kDown:
      if (!entry.stopping && now >= life.restart_due_ns) StartLane(entry, lane);
      break;
    case State::kStarting:
      if (now >= life.ready_due_ns) lane.Kill("was not ready in time");
      break;
    case State::kUp:
      if (lane.Hung()) {
        lane.Kill("was killed: its step did not end, long after its deadline", true);
        break;
      }
      lane.YieldIfLong();
      if (entry.revision.traits.has_health_check && now >= life.health_due_ns) {
        life.health_due_ns = now + kHealthPeriodNs;
        lane.AskHealth();
      }
      break;
    case State::kEnding:
      if (now >= life.kill_due_ns) lane.Kill("was killed: it did not stop in time");
      break;
  }
}

void SupervisorThread::SampleUsage(Entry& entry) {
  uint64_t memory = 0, cpu = 0;
  for (const auto& lane : entry.group->lanes()) {
    const platform::CgroupUsage usage = lane->Usage();
    memory += static_cast<uint64_t>(std::max<int64_t>(usage.memory_bytes, 0));
    cpu += static_cast<uint64_t>(std::max<int64_t>(usage.cpu_usec, 0)) + lane->life.cpu_usec;
  }
  entry.group->NoteUsage(memory, cpu);
  entry.memory.Set(static_cast<double>(memory));
  if (cpu > entry.cpu_reported_usec) {
    entry.cpu.Add(static_cast<double>(cpu - entry.cpu_reported_usec) / 1e6);
    entry.cpu_reported_usec = cpu;
  }
}

void SupervisorThread::DropEnded() {
  for (size_t i = 0; i < entries_.size();) {
    Entry& entry = *entries_[i];
    const auto& lanes = entry.group->lanes();
    const bool over = entry.stopping && std::all_of(lanes.begin(), lanes.end(), [](const auto& l) {
                        return l->life.state == State::kDown;
                      });
    if (!over) {
      ++i;
      continue;
    }
    SampleUsage(entry);
    for (const auto& lane : lanes) by_lane_.erase(lane.get());
    // Several may have one: a version can come twice, and a secondary or a replay has its
    // original's.
    const bool shared = std::any_of(entries_.begin(), entries_.end(), [&entry](const auto& other) {
      return other.get() != &entry && other->labels == entry.labels;
    });
    if (!shared) {
      deps_.metrics->DropGauge(telemetry::names::kAgentMemory, entry.labels);
    }
    std::vector<Task> stopped = std::move(entry.stopped);
    entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(i));
    for (Task& done : stopped) std::move(done)();
  }
}

void SupervisorThread::KillEverything() {
  for (const auto& entry : entries_) {
    entry->group->Silence();
    for (const auto& lane : entry->group->lanes()) lane->Kill("was killed: the server stops");
  }
  for (const auto& entry : entries_) {
    for (const auto& lane : entry->group->lanes()) {
      if (lane->child() == nullptr) continue;
      if (!lane->life.reaped) {
        const auto ended = platform::WaitChild(*lane->child(), -1);
        lane->NoteExit(ended.ok() && ended->has_value() ? **ended : platform::ExitStatus{});
      }
      lane->Retire();
      (void)ipc::RemoveSlot(options_.slot_directory, lane->life.name);
    }
  }
}

}  // namespace caxton::supervisor
