// SPDX-License-Identifier: Apache-2.0
#include "caxton/supervisor/testing/fake_supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "caxton/base/testing/sim_world.h"

namespace caxton::supervisor::testing {
namespace {

using caxton::testing::SimWorld;

class RecordingSink final : public StepSink {
 public:
  void OnResult(RevisionRef, StepResult result) override { results.push_back(std::move(result)); }
  void OnLost(RevisionRef, std::vector<LostStep> steps, std::string) override {
    lost.insert(lost.end(), steps.begin(), steps.end());
  }
  void OnRoom(RevisionRef) override { ++rooms; }
  void OnLog(RevisionRef, std::vector<LogLine>) override {}
  std::vector<StepResult> results;
  std::vector<LostStep> lost;
  int rooms = 0;
};

class FakeSupervisorTest : public ::testing::Test {
 protected:
  FakeSupervisorTest() {
    revision_.agent = "greeter";
    revision_.ref = {AgentId(1), RevisionNumber(7)};
    EncodeEnvelope(Envelope{.id = "m", .receiver = "greeter", .content = "hi"}, &envelope_);
  }
  void Start(Script script) {
    fake_ = std::make_unique<FakeSupervisor>(world_.NewExecutor(), &world_, std::move(script));
    fake_->SetSink(&sink_);
    fake_->Prepare(revision_, kNanosPerSecond, [this](Supervisor::Prepared prepared) {
      ASSERT_TRUE(prepared.ok());
      workers_ = *std::move(prepared);
    });
    ASSERT_TRUE(world_.RunUntil([this] { return workers_ != nullptr; }, kNanosPerSecond));
  }
  bool Dispatch(uint64_t ticket, bool alone = false) {
    DispatchOrder order{.deadline_ns = kNanosPerSecond, .envelope = envelope_, .alone = alone};
    order.input.ticket = Ticket(ticket);
    order.input.seq = Seq(ticket + 1000);
    const bool taken = workers_->TryDispatch(order);
    workers_->Flush();
    return taken;
  }

