// SPDX-License-Identifier: Apache-2.0
//
// Validation and supervision together, with the real caxton-worker in its jail: examples/echo
// validated, compiled, prepared and run, killed in the middle; and modules that must be refused,
// each with a clear finding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "caxton/base/assert.h"
#include "caxton/base/mutex.h"
#include "caxton/base/notification.h"
#include "caxton/base/strings.h"
#include "caxton/supervisor/process_supervisor.h"
#include "caxton/supervisor/worker_setup.h"
#include "caxton/validation/process_validator.h"

namespace caxton::validation {
namespace {

namespace fs = std::filesystem;
using supervisor::RevisionWorkers;
using supervisor::Supervisor;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

class Ledger final : public supervisor::StepSink {
 public:
  void OnResult(RevisionRef, StepResult result) override {
    MutexLock lock(&mutex_);
    ++ends_[result.ticket];
    handled_ += result.outcome == StepOutcome::kHandled && result.reply.has_value();
    last_ = std::move(result);
    changed_.SignalAll();
  }
  void OnLost(RevisionRef, std::vector<supervisor::LostStep> lost, std::string) override {
    MutexLock lock(&mutex_);
    for (const auto& step : lost) ++ends_[step.ticket];
    lost_ += lost.size();
    changed_.SignalAll();
  }
  void OnRoom(RevisionRef) override {
    MutexLock lock(&mutex_);
    ++rooms_;
    changed_.SignalAll();
  }
  void OnLog(RevisionRef, std::vector<LogLine>) override {}

