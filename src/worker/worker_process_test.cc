// SPDX-License-Identifier: Apache-2.0
//
// The real program, started as the server starts it: in its jail.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "caxton/ipc/compile_end.h"
#include "caxton/ipc/compile_request.h"
#include "caxton/ipc/recent_messages.h"
#include "caxton/ipc/worker_command.h"
#include "caxton/model/envelope.h"
#include "caxton/model/examine_report.h"
#include "caxton/model/limits.h"
#include "caxton/model/revision.h"
#include "caxton/platform/file.h"
#include "caxton/platform/memfd.h"
#include "caxton/platform/process.h"
#include "caxton/wasm/engine.h"
#include "test_server.h"

namespace caxton::worker {
namespace {

using ::testing::HasSubstr;

constexpr int kPatienceMs = 60'000;
constexpr size_t kMaxOutputBytes = 1 << 20;

struct Compiled {
  platform::ExitStatus status;
  std::string report_bytes;
  platform::UniqueFd code;

  ExamineReport report() const {
    return *DecodeExamineReport(
        std::string_view(report_bytes).substr(ipc::kCompileReportHeadBytes));
  }
  ipc::CompilePhase phase() const { return static_cast<ipc::CompilePhase>(report_bytes.at(0)); }
};

// With `recent`, which it does not come to the end of: killed as soon as it tries them.
Compiled Compile(int module_fd, const ipc::CompileCommand& command = {},
                 const std::vector<std::string>& recent = {}) {
  std::string surroundings;
  EncodeSurroundings({}, &surroundings);
  const auto config = *platform::MemfdWithContent(
      "config", ipc::EncodeCompileRequest(ObedientConfigure(), surroundings));
  const auto recent_fd = *platform::MemfdWithContent("recent", ipc::EncodeRecentMessages(recent));
  Compiled compiled;
  compiled.code = *platform::CreateMemfd("code", 0);
  const auto report = *platform::CreateMemfd("report", 0);
  platform::SpawnOptions options;
  options.path = CAXTON_WORKER_PROGRAM;
  options.argv = ipc::CommandLine(options.path, command);
  options.fds = {{module_fd, ipc::kCompileModuleFd},
                 {config.get(), ipc::kCompileConfigFd},
                 {compiled.code.get(), ipc::kCompileCodeFd},
                 {report.get(), ipc::kCompileReportFd},
                 {recent_fd.get(), ipc::kCompileRecentFd}};
  const auto child = platform::Spawn(options);
  EXPECT_TRUE(child.ok()) << child.status();
  const auto trying = static_cast<char>(ipc::CompilePhase::kTryingRecent);
  for (char phase = 0; !recent.empty() && phase < trying; std::this_thread::yield()) {
    const std::string so_far = *platform::ReadFd(report.get(), kMaxOutputBytes);
    phase = so_far.empty() ? '\0' : so_far[0];
    if (phase == trying) {
      EXPECT_TRUE(platform::KillChild(*child, SIGKILL).ok());
    }
  }
  const auto ended = platform::WaitChild(*child, kPatienceMs);
  EXPECT_TRUE(ended.ok() && ended->has_value());
  compiled.status = **ended;
  compiled.report_bytes = *platform::ReadFd(report.get(), kMaxOutputBytes);
  return compiled;
}

Compiled CompileBytes(std::string_view module, const ipc::CompileCommand& command = {}) {
  const auto fd = *platform::MemfdWithContent("module", module);
  return Compile(fd.get(), command);
}

Compiled CompileWat(std::string_view wat) { return CompileBytes(*wasm::Engine::WatToWasm(wat)); }

class RunningWorker final {
 public:
  explicit RunningWorker(const platform::UniqueFd& code) {
    platform::SpawnOptions options;
    options.path = CAXTON_WORKER_PROGRAM;
    options.argv = ipc::CommandLine(options.path, ipc::RunCommand{});
    options.fds = server_.channel().ChildFds();
    options.fds.push_back({code.get(), ipc::kCodeFd});
    auto child = platform::Spawn(options);
    EXPECT_TRUE(child.ok()) << child.status();
    child_ = *std::move(child);
    server_.Configure(ObedientConfigure());
  }
  ~RunningWorker() {
    if (!ended_) platform::KillAndReap(child_);
  }
  TestServer& server() { return server_; }
  const platform::Child& child() const { return child_; }
  platform::ExitStatus Wait() {
    const auto ended = platform::WaitChild(child_, kPatienceMs);
    EXPECT_TRUE(ended.ok() && ended->has_value());
    ended_ = true;
    return **ended;
  }

