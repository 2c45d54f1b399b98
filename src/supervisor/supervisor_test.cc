// SPDX-License-Identifier: Apache-2.0
//
// The real supervisor with real processes of scripted_worker. Time is the test's: deadlines pass
// when the test says so, and everything else is waited for without a limit of its own.
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "caxton/base/mutex.h"
#include "caxton/base/notification.h"
#include "caxton/base/strings.h"
#include "caxton/ipc/slot.h"
#include "caxton/supervisor/limits.h"
#include "caxton/supervisor/process_supervisor.h"
#include "caxton/supervisor/worker_setup.h"

namespace caxton::supervisor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TestClock final : public Clock {
 public:
  int64_t WallNanos() const override { return MonoNanos(); }
  int64_t MonoNanos() const override { return now_.load(); }
  void Advance(int64_t ns) { now_.fetch_add(ns); }

 private:
  std::atomic<int64_t> now_{kNanosPerSecond};
};

// Counts how every ticket ended and lets the test wait for it.
class Ledger final : public StepSink {
 public:
  void OnResult(RevisionRef, StepResult result) override {
    MutexLock lock(&mutex_);
    ++ends_[result.ticket];
    results_[result.ticket] = std::move(result);
    changed_.SignalAll();
  }
  void OnLost(RevisionRef, std::vector<LostStep> lost, std::string cause) override {
    MutexLock lock(&mutex_);
    for (const LostStep& step : lost) {
      ++ends_[step.ticket];
      lost_[step.ticket] = step.executing;
    }
    cause_ = std::move(cause);
    changed_.SignalAll();
  }
  void OnRoom(RevisionRef) override {
    MutexLock lock(&mutex_);
    ++rooms_;
    changed_.SignalAll();
  }
  void OnLog(RevisionRef, std::vector<LogLine> lines) override {
    MutexLock lock(&mutex_);
    logs_ += lines.size();
  }

  // Until `count` tickets have ended.
  void AwaitEnds(size_t count) {
    MutexLock lock(&mutex_);
    while (ends_.size() < count) changed_.Wait(&mutex_);
  }
  // Until OnRoom was called `count` times; backoffs pass meanwhile.
  void AwaitRooms(int count, TestClock* clock) {
    MutexLock lock(&mutex_);
    while (rooms_ < count) {
      changed_.WaitFor(&mutex_, 10 * kNanosPerMilli);
      clock->Advance(kRestartBackoffFirstNs);
    }
  }
  int Rooms() {
    MutexLock lock(&mutex_);
    return rooms_;
  }
  size_t Logs() {
    MutexLock lock(&mutex_);
    return logs_;
  }
  std::map<Ticket, int> Ends() {
    MutexLock lock(&mutex_);
    return ends_;
  }
  std::map<Ticket, bool> Lost() {
    MutexLock lock(&mutex_);
    return lost_;
  }
  StepResult Result(uint64_t ticket) {
    MutexLock lock(&mutex_);
    return results_[Ticket(ticket)];
  }
  std::string Cause() {
    MutexLock lock(&mutex_);
    return cause_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<Ticket, int> ends_;
  std::map<Ticket, StepResult> results_;
  std::map<Ticket, bool> lost_;
  std::string cause_;
  int rooms_ = 0;
  size_t logs_ = 0;
};

size_t OpenFds() {
  size_t n = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) n += !entry.path().empty();
  return n;
}

// Children of this process that are the scripted worker.
std::vector<pid_t> Workers() {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    pid_t pid = 0;
    if (!ParseInt(entry.path().filename().string(), &pid)) continue;
    std::ifstream stat(entry.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    const size_t end = text.rfind(')');
    if (end == std::string::npos || !StrContains(text, "(scripted")) continue;
    pid_t parent = 0;
    if (sscanf(text.c_str() + end + 1, " %*c %d", &parent) == 1 && parent == getpid()) {
      pids.push_back(pid);
    }
  }
  return pids;
}