  void AwaitEnds(size_t count) {
    MutexLock lock(&mutex_);
    while (ends_.size() < count) changed_.Wait(&mutex_);
  }
  void AwaitRooms(int count) {
    MutexLock lock(&mutex_);
    while (rooms_ < count) changed_.Wait(&mutex_);
  }
  int rooms() {
    MutexLock lock(&mutex_);
    return rooms_;
  }
  size_t handled() {
    MutexLock lock(&mutex_);
    return handled_;
  }
  size_t lost() {
    MutexLock lock(&mutex_);
    return lost_;
  }
  bool EachEndedOnce() {
    MutexLock lock(&mutex_);
    for (const auto& [ticket, ends] : ends_) {
      if (ends != 1) return false;
    }
    return true;
  }
  StepResult last() {
    MutexLock lock(&mutex_);
    return last_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<Ticket, int> ends_;
  StepResult last_;
  size_t handled_ = 0, lost_ = 0;
  int rooms_ = 0;
};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// `module` with this manifest instead of its own.
std::string WithManifest(std::string_view module, std::string_view manifest) {
  const auto number = [](size_t n) {  // LEB128
    std::string out;
    for (; n >= 0x80; n >>= 7) out.push_back(static_cast<char>(n | 0x80));
    out.push_back(static_cast<char>(n));
    return out;
  };
  constexpr std::string_view kName = "caxton.manifest";
  std::string out(module);
  // Renamed in place, it means nothing.
  if (const size_t old = out.find(kName); old != std::string::npos) out[old] = 'x';
  const std::string body = StrCat(number(kName.size()), kName, manifest);
  return StrCat(out, std::string(1, '\0'), number(body.size()), body);
}

// Exports what an agent must, and an agent_init that takes all the memory there is and then traps.
std::string MemoryBomb() {
  const auto section = [](char id, const std::string& body) {
    return std::string(1, id) + static_cast<char>(body.size()) + body;
  };
  const auto name = [](const std::string& text) {
    return std::string(1, static_cast<char>(text.size())) + text;
  };
  const auto body = [](const std::string& code) {
    return std::string(1, static_cast<char>(code.size() + 1)) + std::string(1, '\0') + code;
  };
  std::string wasm("\0asm\1\0\0\0", 8);
  wasm += section(1, std::string("\3\x60\1\x7f\1\x7f\x60\2\x7f\x7f\1\x7f\x60\0\1\x7f", 16));
  wasm += section(3, std::string("\3\0\1\2", 4));
  wasm += section(5, std::string("\1\0\1", 3));
  wasm += section(7, std::string("\4") + name("memory") + std::string("\2\0", 2) +
                         name("agent_alloc") + std::string("\0\0", 2) + name("handle_message") +
                         std::string("\0\1", 2) + name("agent_init") + std::string("\0\2", 2));
  wasm +=
      section(10, std::string("\3") + body(std::string("\x41\x80\x08\x0b", 4)) +
                      body(std::string("\x41\0\x0b", 3)) +
                      body(std::string("\3\x40\x41\x10\x40\0\x41\x7f\x47\x0d\0\x0b\0\x0b", 14)));
  return wasm;
}

class RealWorkerTest : public ::testing::Test {
 protected:
  RealWorkerTest() : cgroups_(platform::OpenCgroups({})) {
    std::string pattern = ::testing::TempDir() + "/real-XXXXXX";
    root_ = mkdtemp(pattern.data());
    artifacts_ = *supervisor::OpenArtifactStore(root_ + "/artifacts");
    auto identity = supervisor::AskWorkerIdentity(CAXTON_WORKER);
    CAXTON_ASSERT(identity.ok(), std::string(identity.status().message()));
    engine_key_ = identity->EngineKey();
    Start({.worker_path = CAXTON_WORKER, .engine_key = engine_key_, .init_limit_ms = 500});
    revision_.agent = "greeter";
    revision_.ref = {AgentId(1), RevisionNumber(7)};
  }
  ~RealWorkerTest() override {
    workers_.reset();
    supervisor_.reset();
    validator_.reset();
    fs::remove_all(root_);
  }
  void Start(const ValidatorOptions& options) {
    validator_ = *StartValidator(options, {.clock = &clock_,
                                           .artifacts = artifacts_.get(),
                                           .cgroups = cgroups_.get(),
                                           .log = &log_,
                                           .metrics = &metrics_});
  }
  absl::StatusOr<ValidationReport> Validate(const std::string& wasm) {
    const auto digest = artifacts_->PutModule(wasm);
    if (!digest.ok()) return digest.status();
    revision_.module = *digest;
    Notification done;
    absl::StatusOr<ValidationReport> answer = absl::UnknownError("not called");
    validator_->Validate(revision_,
                         {.limit_ns = limit_ns_, .surroundings = surroundings_, .recent = recent_},
                         [&](absl::StatusOr<ValidationReport> report) {
                           answer = std::move(report);
                           done.Notify();
                         });
    done.WaitForNotification();
    return answer;
  }
  void ExpectRefused(const std::string& wasm, const std::string& text) {
    const auto report = Validate(wasm);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->ok());
    EXPECT_EQ(report->stages.size(), 4u);
    EXPECT_THAT(report->Summary(), HasSubstr(text));
  }
  void StartWorkers() {
    supervisor_ = *supervisor::StartSupervisor({.worker_path = CAXTON_WORKER,
                                                .slot_directory = root_ + "/slots",
                                                .engine_key = engine_key_},
                                               {.clock = &clock_,
                                                .artifacts = artifacts_.get(),
                                                .cgroups = cgroups_.get(),
                                                .sink = &ledger_,
                                                .log = &log_,
                                                .metrics = &metrics_});
    Notification done;
    supervisor_->Prepare(revision_, 60 * kNanosPerSecond, [&](Supervisor::Prepared prepared) {
      EXPECT_TRUE(prepared.ok()) << prepared.status();
      if (prepared.ok()) workers_ = *std::move(prepared);
      done.Notify();
    });
    done.WaitForNotification();
  }
  void Dispatch(uint64_t ticket, const std::string& content) {
    std::string envelope;
    EncodeEnvelope(
        Envelope{.id = "m", .sender = "client:t", .receiver = "greeter", .content = content},
        &envelope);
    supervisor::DispatchOrder order{.deadline_ns = 5 * kNanosPerSecond, .envelope = envelope};
    order.input.ticket = Ticket(ticket);
    order.input.seq = Seq(ticket);
    int rooms = ledger_.rooms();
    while (!workers_->TryDispatch(order)) {
      workers_->Flush();
      ledger_.AwaitRooms(rooms + 1);
      rooms = ledger_.rooms();
    }
    workers_->Flush();
  }
  // Children of this process.
  std::vector<pid_t> Children() {
    std::vector<pid_t> pids;
    for (const auto& entry : fs::directory_iterator("/proc")) {
      pid_t pid = 0, parent = 0;
      if (!ParseInt(entry.path().filename().string(), &pid)) continue;
      const std::string stat = ReadAll(entry.path() / "stat");
      const size_t end = stat.rfind(')');
      if (end == std::string::npos) continue;
      if (sscanf(stat.c_str() + end + 1, " %*c %d", &parent) == 1 && parent == getpid()) {
        pids.push_back(pid);
      }
    }
    return pids;
  }

