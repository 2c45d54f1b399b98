// SPDX-License-Identifier: Apache-2.0
//
// The loop in a thread of this process, over a real channel.
#include "caxton/worker/worker_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "caxton/base/strings.h"
#include "test_server.h"

namespace caxton::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TestEnvironment final : public WorkerEnvironment {
 public:
  explicit TestEnvironment(absl::StatusOr<std::string> native) : native_(std::move(native)) {}
  absl::StatusOr<std::unique_ptr<wasm::Module>> Load(const wasm::Engine& engine) override {
    if (!native_.ok()) return native_.status();
    return wasm::Module::LoadBytes(engine, *native_);
  }
  absl::Status LockDown() override { return absl::OkStatus(); }
  std::vector<std::string> NotEnforced() const override { return {"everything: a test"}; }

 private:
  const absl::StatusOr<std::string> native_;
};

const std::string& ObedientNative() {
  static const std::string& native = *new std::string([] {
    const auto engine = *wasm::Engine::Create({});
    return *engine->Compile(*wasm::Engine::WatToWasm(kObedientWat));
  }());
  return native;
}

class WorkerLoopTest : public ::testing::Test {
 protected:
  ~WorkerLoopTest() override {
    if (thread_.joinable()) {
      server_.channel().Close();
      thread_.join();
    }
  }

  void Start(absl::StatusOr<std::string> native) {
    environment_.emplace(std::move(native));
    end_ = *ipc::WorkerChannel::AttachTo(server_.channel(), kDefaultMaxMessageBytes);
    loop_.emplace(*end_, clock_, *environment_);
    thread_ = std::thread([this] { exit_ = loop_->Run(); });
  }
  void StartObedient(const ipc::Configure& configure = ObedientConfigure()) {
    Start(ObedientNative());
    server_.Configure(configure);
    const ipc::Ready ready = server_.AwaitReady();
    ASSERT_TRUE(ready.ok) << ready.detail;
  }
  // An agent that handles anything and keeps its instance, with `more` in its module.
  void RunAside(std::string_view more) {
    const auto engine = *wasm::Engine::Create({});
    ipc::Configure configure = ObedientConfigure();
    configure.reused_instances = true;
    Start(engine->Compile(*wasm::Engine::WatToWasm(StrCat(R"((module
        (memory (export "memory") 1)
        (func (export "agent_alloc") (param i32) (result i32) (i32.const 8))
        (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0)) )",
                                                          more, ")"))));
    server_.Configure(configure);
    ASSERT_TRUE(server_.AwaitReady().ok);
  }
  void ExpectUnwell(std::string_view health_check, const std::string& says) {
    RunAside(StrCat("(func (export \"health_check\") (result i32) ", health_check, ")"));
    std::string bytes;
    ipc::EncodeHealthRequest({.nonce = 3}, &bytes);
    server_.Send(ipc::FrameType::kHealthRequest, bytes);
    const auto answer =
        *ipc::DecodeHealthAnswer(server_.Await(ipc::FrameType::kHealthAnswer).bytes);
    EXPECT_FALSE(answer.ok);
    EXPECT_EQ(answer.code, -1);
    EXPECT_THAT(answer.detail, HasSubstr(says));
    EXPECT_EQ(server_.Run(1, "x").outcome, StepOutcome::kHandled);
  }
  void ExpectBadShutdown(std::string_view agent_shutdown, const std::string& says) {
    RunAside(StrCat("(func (export \"agent_shutdown\") ", agent_shutdown, ")"));
    EXPECT_EQ(server_.Run(1, "x").outcome, StepOutcome::kHandled);
    server_.Send(ipc::FrameType::kStop, "");
    EXPECT_EQ(Join(), ipc::WorkerExit::kDone);
    EXPECT_THAT(std::string(loop_->shutdown().message()), HasSubstr(says));
  }
  ipc::WorkerExit Join() {
    thread_.join();
    return exit_;
  }

  SystemClock clock_;
  TestServer server_;
  std::optional<TestEnvironment> environment_;
  std::unique_ptr<ipc::WorkerChannel> end_;
  std::optional<WorkerLoop> loop_;
  std::thread thread_;
  ipc::WorkerExit exit_ = ipc::WorkerExit::kFailed;
};

TEST_F(WorkerLoopTest, ReadyTellsWhatRuns) {
  Start(ObedientNative());
  server_.Configure(ObedientConfigure());
  const ipc::Ready ready = server_.AwaitReady();
  EXPECT_TRUE(ready.ok);
  EXPECT_THAT(ready.engine, HasSubstr("wasmtime 48.0."));
  EXPECT_EQ(ready.config_hash, wasm::Engine::ConfigHash().ToHex());
  EXPECT_EQ(ready.memory_bytes, 20u << 16);
  EXPECT_THAT(ready.not_enforced, ElementsAre("everything: a test"));
  EXPECT_THAT(server_.logs(), ElementsAre("started"));
}