class SupervisorTest : public ::testing::Test {
 protected:
  SupervisorTest() : cgroups_(platform::NullCgroups("a test")) {
    std::string pattern = ::testing::TempDir() + "/supervisor-XXXXXX";
    root_ = mkdtemp(pattern.data());
    artifacts_ = *OpenArtifactStore(root_ + "/artifacts");
    revision_.agent = "greeter";
    revision_.ref = {AgentId(1), RevisionNumber(7)};
    revision_.module = *artifacts_->PutModule("module");
    EXPECT_TRUE(artifacts_->PutNative(revision_.module, "engine", "native").ok());
    Open();
  }
  ~SupervisorTest() override {
    workers_.reset();
    supervisor_.reset();
    EXPECT_TRUE(Workers().empty());
    fs::remove_all(root_);
  }

  void Open() {
    SupervisorOptions options{.worker_path = CAXTON_SCRIPTED_WORKER,
                              .slot_directory = root_ + "/slots",
                              .engine_key = "engine"};
    SupervisorDeps deps{.clock = &clock_,
                        .artifacts = artifacts_.get(),
                        .cgroups = cgroups_.get(),
                        .sink = &ledger_,
                        .log = &log_,
                        .metrics = &metrics_};
    auto supervisor = StartSupervisor(options, deps);
    ASSERT_TRUE(supervisor.ok()) << supervisor.status();
    supervisor_ = *std::move(supervisor);
  }
  Supervisor::Prepared Prepare(int64_t limit_ns = 3600 * kNanosPerSecond) {
    Notification done;
    Supervisor::Prepared answer = absl::UnknownError("not called");
    supervisor_->Prepare(revision_, limit_ns, [&](Supervisor::Prepared prepared) {
      answer = std::move(prepared);
      done.Notify();
    });
    while (!done.WaitFor(50 * kNanosPerMilli)) {
      clock_.Advance(kRestartBackoffFirstNs);
    }
    if (answer.ok()) workers_ = *answer;
    return answer;
  }
  void Stop() {
    Notification done;
    supervisor_->Stop(revision_.ref, [&] { done.Notify(); });
    done.WaitForNotification();
  }
  bool TryOne(uint64_t ticket, const std::string& content, bool alone = false) {
    std::string envelope;
    EncodeEnvelope(Envelope{.id = "m", .receiver = "greeter", .content = content}, &envelope);
    DispatchOrder order{.deadline_ns = kNanosPerSecond, .envelope = envelope, .alone = alone};
    order.input.ticket = Ticket(ticket);
    order.input.seq = Seq(ticket + 1'000'000);
    const bool taken = workers_->TryDispatch(order);
    workers_->Flush();
    return taken;
  }
  // As the router: after a refusal, again when there is room.
  void Dispatch(uint64_t ticket, const std::string& content, bool alone = false) {
    int rooms = ledger_.Rooms();
    while (!TryOne(ticket, content, alone)) {
      ledger_.AwaitRooms(rooms + 1, &clock_);
      rooms = ledger_.Rooms();
    }
  }

  std::string root_;
  TestClock clock_;
  Ledger ledger_;
  telemetry::Logger log_;
  telemetry::PrometheusMetrics metrics_;
  std::unique_ptr<platform::CgroupManager> cgroups_;
  std::unique_ptr<ArtifactStore> artifacts_;
  std::unique_ptr<Supervisor> supervisor_;
  std::shared_ptr<RevisionWorkers> workers_;
  Revision revision_;
};

// Remembers the last share of the processors that a worker was given.
class ShareBook final : public platform::CgroupManager {
 public:
  const platform::CgroupReport& report() const override { return null_->report(); }
  absl::StatusOr<std::unique_ptr<platform::Cgroup>> Create(
      const std::string&, const platform::CgroupLimits& limits) override {
    share_ = limits.cpu_millis;
    return std::make_unique<Group>(&share_);
  }
  int64_t share() const { return share_; }

