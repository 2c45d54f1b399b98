// SPDX-License-Identifier: Apache-2.0
#include "caxton/wasm/instance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/wasm/instance_pool.h"
#include "test_guests.h"

namespace caxton::wasm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kLoop = "(loop $l (br $l)) (i32.const 0)";

TEST(InstanceTest, EchoesAndCountsFuelExactly) {
  Bench bench(GuestWat(kEchoBody));
  const auto one = bench.New();
  const auto two = bench.New();
  const StepResult first = bench.Run(*one, "hello", Ticket(9));
  EXPECT_EQ(first.outcome, StepOutcome::kHandled) << first.detail;
  EXPECT_EQ(first.ticket, Ticket(9));
  ASSERT_TRUE(first.reply.has_value());
  EXPECT_EQ(first.reply->content, "hello");
  EXPECT_EQ(first.reply->performative, Performative::kInform);
  EXPECT_GT(first.fuel, 0u);
  EXPECT_EQ(first.memory_bytes, 2u << 16);
  EXPECT_GT(first.run_ns, 0);
  EXPECT_EQ(bench.Run(*two, "again").fuel, first.fuel);
}

TEST(InstanceTest, WorksWithAPoolOfSlots) {
  EngineOptions options;
  options.max_instances = 2;
  options.max_memory_bytes = 1 << 20;
  Bench bench(GuestWat(kEchoBody), options);
  for (int i = 0; i < 20; ++i) {
    const auto instance = bench.New();
    EXPECT_EQ(bench.Run(*instance, "x").outcome, StepOutcome::kHandled);
  }
}

TEST(InstanceTest, DeadlineEndsAnEndlessLoop) {
  Bench bench(GuestWat(kLoop));
  EpochTicker ticker(*bench.engine);
  const auto instance = bench.New();
  bench.control.deadline_mono_ns = bench.clock.MonoNanos() + 5 * kNanosPerMilli;
  const EpochTicker::Scope scope(ticker);
  const StepResult result = bench.Run(*instance, "x");
  EXPECT_EQ(result.outcome, StepOutcome::kDeadline) << result.detail;
  EXPECT_THAT(result.detail, HasSubstr("handle"));
  EXPECT_FALSE(instance->usable());
}

TEST(InstanceTest, AnInterruptEndsExactlyItsStep) {
  Bench bench(GuestWat(StrCat("(if (i32.eq (local.get $len) (i32.const 1)) (then ", kLoop,
                              " (drop))) ", kEchoBody)));
  EpochTicker ticker(*bench.engine);
  const KillOne kill(Ticket(5));
  bench.control.interrupts = &kill;
  const EpochTicker::Scope scope(ticker);
  const auto instance = bench.New();
  EXPECT_EQ(bench.Run(*instance, "x", Ticket(5)).outcome, StepOutcome::kInterrupted);
  EXPECT_FALSE(instance->usable());
  // The next ticket, in another instance, is not hit by the same interrupt; nor one that did not
  // loop.
  const auto next = bench.New();
  EXPECT_EQ(bench.Run(*next, "long", Ticket(6)).outcome, StepOutcome::kHandled);
  EXPECT_EQ(bench.Run(*next, "long", Ticket(5)).outcome, StepOutcome::kHandled);
}

TEST(InstanceTest, TickerWakesAfterHavingParked) {
  Bench bench(GuestWat(kLoop));
  EpochTicker ticker(*bench.engine);
  const KillOne kill(Ticket(1));
  bench.control.interrupts = &kill;
  for (int i = 0; i < 3; ++i) {
    const auto instance = bench.New();
    const EpochTicker::Scope scope(ticker);
    EXPECT_EQ(bench.Run(*instance, "x").outcome, StepOutcome::kInterrupted);
  }
}