  SimWorld world_;
  RecordingSink sink_;
  Revision revision_;
  std::string envelope_;
  std::unique_ptr<FakeSupervisor> fake_;
  std::shared_ptr<RevisionWorkers> workers_;
};

TEST_F(FakeSupervisorTest, StepsRunInOrderOneAtATime) {
  Start(EchoScript(kNanosPerMilli));
  const int64_t start = world_.MonoNanos();
  for (uint64_t t = 1; t <= 10; ++t) EXPECT_TRUE(Dispatch(t));
  EXPECT_TRUE(sink_.results.empty());
  world_.RunUntil([this] { return sink_.results.size() == 10; }, kNanosPerSecond);
  ASSERT_EQ(sink_.results.size(), 10u);
  EXPECT_EQ(world_.MonoNanos() - start, 10 * kNanosPerMilli);
  for (uint64_t t = 1; t <= 10; ++t) EXPECT_EQ(sink_.results[t - 1].ticket, Ticket(t));
  EXPECT_EQ(sink_.results[0].reply->content, "hi");
}

TEST_F(FakeSupervisorTest, FullWindowOffersRoomOnce) {
  Start(EchoScript(kNanosPerMilli));
  uint64_t ticket = 1;
  while (Dispatch(ticket)) ++ticket;
  EXPECT_EQ(ticket - 1, kWorkerWindow);
  world_.RunFor(kNanosPerSecond);
  EXPECT_EQ(sink_.rooms, 1);
  EXPECT_EQ(sink_.results.size(), kWorkerWindow);
}

TEST_F(FakeSupervisorTest, AloneDrainsAndExcludes) {
  Start(EchoScript(kNanosPerMilli));
  EXPECT_TRUE(Dispatch(1));
  EXPECT_FALSE(Dispatch(2, true));
  EXPECT_FALSE(Dispatch(3));  // the worker is drained
  world_.RunFor(2 * kNanosPerMilli);
  EXPECT_EQ(sink_.rooms, 1);
  EXPECT_TRUE(Dispatch(2, true));
  EXPECT_FALSE(Dispatch(3));
  world_.RunFor(2 * kNanosPerMilli);
  EXPECT_EQ(sink_.rooms, 2);
  EXPECT_TRUE(Dispatch(3));
}

TEST_F(FakeSupervisorTest, ReservationLapses) {
  Start(EchoScript(kNanosPerMilli));
  EXPECT_TRUE(Dispatch(1));
  EXPECT_FALSE(Dispatch(2, true));
  world_.RunFor(2 * kNanosPerMilli);
  EXPECT_FALSE(Dispatch(3));
  world_.RunFor(2 * kAloneReserveNs);
  EXPECT_EQ(sink_.rooms, 2);
  EXPECT_TRUE(Dispatch(3));
}

TEST_F(FakeSupervisorTest, KilledWorkerLosesItsStepsAndComesBack) {
  Start(EchoScript(kNanosPerMilli));
  for (uint64_t t = 1; t <= 3; ++t) EXPECT_TRUE(Dispatch(t));
  world_.RunFor(kNanosPerMilli + kNanosPerMilli / 2);
  fake_->Kill(revision_.ref);
  EXPECT_FALSE(Dispatch(4));
  world_.RunFor(kNanosPerSecond);
  EXPECT_EQ(sink_.results.size(), 1u);
  ASSERT_EQ(sink_.lost.size(), 2u);
  EXPECT_TRUE(sink_.lost[0].executing);
  EXPECT_FALSE(sink_.lost[1].executing);
  EXPECT_EQ(sink_.rooms, 1);
  EXPECT_TRUE(Dispatch(4));
  EXPECT_EQ(workers_->status().restarts, 1);
}

TEST_F(FakeSupervisorTest, InterruptDeadlineCrashAndHang) {
  Start([](const Revision&, const StepInput& input, const Envelope&) {
    ScriptedStep step{.duration_ns = 3600 * kNanosPerSecond};
    if (input.ticket == Ticket(3)) step = {.duration_ns = kNanosPerMilli, .crash = true};
    if (input.ticket == Ticket(4)) step = {.hang = true};
    return step;
  });
  Dispatch(1);
  Dispatch(2);
  world_.RunFor(kNanosPerMilli);
  workers_->Interrupt(Ticket(1));
  world_.RunFor(2 * kNanosPerSecond);
  ASSERT_EQ(sink_.results.size(), 2u);
  EXPECT_EQ(sink_.results[0].outcome, StepOutcome::kInterrupted);
  EXPECT_EQ(sink_.results[1].outcome, StepOutcome::kDeadline);
  for (uint64_t t = 3; t <= 4; ++t) {
    EXPECT_TRUE(Dispatch(t));
    world_.RunFor(10 * kNanosPerSecond);
  }
  ASSERT_EQ(sink_.lost.size(), 2u);
  EXPECT_TRUE(sink_.lost[1].executing);
}

TEST_F(FakeSupervisorTest, StopEndsEverythingAndDeathIsSilent) {
  Start(EchoScript(kNanosPerMilli));
  Dispatch(1);
  bool stopped = false;
  fake_->Stop(revision_.ref, [&] { stopped = true; });
  world_.RunFor(kNanosPerSecond);
  EXPECT_TRUE(stopped);
  ASSERT_EQ(sink_.lost.size(), 1u);
  EXPECT_FALSE(sink_.lost[0].executing);
  EXPECT_FALSE(Dispatch(2));

  workers_ = nullptr;
  Start(EchoScript(kNanosPerMilli));
  Dispatch(5);
  world_.RunFor(kNanosPerMilli / 2);
  EXPECT_EQ(fake_->ExecutingNow(), std::vector<Seq>{Seq(1005)});
  fake_ = nullptr;
  world_.RunFor(kNanosPerSecond);
  EXPECT_EQ(sink_.results.size(), 0u);
  EXPECT_FALSE(Dispatch(6));
}

TEST_F(FakeSupervisorTest, PrepareFailsAndIsShared) {
  Start(EchoScript());
  const RevisionRef other{AgentId(1), RevisionNumber(8)};
  Revision next = revision_;
  next.ref = other;
  fake_->FailPrepare(other, absl::InternalError("trap in agent_init"));
  int failed = 0, late = 0, good = 0;
  const auto count = [&](Supervisor::Prepared prepared) {
    (prepared.ok() ? good : absl::IsDeadlineExceeded(prepared.status()) ? late : failed)++;
  };
  fake_->Prepare(next, kNanosPerSecond, count);
  fake_->Prepare(next, kNanosPerSecond, count);
  world_.RunFor(kNanosPerSecond);
  EXPECT_EQ(failed, 2);
  fake_->SetPrepareDelay(other, 2 * kNanosPerSecond);
  fake_->Prepare(next, kNanosPerSecond, count);
  world_.RunFor(3 * kNanosPerSecond);
  EXPECT_EQ(late, 1);
  fake_->SetPrepareDelay(other, 0);
  fake_->Prepare(next, kNanosPerSecond, count);
  world_.RunFor(kNanosPerSecond);
  EXPECT_EQ(good, 1);
  EXPECT_EQ(fake_->Running().size(), 2u);
}

}  // namespace
}  // namespace caxton::supervisor::testing