 private:
  class Group final : public platform::Cgroup {
   public:
    explicit Group(std::atomic<int64_t>* share) : share_(share) {}
    void Join(platform::SpawnOptions*) const override {}
    absl::Status SetLimits(const platform::CgroupLimits&) override { return absl::OkStatus(); }
    absl::Status SetCpuShare(int64_t cpu_millis) override {
      *share_ = cpu_millis;
      return absl::OkStatus();
    }
    absl::StatusOr<platform::CgroupUsage> Usage() const override { return platform::CgroupUsage(); }
    absl::Status KillAll() override { return absl::OkStatus(); }
    absl::Status Remove() override { return absl::OkStatus(); }

   private:
    std::atomic<int64_t>* const share_;
  };
  std::unique_ptr<platform::CgroupManager> null_ = platform::NullCgroups("a test");
  std::atomic<int64_t> share_{0};
};

TEST_F(SupervisorTest, ALongStepYieldsUntilItEnds) {
  supervisor_.reset();
  auto book = std::make_unique<ShareBook>();
  const ShareBook& shares = *book;
  cgroups_ = std::move(book);
  Open();
  revision_.limits.cpu_millis = 600;
  ASSERT_TRUE(Prepare().ok());
  EXPECT_EQ(shares.share(), 600);
  Dispatch(1, "until-interrupted");
  clock_.Advance(kLongStepNs + 1);
  while (shares.share() == 600) std::this_thread::yield();  // the tick sees it
  EXPECT_EQ(shares.share(), 600 / kLongStepShare);
  workers_->Interrupt(Ticket(1));
  ledger_.AwaitEnds(1);
  EXPECT_EQ(shares.share(), 600);
  // As a shadow's; also its replacement.
  workers_->SetBackground(true);
  EXPECT_EQ(shares.share(), 600 / kBackgroundShare);
  clock_.Advance(kHealthyAfterNs);
  const std::vector<pid_t> before = Workers();
  ASSERT_EQ(before.size(), 1u);
  kill(before.front(), SIGKILL);
  while (Workers().empty() || Workers() == before) clock_.Advance(kRestartBackoffFirstNs);
  while (shares.share() == 600) std::this_thread::yield();  // made with the whole of it
  EXPECT_EQ(shares.share(), 600 / kBackgroundShare);
  workers_->SetBackground(false);
  EXPECT_EQ(shares.share(), 600);
  // A short one changes nothing.
  Dispatch(2, "x");
  ledger_.AwaitEnds(2);
  EXPECT_EQ(shares.share(), 600);
}

TEST_F(SupervisorTest, RevisionsOfOneVersionShareAGaugeUntilTheLastIsGone) {
  const auto shown = [this] { return StrContains(metrics_.RenderText(), "version=\"twice\""); };
  revision_.version = "twice";
  ASSERT_TRUE(Prepare().ok());
  revision_.ref.number = RevisionNumber(8);
  ASSERT_TRUE(Prepare().ok());
  Stop();
  // Read after free, before, where the other's gauge was dropped with this one's.
  EXPECT_TRUE(shown());
  revision_.ref.number = RevisionNumber(7);
  Stop();
}

TEST_F(SupervisorTest, ManyStepsEachEndOnce) {
  revision_.limits.instances = 2;
  ASSERT_TRUE(Prepare().ok());
  constexpr uint64_t kSteps = 10'000;
  for (uint64_t t = 1; t <= kSteps; ++t) Dispatch(t, StrCat("m", t));
  ledger_.AwaitEnds(kSteps);
  for (const auto& [ticket, ends] : ledger_.Ends()) ASSERT_EQ(ends, 1) << ticket.value();
  EXPECT_EQ(ledger_.Result(77).reply->content, "m77");
  EXPECT_TRUE(ledger_.Lost().empty());
  EXPECT_EQ(workers_->status().outstanding, 0u);
}