 private:
  TestServer server_;
  platform::Child child_;
  bool ended_ = false;
};

// Replies to nothing; loops on a message of 4000 bytes, which no sample of the sandbox has.
constexpr std::string_view kLoopsOnRecentWat = R"((module (memory (export "memory") 40)
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 65536))
    (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
      (if (i32.and (i32.gt_u (local.get $len) (i32.const 3500))
                   (i32.lt_u (local.get $len) (i32.const 9000)))
        (then (loop $forever (br $forever))))
      (i32.const 0))))";

TEST(WorkerProcessTest, RecentMessagesThatEndTheChildLeaveWhatItFound) {
  Envelope message{.id = "m", .sender = "client:t", .receiver = "test"};
  message.content = std::string(4000, 'x');
  std::string encoded;
  EncodeEnvelope(message, &encoded);
  const auto module =
      *platform::MemfdWithContent("module", *wasm::Engine::WatToWasm(kLoopsOnRecentWat));
  const Compiled compiled =
      Compile(module.get(), {}, std::vector<std::string>(kMaxRecentMessages, encoded));
  ASSERT_EQ(compiled.status.signal, SIGKILL) << compiled.status.ToString();
  bool native = false;
  const auto report = ipc::JudgeEnd(
      {.exit = compiled.status, .report = compiled.report_bytes, .timed_out = true}, &native);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->ok());
  EXPECT_TRUE(native);
  EXPECT_GT(*platform::FdSize(compiled.code.get()), 0u);
  for (const StageRun& stage : report->stages) EXPECT_TRUE(stage.ran);
  EXPECT_EQ(report->findings[0].code, "RECENT_UNFINISHED");
}

TEST(WorkerProcessTest, CompilesThenRuns) {
  const Compiled compiled = CompileWat(kObedientWat);
  ASSERT_TRUE(compiled.status.success()) << compiled.status.ToString();
  EXPECT_EQ(compiled.phase(), ipc::CompilePhase::kDone);
  EXPECT_TRUE(compiled.report().ok());
  EXPECT_TRUE(compiled.report().stats.initialized);
  EXPECT_TRUE(compiled.report().traits.has_health_check);
  ASSERT_TRUE(platform::SealMemfd(compiled.code.get(), platform::Seal::kContent).ok());

  RunningWorker worker(compiled.code);
  const ipc::Ready ready = worker.server().AwaitReady();
  ASSERT_TRUE(ready.ok) << ready.detail;
  EXPECT_EQ(worker.server().Run(1, "echo").reply->content, "echo");
  EXPECT_EQ(worker.server().Run(2, "trap").outcome, StepOutcome::kTrapped);
  EXPECT_EQ(worker.server().Run(3, "memory").outcome, StepOutcome::kMemoryLimit);
  EXPECT_EQ(worker.server().Run(4, "stack").outcome, StepOutcome::kTrapped);
  EXPECT_EQ(worker.server().Run(5, "loop", 5'000'000).outcome, StepOutcome::kDeadline);
  worker.server().Dispatch(6, "loop");
  worker.server().AwaitExecuting(Seq(1006));
  worker.server().channel().Interrupt(Ticket(6));
  EXPECT_EQ(worker.server().AwaitResult().outcome, StepOutcome::kInterrupted);
  for (uint64_t ticket = 7; ticket < 200; ++ticket) {
    ASSERT_EQ(worker.server().Run(ticket, "echo").outcome, StepOutcome::kHandled);
  }
  worker.server().channel().RequestStop();
  const platform::ExitStatus status = worker.Wait();
  EXPECT_TRUE(status.success()) << status.ToString();
}

TEST(WorkerProcessTest, AKilledWorkerLeavesItsMark) {
  const Compiled compiled = CompileWat(kObedientWat);
  ASSERT_TRUE(platform::SealMemfd(compiled.code.get(), platform::Seal::kContent).ok());
  RunningWorker worker(compiled.code);
  ASSERT_TRUE(worker.server().AwaitReady().ok);
  worker.server().Dispatch(1, "loop");
  worker.server().AwaitExecuting(Seq(1001));
  ASSERT_TRUE(platform::KillChild(worker.child(), SIGKILL).ok());
  EXPECT_EQ(worker.Wait().signal, SIGKILL);
  EXPECT_EQ(worker.server().channel().Executing(), Seq(1001));
}

TEST(WorkerProcessTest, CodeThatIsNotSealedIsNotRun) {
  const auto code = *platform::CreateMemfd("code", 4096);
  RunningWorker worker(code);
  EXPECT_FALSE(worker.server().AwaitReady().ok);
}