  std::string root_, engine_key_;
  const SystemClock clock_;
  telemetry::Logger log_;
  telemetry::Metrics metrics_;
  Ledger ledger_;
  std::unique_ptr<platform::CgroupManager> cgroups_;
  std::unique_ptr<supervisor::ArtifactStore> artifacts_;
  std::unique_ptr<Validator> validator_;
  std::unique_ptr<Supervisor> supervisor_;
  std::shared_ptr<RevisionWorkers> workers_;
  Revision revision_;
  int64_t limit_ns_ = 60 * kNanosPerSecond;
  std::vector<std::string> recent_;
  Surroundings surroundings_;
};

TEST_F(RealWorkerTest, RecentMessagesAreRunInTheChildAndNotShown) {
  Envelope message;
  message.id = "m";
  message.receiver = "greeter";
  message.content = "contents of a customer";
  recent_.resize(3);
  for (std::string& each : recent_) EncodeEnvelope(message, &each);
  const auto report = Validate(ReadAll(std::string(CAXTON_EXAMPLES) + "/echo.wasm"));
  ASSERT_TRUE(report.ok() && report->ok()) << report->Summary();
  std::string resources;
  for (const Finding& finding : report->stages[3].findings) resources += finding.message;
  EXPECT_THAT(resources, HasSubstr("over 3 recent messages of the agent"));
  EXPECT_THAT(resources, ::testing::Not(HasSubstr("customer")));
}

TEST_F(RealWorkerTest, EchoIsValidatedCachedPreparedAndRun) {
  const std::string echo = ReadAll(std::string(CAXTON_EXAMPLES) + "/echo.wasm");
  const auto report = Validate(echo);
  ASSERT_TRUE(report.ok()) << report.status();
  ASSERT_TRUE(report->ok()) << report->Summary();
  EXPECT_FALSE(report->cached);
  EXPECT_GT(report->stats.code_bytes, 0u);
  EXPECT_THAT(report->engine, StartsWith("wasmtime "));
  revision_.ref.number = RevisionNumber(8);
  const auto again = Validate(echo);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->cached);
  EXPECT_EQ(again->traits, report->traits);
  revision_.settings["x"] = "y";
  EXPECT_FALSE(Validate(echo)->cached);

  StartWorkers();
  ASSERT_NE(workers_, nullptr);
  constexpr uint64_t kSteps = 10'000;
  for (uint64_t t = 1; t <= kSteps; ++t) {
    Dispatch(t, "hello");
    if (t == kSteps / 2) {
      for (pid_t pid : Children()) kill(pid, SIGKILL);
    }
  }
  ledger_.AwaitEnds(kSteps);
  EXPECT_TRUE(ledger_.EachEndedOnce());
  EXPECT_EQ(ledger_.handled() + ledger_.lost(), kSteps);
  EXPECT_EQ(ledger_.last().reply->content, "hello");
  EXPECT_GE(workers_->status().restarts, 1);
  workers_.reset();
  supervisor_.reset();
  EXPECT_TRUE(Children().empty());
}

TEST_F(RealWorkerTest, ContractsAreComparedWithTheLiveRevisionInTheChild) {
  const std::string relay = ReadAll(std::string(CAXTON_EXAMPLES) + "/relay.wasm");
  const auto with = [&relay](std::string_view type) {
    return WithManifest(
        relay,
        StrCat(R"({"consumes":{"REQUEST":{"type":"object","properties":{"n":)", type, "}}}}"));
  };
  const auto live = Validate(with(R"({"type":["integer","string"]})"));
  ASSERT_TRUE(live.ok() && live->ok()) << live->Summary();
  EXPECT_THAT(live->traits.manifest, HasSubstr("consumes"));
  EXPECT_GT(live->traits.figures.peak_memory, 0u);
  EXPECT_THAT(live->stages[2].note, HasSubstr("no live revision"));
  // relay sends what it gets to the agent of its setting.
  ASSERT_EQ(live->traits.sends.size(), 1u);
  EXPECT_EQ(live->traits.sends[0], (SentMessage{"echo", Performative::kRequest}));

  surroundings_.live = KnownRevision{"greeter", "greeter@6", live->traits};
  const std::string narrowed = with(R"({"type":"integer"})");
  const auto refused = Validate(narrowed);
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->stages[1].outcome, StageOutcome::kPassed);
  EXPECT_EQ(refused->stages[2].outcome, StageOutcome::kFailed);
  EXPECT_EQ(refused->stages[3].outcome, StageOutcome::kNotRun);
  EXPECT_THAT(refused->Summary(), HasSubstr("consumes/REQUEST/n: not compatible with the live "
                                            "revision: narrowed: accepted no longer are "
                                            "values of type string [CONTRACT_BROKEN] To fix: "));
  // What it is compared with is part of what the kept report is kept under.
  surroundings_.allow_breaking = true;
  const auto allowed = Validate(narrowed);
  ASSERT_TRUE(allowed.ok() && allowed->ok()) << allowed->Summary();
  EXPECT_FALSE(allowed->cached);
  ASSERT_EQ(allowed->stages[2].findings.size(), 1u);
  EXPECT_EQ(allowed->stages[2].findings[0].severity, FindingSeverity::kWarning);
  EXPECT_THAT(allowed->stages[2].note, HasSubstr("greeter@6"));
  EXPECT_THAT(allowed->stages[3].findings.front().message, HasSubstr("(live: "));
  EXPECT_TRUE(Validate(narrowed)->cached);
  // The same content under another number, measured at another time, is the same.
  surroundings_.live->name = "greeter@8";
  surroundings_.live->traits.figures.max_step_ns += 1;
  const auto again = Validate(narrowed);
  EXPECT_TRUE(again->cached);
  EXPECT_THAT(again->stages[2].note, HasSubstr("greeter@8"));
  surroundings_.live->traits.figures.max_fuel += 1;
  EXPECT_FALSE(Validate(narrowed)->cached);
}