TEST_F(SupervisorTest, KilledWorkersAreReplacedAndEveryTicketEndsOnce) {
  ASSERT_TRUE(Prepare().ok());
  constexpr uint64_t kSteps = 5'000;
  for (uint64_t t = 1; t <= kSteps; ++t) {
    if (t % 1000 == 0) {
      clock_.Advance(kHealthyAfterNs);  // no backoff
      for (pid_t pid : Workers()) kill(pid, SIGKILL);
    }
    Dispatch(t, "x");
  }
  ledger_.AwaitEnds(kSteps);
  for (const auto& [ticket, ends] : ledger_.Ends()) ASSERT_EQ(ends, 1) << ticket.value();
  EXPECT_GE(workers_->status().restarts, 4);
}

TEST_F(SupervisorTest, CrashChargesTheExecutingStepOnly) {
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "fine");
  ledger_.AwaitEnds(1);
  Dispatch(2, "crash");
  Dispatch(3, "behind it");
  ledger_.AwaitEnds(3);
  const auto lost = ledger_.Lost();
  ASSERT_TRUE(lost.contains(Ticket(2)));
  EXPECT_TRUE(lost.at(Ticket(2)));
  if (lost.contains(Ticket(3))) {
    EXPECT_FALSE(lost.at(Ticket(3)));
  }
  EXPECT_THAT(ledger_.Cause(), HasSubstr("SIGKILL"));
}

TEST_F(SupervisorTest, HungWorkerIsKilledAfterDeadlineAndGrace) {
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "hang");
  Dispatch(2, "behind it");
  clock_.Advance(kNanosPerSecond + kHungGraceNs + 1);
  ledger_.AwaitEnds(2);
  EXPECT_TRUE(ledger_.Lost().at(Ticket(1)));
  EXPECT_FALSE(ledger_.Lost().at(Ticket(2)));
  EXPECT_THAT(ledger_.Cause(), HasSubstr("long after its deadline"));
  Dispatch(3, "again");
  ledger_.AwaitEnds(3);
}

TEST_F(SupervisorTest, HostileWorkersAreKilledAndReplaced) {
  ASSERT_TRUE(Prepare().ok());
  uint64_t ticket = 0;
  for (const char* what : {"garbage", "unknown", "type", "badring", "twice"}) {
    SCOPED_TRACE(what);
    Dispatch(++ticket, what);
    ledger_.AwaitEnds(ticket);
    EXPECT_THAT(ledger_.Cause(), HasSubstr("broke the protocol"));
  }
  Dispatch(++ticket, "fine");
  ledger_.AwaitEnds(ticket);
  while (workers_->status().restarts < 5) std::this_thread::yield();
  for (const auto& [t, ends] : ledger_.Ends()) EXPECT_EQ(ends, 1) << t.value();
}

TEST_F(SupervisorTest, WorkerThatClosesItsEndIsReplaced) {
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "close");
  ledger_.AwaitEnds(1);
  Dispatch(2, "fine");
  ledger_.AwaitEnds(2);
  EXPECT_EQ(ledger_.Result(2).reply->content, "fine");
}

TEST_F(SupervisorTest, InterruptEndsOneStepAndInterruptAllTheRest) {
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "until-interrupted");
  Dispatch(2, "until-interrupted");
  Dispatch(3, "until-interrupted");
  workers_->Interrupt(Ticket(1));
  ledger_.AwaitEnds(1);
  EXPECT_EQ(ledger_.Result(1).outcome, StepOutcome::kInterrupted);
  workers_->InterruptAll();
  ledger_.AwaitEnds(3);
  Dispatch(4, "later");
  ledger_.AwaitEnds(4);
  EXPECT_EQ(ledger_.Result(4).outcome, StepOutcome::kHandled);
}

TEST_F(SupervisorTest, AloneRunsWithNothingElse) {
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "until-interrupted");
  EXPECT_FALSE(TryOne(2, "alone", true));
  EXPECT_FALSE(TryOne(3, "other"));
  workers_->Interrupt(Ticket(1));
  ledger_.AwaitEnds(1);
  Dispatch(2, "until-interrupted", true);
  EXPECT_FALSE(TryOne(3, "other"));
  workers_->Interrupt(Ticket(2));
  Dispatch(3, "other");
  ledger_.AwaitEnds(3);
}