TEST(WorkerProcessTest, FaultsComeBackInTheReport) {
  const Compiled compiled = CompileWat("(module (func (export \"_start\")))");
  EXPECT_EQ(compiled.status.code, static_cast<int>(ipc::WorkerExit::kRejected));
  EXPECT_EQ(compiled.phase(), ipc::CompilePhase::kDone);
  EXPECT_FALSE(compiled.report().ok());
  EXPECT_EQ(*platform::FdSize(compiled.code.get()), 0u);
}

TEST(WorkerProcessTest, TooLargeAFileIsRefusedUnread) {
  const auto garbage = *platform::CreateMemfd("module", 200 << 20);
  const Compiled compiled = Compile(garbage.get());
  EXPECT_EQ(compiled.status.code, static_cast<int>(ipc::WorkerExit::kRejected));
  ASSERT_EQ(compiled.report().findings.size(), 1u);
  EXPECT_EQ(compiled.report().findings[0].code, "TOO_LARGE");
}

TEST(WorkerProcessTest, EndlessInitializationIsEnded) {
  const Compiled compiled = CompileWat(R"((module
    (memory (export "memory") 1)
    (func (export "_initialize") (loop $l (br $l)))
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 8))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))");
  EXPECT_EQ(compiled.status.code, static_cast<int>(ipc::WorkerExit::kRejected));
  ASSERT_FALSE(compiled.report().ok());
  EXPECT_EQ(compiled.report().findings[0].code, "INIT_FAILED");
}

TEST(WorkerProcessTest, TooLittleMemoryEndsTheChildInAKnownPhase) {
  // One function of fifty thousand additions does not compile in 24 MiB.
  std::string wat = "(module (memory (export \"memory\") 1) (func (param i32) (result i32)";
  for (int i = 0; i < 50'000; ++i) wat += "(local.set 0 (i32.add (local.get 0) (i32.const 3)))";
  wat += "(local.get 0))";
  wat += R"((func (export "agent_alloc") (param i32) (result i32) (i32.const 8))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))";
  ipc::CompileCommand command;
  command.data_limit_bytes = 24 << 20;
  const Compiled compiled = CompileBytes(*wasm::Engine::WatToWasm(wat), command);
  EXPECT_FALSE(compiled.status.success());
  EXPECT_LE(compiled.phase(), ipc::CompilePhase::kCompiling);
}

TEST(WorkerProcessTest, TooLittleProcessorTimeIsToldBySigxcpu) {
  // Fifty thousand blocks, each in the one before, take more than a minute.
  std::string wat = "(module (memory (export \"memory\") 1) (func (param i32)";
  for (int i = 0; i < 50'000; ++i) wat += " block local.get 0 br_if 0";
  for (int i = 0; i < 50'000; ++i) wat += " end";
  wat += R"()
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 8))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))";
  ipc::CompileCommand command;
  command.cpu_limit_seconds = 1;
  const Compiled compiled = CompileBytes(*wasm::Engine::WatToWasm(wat), command);
  EXPECT_EQ(compiled.status.signal, SIGXCPU) << compiled.status.ToString();
  EXPECT_EQ(compiled.phase(), ipc::CompilePhase::kCompiling);
}

// Runs the program on a file with its output caught.
std::pair<platform::ExitStatus, std::string> RunOnFiles(std::vector<std::string> arguments) {
  const auto output = *platform::CreateMemfd("output", 0);
  platform::SpawnOptions options;
  options.path = CAXTON_WORKER_PROGRAM;
  options.argv = std::move(arguments);
  options.argv.insert(options.argv.begin(), options.path);
  options.fds = {{output.get(), STDOUT_FILENO}};
  const auto child = platform::Spawn(options);
  EXPECT_TRUE(child.ok()) << child.status();
  const auto ended = platform::WaitChild(*child, kPatienceMs);
  EXPECT_TRUE(ended.ok() && ended->has_value());
  return {**ended, *platform::ReadFd(output.get(), kMaxOutputBytes)};
}

TEST(WorkerProcessTest, VersionsAreThreeLines) {
  const auto [status, text] = RunOnFiles({"--version"});
  EXPECT_TRUE(status.success());
  EXPECT_EQ(text, "caxton-worker " CAXTON_VERSION "\nwasmtime " + wasm::Engine::Version() +
                      "\nengine-config " + wasm::Engine::ConfigHash().ToHex() + "\n");
}