TEST_F(WorkerLoopTest, StepsAreAnsweredInOrder) {
  StartObedient();
  for (uint64_t ticket = 1; ticket <= 50; ++ticket) server_.Dispatch(ticket, "echo");
  for (uint64_t ticket = 1; ticket <= 50; ++ticket) {
    const StepResult result = server_.AwaitResult();
    EXPECT_EQ(result.ticket, Ticket(ticket));
    EXPECT_EQ(result.outcome, StepOutcome::kHandled) << result.detail;
    EXPECT_EQ(result.reply->content, "echo");
  }
}

TEST_F(WorkerLoopTest, FaultsOfOneStepLeaveTheNextAlone) {
  StartObedient();
  EXPECT_EQ(server_.Run(1, "trap").outcome, StepOutcome::kTrapped);
  EXPECT_EQ(server_.Run(2, "stack").outcome, StepOutcome::kTrapped);
  EXPECT_EQ(server_.Run(3, "memory").outcome, StepOutcome::kMemoryLimit);
  EXPECT_EQ(server_.Run(4, "fail").outcome, StepOutcome::kAgentFailed);
  EXPECT_EQ(server_.Run(5, "loop", 5 * kNanosPerMilli).outcome, StepOutcome::kDeadline);
  EXPECT_EQ(server_.Run(6, "echo").outcome, StepOutcome::kHandled);
}

TEST_F(WorkerLoopTest, AnInterruptEndsItsStepAndNoOther) {
  StartObedient();
  server_.Dispatch(1, "loop");
  server_.Dispatch(2, "loop");
  server_.Dispatch(3, "echo");
  server_.AwaitExecuting(Seq(1001));
  server_.channel().Interrupt(Ticket(1));
  EXPECT_EQ(server_.AwaitResult().outcome, StepOutcome::kInterrupted);
  server_.AwaitExecuting(Seq(1002));
  server_.channel().Interrupt(Ticket(2));
  EXPECT_EQ(server_.AwaitResult().outcome, StepOutcome::kInterrupted);
  EXPECT_EQ(server_.AwaitResult().outcome, StepOutcome::kHandled);
}

TEST_F(WorkerLoopTest, AQueuedStepThatWasInterruptedDoesNotRun) {
  StartObedient();
  server_.channel().InterruptThrough(Ticket(2));
  EXPECT_EQ(server_.Run(1, "loop").outcome, StepOutcome::kInterrupted);
  EXPECT_EQ(server_.Run(2, "trap").outcome, StepOutcome::kInterrupted);
  EXPECT_EQ(server_.Run(3, "echo").outcome, StepOutcome::kHandled);
}

TEST_F(WorkerLoopTest, ResultsWaitForRoom) {
  StartObedient();
  // Ten replies of a MiB each; the ring holds four MiB.
  for (uint64_t ticket = 1; ticket <= 10; ++ticket) server_.Dispatch(ticket, "big");
  for (uint64_t ticket = 1; ticket <= 10; ++ticket) {
    const StepResult result = server_.AwaitResult();
    EXPECT_EQ(result.outcome, StepOutcome::kHandled);
    EXPECT_EQ(result.reply->content.size(), 1u << 20);
  }
}

TEST_F(WorkerLoopTest, HealthIsWhatTheModuleSays) {
  StartObedient();
  std::string bytes;
  ipc::EncodeHealthRequest({.nonce = 7}, &bytes);
  server_.Send(ipc::FrameType::kHealthRequest, bytes);
  const auto well = *ipc::DecodeHealthAnswer(server_.Await(ipc::FrameType::kHealthAnswer).bytes);
  EXPECT_EQ(well.nonce, 7u);
  EXPECT_TRUE(well.ok) << well.detail;
}

TEST_F(WorkerLoopTest, UnwellModuleSaysSo) {
  ipc::Configure configure = ObedientConfigure();
  configure.settings.clear();
  StartObedient(configure);
  std::string bytes;
  ipc::EncodeHealthRequest({.nonce = 8}, &bytes);
  server_.Send(ipc::FrameType::kHealthRequest, bytes);
  const auto unwell = *ipc::DecodeHealthAnswer(server_.Await(ipc::FrameType::kHealthAnswer).bytes);
  EXPECT_FALSE(unwell.ok);
  EXPECT_EQ(unwell.code, 1);
}