TEST_F(SupervisorTest, WindowIsBounded) {
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "until-interrupted");
  uint64_t ticket = 2;
  while (TryOne(ticket, "x")) ++ticket;
  EXPECT_EQ(ticket - 1, kWorkerWindow);
  workers_->Interrupt(Ticket(1));
  Dispatch(ticket, "x");
  ledger_.AwaitEnds(ticket);
}

TEST_F(SupervisorTest, MessageLargerThanTheChannelIsAnswered) {
  ASSERT_TRUE(Prepare().ok());
  EXPECT_TRUE(TryOne(1, std::string(8 << 20, 'x')));
  ledger_.AwaitEnds(1);
  EXPECT_EQ(ledger_.Result(1).outcome, StepOutcome::kOverLimit);
}

TEST_F(SupervisorTest, PrepareSaysWhatIsWrong) {
  revision_.settings["start"] = "fail";
  const auto failed = Prepare();
  EXPECT_TRUE(absl::IsFailedPrecondition(failed.status()));
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("trap in agent_init"));

  revision_.settings["start"] = "die";
  const auto died = Prepare();
  EXPECT_TRUE(absl::IsUnavailable(died.status()) || absl::IsDeadlineExceeded(died.status()));

  revision_.module = Sha256("never compiled");
  EXPECT_TRUE(absl::IsNotFound(Prepare().status()));
  Stop();
}

TEST_F(SupervisorTest, PrepareEndsAtItsLimit) {
  revision_.settings["start"] = "never";
  Notification done;
  absl::Status status;
  supervisor_->Prepare(revision_, kNanosPerSecond, [&](Supervisor::Prepared prepared) {
    status = prepared.status();
    done.Notify();
  });
  clock_.Advance(2 * kNanosPerSecond);
  // The limit counts from when the supervisor took the order up, which may be after the line above.
  while (!done.WaitFor(100 * kNanosPerMilli)) {
    clock_.Advance(kNanosPerSecond);
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
  Stop();
}

TEST_F(SupervisorTest, PreparedTwiceIsTheSame) {
  ASSERT_TRUE(Prepare().ok());
  const auto first = workers_;
  ASSERT_TRUE(Prepare().ok());
  EXPECT_EQ(first, workers_);
  ASSERT_EQ(supervisor_->Status().size(), 1u);
  EXPECT_EQ(supervisor_->Status()[0].second.running, 1);
}

TEST_F(SupervisorTest, StopLosesStepsWithoutBlame) {
  revision_.settings["stop"] = "ignore";
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "hang");
  Notification done;
  supervisor_->Stop(revision_.ref, [&] { done.Notify(); });
  while (!done.WaitFor(20 * kNanosPerMilli)) {
    clock_.Advance(kStopGraceNs);
  }
  EXPECT_FALSE(ledger_.Lost().at(Ticket(1)));
  EXPECT_FALSE(TryOne(2, "x"));
  EXPECT_TRUE(Workers().empty());
  EXPECT_TRUE(fs::is_empty(root_ + "/slots"));
}

TEST_F(SupervisorTest, HealthIsAskedAndTold) {
  revision_.traits.has_health_check = true;
  revision_.settings["health"] = "ill";
  ASSERT_TRUE(Prepare().ok());
  // The first time as soon as it is up.
  while (workers_->status().healthy) std::this_thread::yield();
  EXPECT_FALSE(workers_->status().health_pending);
  EXPECT_THAT(workers_->status().note, HasSubstr("health_check returned 3"));
}

TEST_F(SupervisorTest, LogLinesArrive) {
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "log");
  ledger_.AwaitEnds(1);
  Stop();  // the reader has handed on everything
  EXPECT_EQ(ledger_.Logs(), 1u);
}