TEST(InstanceTest, OutOfFuel) {
  Bench bench(GuestWat(kLoop));
  const auto instance = bench.New();
  bench.control.fuel = 10'000;
  const StepResult result = bench.Run(*instance, "x");
  EXPECT_EQ(result.outcome, StepOutcome::kOutOfFuel);
  EXPECT_GE(result.fuel, 10'000u);
}

TEST(InstanceTest, TrapTellsReasonAndStack) {
  Bench bench(GuestWat("(call $deep) (i32.const 0)", "(func $deep (unreachable))"));
  const auto instance = bench.New();
  const StepResult result = bench.Run(*instance, "x");
  EXPECT_EQ(result.outcome, StepOutcome::kTrapped);
  EXPECT_THAT(result.detail, HasSubstr("unreachable"));
  EXPECT_THAT(result.detail, HasSubstr("at deep"));
  EXPECT_THAT(result.detail, HasSubstr("at handle"));
  EXPECT_FALSE(instance->usable());
}

TEST(InstanceTest, StackOverflowIsATrap) {
  Bench bench(GuestWat("(call $again) (i32.const 0)", "(func $again (call $again))"));
  const auto instance = bench.New();
  const StepResult result = bench.Run(*instance, "x");
  EXPECT_EQ(result.outcome, StepOutcome::kTrapped);
  EXPECT_THAT(result.detail, HasSubstr("call stack exhausted"));
  EXPECT_LE(result.detail.size(), kMaxStepDetailBytes);
}

TEST(InstanceTest, MemoryIsLimitedAndATrapAtTheLimitSaysSo) {
  Bench bench(
      GuestWat("(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))"
               "(if (i32.eqz (local.get $len)) (then (unreachable))) (i32.const 0)"));
  const auto instance = bench.New();
  const StepResult kept = bench.Run(*instance, "x");
  EXPECT_EQ(kept.outcome, StepOutcome::kHandled);  // a refused growth is no fault of its own
  EXPECT_EQ(kept.memory_bytes, 1u << 20);
  const auto other = bench.New();
  EXPECT_EQ(bench.Run(*other, "").outcome, StepOutcome::kMemoryLimit);
}

TEST(InstanceTest, EffectsOfAFailedStepAreDropped) {
  Bench bench(GuestWat(StrCat("(call $log (i32.const 1) (local.get $ptr) (local.get $len)) (drop ",
                              kEchoBody, ") (i32.const 2)")));
  const auto instance = bench.New();
  const StepResult result = bench.Run(*instance, "seen");
  EXPECT_EQ(result.outcome, StepOutcome::kAgentRejected);
  EXPECT_EQ(result.agent_code, 2);
  EXPECT_FALSE(result.reply.has_value());
  ASSERT_EQ(result.logs.size(), 1u);
  EXPECT_EQ(result.logs[0].text, "seen");
  EXPECT_EQ(result.logs[0].level, 1);
}

TEST(InstanceTest, LogIsUtf8AndBounded) {
  Bench bench(GuestWat(R"((i32.store8 (i32.const 64) (i32.const 0xff))
    (loop $l
      (call $log (i32.const 2) (i32.const 64) (i32.const 1000))
      (local.set $len (i32.sub (local.get $len) (i32.const 1)))
      (br_if $l (local.get $len)))
    (i32.const 0))"));
  const auto instance = bench.New();
  const StepResult result = bench.Run(*instance, std::string(40, 'x'));
  EXPECT_EQ(result.logs.size() + result.logs_dropped, 40u);
  EXPECT_GT(result.logs_dropped, 0u);
  EXPECT_EQ(result.logs[0].text.substr(0, 1), "?");
}

TEST(InstanceTest, InitializationFailuresSayWhere) {
  Bench bench(GuestWat(kEchoBody, "(func (export \"agent_init\") (result i32) (i32.const 7))"));
  EXPECT_THAT(
      std::string(bench.module->NewInstance(bench.config, bench.control).status().message()),
      HasSubstr("agent_init returned 7"));
  Bench trap(GuestWat(kEchoBody, R"((data (i32.const 8) "no bread")
    (func (export "_initialize")
      (call $log (i32.const 0) (i32.const 8) (i32.const 8)) (unreachable)))"));
  EXPECT_THAT(std::string(trap.module->NewInstance(trap.config, trap.control).status().message()),
              AllOf(HasSubstr("_initialize"), HasSubstr("unreachable"), HasSubstr("no bread")));
}

TEST(InstanceTest, TooSmallALimitIsAnErrorAndNotATrap) {
  Bench bench(GuestWat(kEchoBody));
  bench.config.memory_bytes = 64 << 10;  // the module starts with two pages
  EXPECT_FALSE(bench.module->NewInstance(bench.config, bench.control).ok());
}

TEST(InstanceTest, HealthCheckAndCapabilities) {
  Bench bench(GuestWat(kEchoBody, R"(
    (data (i32.const 8) "{\"name\":\"x\"}")
    (func (export "health_check") (result i32) (i32.const 3))
    (func (export "get_capabilities") (result i64)
      (i64.or (i64.shl (i64.const 8) (i64.const 32)) (i64.const 12))))"));
  const auto instance = bench.New();
  EXPECT_TRUE(bench.module->has_health_check());
  EXPECT_EQ(*instance->HealthCheck(bench.control), 3);
  EXPECT_EQ(*instance->Capabilities(bench.control), "{\"name\":\"x\"}");
  EXPECT_TRUE(instance->usable());
  Bench plain(GuestWat(kEchoBody));
  EXPECT_EQ(*plain.New()->HealthCheck(plain.control), 0);
  EXPECT_EQ(*plain.New()->Capabilities(plain.control), "");
}

TEST(InstanceTest, ShutdownSaysHowItFailed) {
  const auto with = [](std::string_view body) {
    return Bench(GuestWat(kEchoBody, StrCat("(func (export \"agent_shutdown\") ", body, ")")));
  };
  Bench well = with("");
  auto instance = well.New();
  EXPECT_TRUE(instance->Shutdown(well.control).ok());
  EXPECT_FALSE(instance->usable());
  Bench traps = with("(unreachable)");
  EXPECT_THAT(std::string(traps.New()->Shutdown(traps.control).message()),
              AllOf(HasSubstr("agent_shutdown"), HasSubstr("unreachable")));
  Bench loops = with("(loop $l (br $l))");
  EpochTicker ticker(*loops.engine);
  const EpochTicker::Scope scope(ticker);
  instance = loops.New();
  loops.control.deadline_mono_ns = loops.clock.MonoNanos() + 20 * kNanosPerMilli;
  EXPECT_TRUE(absl::IsDeadlineExceeded(instance->Shutdown(loops.control)));
  Bench none(GuestWat(kEchoBody));
  EXPECT_TRUE(none.New()->Shutdown(none.control).ok());
}

TEST(InstancePoolTest, ShutdownTellsTheFirstFailure) {
  Bench bench(GuestWat(kEchoBody, "(func (export \"agent_shutdown\") (unreachable))"));
  for (const bool reused : {false, true}) {
    InstancePool pool(*bench.module, bench.config, bench.control, {.reused = reused});
    EXPECT_TRUE(*pool.RefillOne());
    // Only kept instances are told.
    EXPECT_EQ(pool.Shutdown(bench.control).ok(), !reused);
    EXPECT_EQ(pool.ready(), 0u);
  }
}

TEST(InstancePoolTest, PreparesAheadAndDropsUsedOnes) {
  Bench bench(GuestWat(kEchoBody));
  InstancePool pool(*bench.module, bench.config, bench.control, {.prepared = 2});
  EXPECT_TRUE(*pool.RefillOne());
  EXPECT_TRUE(*pool.RefillOne());
  EXPECT_FALSE(*pool.RefillOne());
  auto instance = *pool.Take();
  EXPECT_EQ(pool.ready(), 1u);
  bench.Run(*instance, "x");
  EXPECT_NE(pool.Keep(std::move(instance)), nullptr);
  EXPECT_EQ(pool.ready(), 1u);
  EXPECT_TRUE(pool.Take().ok());
  EXPECT_TRUE(pool.Take().ok());  // none ready: made at once
}

TEST(InstancePoolTest, ReusedInstancesComeBackWhileUsable) {
  Bench bench(GuestWat("(i32.const 0)"));
  InstancePool pool(*bench.module, bench.config, bench.control, {.prepared = 4, .reused = true});
  EXPECT_TRUE(*pool.RefillOne());
  EXPECT_FALSE(*pool.RefillOne());
  auto instance = *pool.Take();
  const Instance* address = instance.get();
  bench.Run(*instance, "x");
  EXPECT_EQ(pool.Keep(std::move(instance)), nullptr);
  EXPECT_EQ((*pool.Take()).get(), address);
}

}  // namespace
}  // namespace caxton::wasm