TEST_F(WorkerLoopTest, AHealthCheckThatTrapsIsUnwellAndTheNextStepRuns) {
  ExpectUnwell("(unreachable)", "unreachable");
}

TEST_F(WorkerLoopTest, AHealthCheckThatLoopsIsUnwellAndTheNextStepRuns) {
  ExpectUnwell("(loop $l (br $l)) (i32.const 0)", "deadline");
}

TEST_F(WorkerLoopTest, AShutdownThatTrapsEndsTheWorkerAllTheSame) {
  ExpectBadShutdown("(unreachable)", "unreachable");
}

TEST_F(WorkerLoopTest, AShutdownThatLoopsEndsTheWorkerAllTheSame) {
  ExpectBadShutdown("(loop $l (br $l))", "deadline");
}

TEST_F(WorkerLoopTest, AnOrderlyShutdownIsToldAsSuch) {
  RunAside("(func (export \"agent_shutdown\"))");
  server_.Send(ipc::FrameType::kStop, "");
  EXPECT_EQ(Join(), ipc::WorkerExit::kDone);
  EXPECT_TRUE(loop_->shutdown().ok());
}

TEST_F(WorkerLoopTest, StopFinishesWhatCameBefore) {
  StartObedient();
  server_.Dispatch(1, "echo");
  server_.Send(ipc::FrameType::kStop, "");
  EXPECT_EQ(server_.AwaitResult().outcome, StepOutcome::kHandled);
  EXPECT_EQ(Join(), ipc::WorkerExit::kDone);
}

TEST_F(WorkerLoopTest, RequestedStopEndsAnIdleWorker) {
  StartObedient();
  server_.channel().RequestStop();
  EXPECT_EQ(Join(), ipc::WorkerExit::kDone);
}

TEST_F(WorkerLoopTest, ADeadServerEndsTheWorker) {
  StartObedient();
  server_.channel().Close();
  EXPECT_EQ(Join(), ipc::WorkerExit::kPeerGone);
}

TEST_F(WorkerLoopTest, CodeThatCannotBeLoadedIsToldAndStepsSayWhy) {
  Start(absl::FailedPreconditionError("made by another engine"));
  server_.Configure(ObedientConfigure());
  const ipc::Ready ready = server_.AwaitReady();
  EXPECT_FALSE(ready.ok);
  EXPECT_THAT(ready.detail, HasSubstr("another engine"));
  const StepResult result = server_.Run(1, "echo");
  EXPECT_EQ(result.outcome, StepOutcome::kInitFailed);
  EXPECT_THAT(result.detail, HasSubstr("another engine"));
}

TEST_F(WorkerLoopTest, FailingInitializationIsTold) {
  const auto engine = *wasm::Engine::Create({});
  Start(engine->Compile(*wasm::Engine::WatToWasm(R"((module
    (memory (export "memory") 1)
    (func (export "agent_init") (result i32) (unreachable))
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 8))
    (func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))))")));
  server_.Configure(ObedientConfigure());
  const ipc::Ready ready = server_.AwaitReady();
  EXPECT_FALSE(ready.ok);
  EXPECT_THAT(ready.detail, HasSubstr("agent_init"));
}

TEST_F(WorkerLoopTest, NonsenseFromTheServerEndsIt) {
  Start(ObedientNative());
  server_.Send(ipc::FrameType::kDispatch, "junk");
  EXPECT_EQ(Join(), ipc::WorkerExit::kFailed);
  EXPECT_THAT(std::string(loop_->why().message()), HasSubstr("not Configure"));
}

TEST_F(WorkerLoopTest, ReusedInstancesKeepTheirMemory) {
  const auto engine = *wasm::Engine::Create({});
  ipc::Configure configure = ObedientConfigure();
  configure.reused_instances = true;
  Start(engine->Compile(*wasm::Engine::WatToWasm(R"((module
    (memory (export "memory") 1)
    (global $count (mut i32) (i32.const 9))
    (func (export "agent_alloc") (param i32) (result i32) (i32.const 8))
    (func (export "handle_message") (param i32 i32) (result i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (if (i32.lt_s (global.get $count) (i32.const 12)) (then (return (i32.const 0))))
      (global.get $count))))")));
  server_.Configure(configure);
  ASSERT_TRUE(server_.AwaitReady().ok);
  EXPECT_EQ(server_.Run(1, "x").outcome, StepOutcome::kHandled);
  EXPECT_EQ(server_.Run(2, "x").outcome, StepOutcome::kHandled);
  EXPECT_EQ(server_.Run(3, "x").agent_code, 12);
  // A failed step ends its instance.
  EXPECT_EQ(server_.Run(4, "x").outcome, StepOutcome::kHandled);
}

}  // namespace
}  // namespace caxton::worker