TEST(WorkerProcessTest, PackagesInspectsAndValidatesFiles) {
  const std::string dir = ::testing::TempDir();
  const std::string module = dir + "worker_process_test.wasm";
  const std::string manifest = dir + "worker_process_test.json";
  const std::string out = dir + "worker_process_test.out.wasm";
  ASSERT_TRUE(platform::WriteFileAtomic(module, *wasm::Engine::WatToWasm(kObedientWat)).ok());
  ASSERT_TRUE(platform::WriteFileAtomic(manifest, R"({"name":"obedient"})").ok());
  EXPECT_TRUE(RunOnFiles({"--package", module, "--manifest", manifest, "-o", out}).first.success());
  const std::string yaml = dir + "worker_process_test.yaml";
  ASSERT_TRUE(
      platform::WriteFileAtomic(yaml, "name: obedient\nsamples: [{ content: echo }]\n").ok());
  EXPECT_TRUE(RunOnFiles({"--package", module, "--manifest", yaml, "-o", out}).first.success());
  const auto [inspected, json] = RunOnFiles({"--inspect", out});
  EXPECT_TRUE(inspected.success()) << inspected.ToString();
  EXPECT_THAT(json, HasSubstr("\"name\": \"obedient\""));
  EXPECT_THAT(json, HasSubstr("\"content\": \"echo\""));
  EXPECT_THAT(json, HasSubstr("caxton.reply(i32, i32, i32) -> i32"));
  EXPECT_THAT(json, HasSubstr("\"initialized\": false"));
  const auto [validated, more] = RunOnFiles({"--validate", out});
  EXPECT_TRUE(validated.success()) << validated.ToString();
  EXPECT_THAT(more, HasSubstr("\"initialized\": true"));
  ASSERT_TRUE(platform::WriteFileAtomic(yaml, "name: &a [*a]\n").ok());
  EXPECT_EQ(RunOnFiles({"--package", module, "--manifest", yaml, "-o", out}).first.code,
            static_cast<int>(ipc::WorkerExit::kRejected));
  EXPECT_EQ(RunOnFiles({"--inspect", manifest}).first.code,
            static_cast<int>(ipc::WorkerExit::kRejected));
  EXPECT_EQ(RunOnFiles({"--inspect", dir + "no-such-file"}).first.code,
            static_cast<int>(ipc::WorkerExit::kFailed));
  for (const std::string& path : {module, manifest, yaml, out}) {
    EXPECT_TRUE(platform::RemoveFile(path).ok());
  }
}

TEST(WorkerProcessTest, ValidatesAsTheRevisionSays) {
  const std::string dir = ::testing::TempDir();
  const std::string module = dir + "worker_process_test.revision.wasm";
  const std::string described = dir + "worker_process_test.revision";
  ASSERT_TRUE(platform::WriteFileAtomic(module, *wasm::Engine::WatToWasm(kObedientWat)).ok());
  const auto validate = [&](const Revision& revision) {
    std::string bytes;
    EncodeRevision(revision, &bytes);
    EXPECT_TRUE(platform::WriteFileAtomic(described, bytes).ok());
    return RunOnFiles({"--validate", module, "--revision", described});
  };
  Revision revision;
  revision.agent = "obedient";
  EXPECT_TRUE(validate(revision).first.success());
  revision.limits.memory_bytes = 20 << 16;  // all that it declares
  const auto [tight, told] = validate(revision);
  EXPECT_TRUE(tight.success()) << tight.ToString();
  EXPECT_THAT(told, HasSubstr("1310720 of 1310720 bytes"));
  revision.limits.memory_bytes = kMinAgentMemoryBytes;
  const auto [refused, why] = validate(revision);
  EXPECT_EQ(refused.code, static_cast<int>(ipc::WorkerExit::kRejected));
  EXPECT_THAT(why, HasSubstr("MEMORY_TOO_LARGE"));
  revision.limits.memory_bytes = kMinAgentMemoryBytes - 1;
  EXPECT_EQ(validate(revision).first.code, static_cast<int>(ipc::WorkerExit::kFailed));
  ASSERT_TRUE(platform::WriteFileAtomic(described, "no revision").ok());
  EXPECT_EQ(RunOnFiles({"--validate", module, "--revision", described}).first.code,
            static_cast<int>(ipc::WorkerExit::kFailed));
  for (const std::string& path : {module, described}) EXPECT_TRUE(platform::RemoveFile(path).ok());
}

TEST(WorkerProcessTest, BadUsageIsExitTwo) {
  EXPECT_EQ(RunOnFiles({"--dance"}).first.code, static_cast<int>(ipc::WorkerExit::kUsage));
}

}  // namespace
}  // namespace caxton::worker