TEST_F(SupervisorTest, WhatADeadServerLeftIsSuspect) {
  supervisor_.reset();
  auto slot = ipc::SlotFile::Create(root_ + "/slots", "w1");
  ASSERT_TRUE(slot.ok());
  slot->Mark(Seq(4711));
  Open();
  EXPECT_EQ(supervisor_->TakeSuspects(), std::vector<Seq>{Seq(4711)});
  EXPECT_TRUE(supervisor_->TakeSuspects().empty());
  EXPECT_TRUE(fs::is_empty(root_ + "/slots"));
}

TEST_F(SupervisorTest, CyclesLeaveNothingBehind) {
  ASSERT_TRUE(Prepare().ok());
  Stop();
  workers_.reset();
  const size_t fds = OpenFds();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(Prepare().ok());
    Dispatch(static_cast<uint64_t>(i + 1), "x");
    Stop();
    workers_.reset();
  }
  EXPECT_EQ(OpenFds(), fds);
  EXPECT_TRUE(Workers().empty());
  EXPECT_TRUE(fs::is_empty(root_ + "/slots"));
}

TEST_F(SupervisorTest, DestroyedWithWorkInFlight) {
  ASSERT_TRUE(Prepare().ok());
  Dispatch(1, "hang");
  supervisor_.reset();
  EXPECT_TRUE(Workers().empty());
  EXPECT_FALSE(TryOne(2, "x"));
  EXPECT_TRUE(ledger_.Lost().empty());
}

// Whether `pid` is gone, or dead and not collected by whoever inherited it.
bool IsDead(pid_t pid) {
  std::ifstream stat(StrCat("/proc/", pid, "/stat"));
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  const size_t end = text.rfind(')');
  return end == std::string::npos || text.substr(end, 3) == ") Z";
}

TEST_F(SupervisorTest, WorkersDieWithTheServer) {
  supervisor_.reset();  // no thread is left: forking is safe
  int out[2];
  ASSERT_EQ(pipe(out), 0);
  const pid_t server = fork();
  if (server == 0) {
    Open();
    if (!Prepare().ok()) _exit(1);
    const pid_t worker = Workers().at(0);
    (void)!write(out[1], &worker, sizeof worker);
    while (true) pause();
  }
  pid_t worker = 0;
  ASSERT_EQ(read(out[0], &worker, sizeof worker), static_cast<ssize_t>(sizeof worker));
  EXPECT_FALSE(IsDead(worker));
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  while (!IsDead(worker)) std::this_thread::yield();
  close(out[0]);
  close(out[1]);
}

TEST(WorkerSetupTest, IdentityIsParsed) {
  const auto identity =
      ParseWorkerIdentity("caxton-worker 0.1.0\nwasmtime 48.0.8\nengine-config ab12\n");
  ASSERT_TRUE(identity.ok());
  EXPECT_EQ(identity->EngineKey(), "wasmtime 48.0.8/ab12");
  EXPECT_FALSE(ParseWorkerIdentity("caxton-worker 0.1.0\n").ok());
  EXPECT_FALSE(ParseWorkerIdentity("").ok());
}

TEST(WorkerSetupTest, ConfigurationDependsOnTheRevisionOnly) {
  Revision revision;
  revision.agent = "a";
  revision.limits.memory_bytes = kMaxAgentMemoryBytes;
  const ipc::Configure one = MakeConfigure(revision);
  EXPECT_EQ(one.init_seed, MakeConfigure(revision).init_seed);
  EXPECT_EQ(one.pool_size, 1u);
  revision.limits.memory_bytes = 1 << 20;
  EXPECT_EQ(MakeConfigure(revision).pool_size, kDefaultPool);
  revision.settings["x"] = std::string(kMaxSettingsBytes, 'x');
  EXPECT_TRUE(absl::IsResourceExhausted(CheckSettings(revision)));
}

}  // namespace
}  // namespace caxton::supervisor