TEST_F(RealWorkerTest, ContractsAreComparedWithOtherAgentsInTheChild) {
  const std::string relay =
      WithManifest(ReadAll(std::string(CAXTON_EXAMPLES) + "/relay.wasm"), "{}");
  surroundings_.on_server = true;
  const auto alone = Validate(relay);
  ASSERT_TRUE(alone.ok() && alone->ok()) << alone->Summary();
  ASSERT_EQ(alone->stages[2].findings.size(), 1u);
  EXPECT_EQ(alone->stages[2].findings[0].code, "UNKNOWN_RECEIVER");
  KnownRevision echo{"echo", "echo@2", {}};
  echo.traits.manifest = R"({"consumes":{"INFORM":{}}})";
  surroundings_.others = {echo};
  EXPECT_THAT(Validate(relay)->Summary(), HasSubstr("echo, which it sends to: messages of type "
                                                    "REQUEST are sent, and not accepted"));
  // A manifest that is hostile on the other side harms nobody.
  surroundings_.others[0].traits.manifest = std::string(60'000, '[');
  EXPECT_TRUE(Validate(relay)->ok());
}

TEST_F(RealWorkerTest, BadModulesAreRefusedWithAReason) {
  const std::string echo = ReadAll(std::string(CAXTON_EXAMPLES) + "/echo.wasm");
  ExpectRefused("this is no module", "To fix:");
  ExpectRefused("", "To fix:");
  ExpectRefused(echo.substr(0, echo.size() / 2), "To fix:");
  ExpectRefused(ReadAll(std::string(CAXTON_BAD_MODULES) + "/init-loops.wasm"), "agent_init");
  ExpectRefused(ReadAll(std::string(CAXTON_BAD_MODULES) + "/init-traps.wasm"), "agent_init");
  ExpectRefused(ReadAll(std::string(CAXTON_BAD_MODULES) + "/init-fails.wasm"), "agent_init");
  ExpectRefused(MemoryBomb(), "agent_init");
  EXPECT_TRUE(absl::IsResourceExhausted(Validate(std::string(kMaxModuleBytes + 1, 'x')).status()));
  // Nothing of it harmed the next one.
  EXPECT_TRUE(Validate(echo)->ok());
}

// The finding that ended the compilation of a bomb of the corpus; how fast the machine is decides
// nothing: each bomb needs many times what it is given.
class CompileBombTest : public RealWorkerTest {
 protected:
  // The memory one takes four seconds of a processor; so that a busy machine gives it that.
  CompileBombTest() { limit_ns_ = 120 * kNanosPerSecond; }
  std::string WhatEnded(const std::string& bomb) {
    const auto report = Validate(ReadAll(StrCat(CAXTON_CORPUS, "/", bomb, ".wasm")));
    if (!report.ok()) return report.status().ToString();
    EXPECT_FALSE(report->ok());
    EXPECT_EQ(report->stages[0].outcome, StageOutcome::kFailed);
    EXPECT_EQ(report->stages[1].outcome, StageOutcome::kNotRun);
    const std::vector<Finding>& findings = report->stages[0].findings;
    EXPECT_THAT(findings, SizeIs(1));
    if (findings.empty()) return "nothing";
    EXPECT_THAT(findings[0].fix, HasSubstr("make the module smaller"));
    return StrCat(findings[0].code, ": ", findings[0].message);
  }
};

TEST_F(CompileBombTest, IsEndedByTheLimitOfWallTime) {
  limit_ns_ = 3 * kNanosPerSecond;
  EXPECT_EQ(WhatEnded("bomb-nesting"),
            "VALIDATION_TIMEOUT: validation was ended after 3000 ms while compiling it to native "
            "code");
}

TEST_F(CompileBombTest, IsEndedByTheLimitOfProcessorTime) {
  Start({.worker_path = CAXTON_WORKER, .engine_key = engine_key_, .cpu_limit_seconds = 1});
  EXPECT_EQ(WhatEnded("bomb-nesting"),
            "VALIDATION_TIMEOUT: validation used more than 1 s of CPU time while compiling it to "
            "native code");
}

TEST_F(CompileBombTest, IsEndedByTheLimitOfMemory) {
  EXPECT_THAT(WhatEnded("bomb-nested-loops"),
              AllOf(StartsWith("VALIDATION_MEMORY: validation needed more than"),
                    EndsWith("MiB of memory while compiling it to native code")));
}

}  // namespace
}  // namespace caxton::validation
