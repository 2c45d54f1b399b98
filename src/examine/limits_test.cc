// SPDX-License-Identifier: Apache-2.0
//
// The limits of the sandbox and of a manifest's samples, each at its edge.
#include "caxton/examine/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/model/limits.h"
#include "caxton/wasm/epoch_ticker.h"
#include "contracts.h"
#include "cpu_clock.h"
#include "sample_step.h"
#include "sandbox.h"

namespace caxton::examine {
namespace {

using ::testing::HasSubstr;

// Time as the test says: a value for each call, by the number of calls so far.
class ScriptedClock final : public Clock {
 public:
  explicit ScriptedClock(std::function<int64_t(int call)> script) : script_(std::move(script)) {}
  int64_t WallNanos() const override { return MonoNanos(); }
  int64_t MonoNanos() const override { return script_(calls_.fetch_add(1)); }

 private:
  const std::function<int64_t(int call)> script_;
  mutable std::atomic<int> calls_{0};
};

constexpr int64_t kNoTime(int) { return 0; }

// The calls that RunSandbox makes before the first sample's code runs, where one clock is both: two
// at its start, whether there is time for the sample, the sample's deadline.
constexpr int kCallsBeforeFirst = 4;

class SandboxLimitsTest : public ::testing::Test {
 protected:
  // An agent that counts down from the number in the message's first eight bytes.
  SandboxLimitsTest() : engine_(*wasm::Engine::Create({})), ticker_(*engine_), ticking_(ticker_) {
    Load(R"((if (i64.ne (local.get $count) (i64.const 0)) (then
               (loop $on
                 (local.set $count (i64.sub (local.get $count) (i64.const 1)))
                 (br_if $on (i64.ne (local.get $count) (i64.const 0))))))
             (i32.const 0))");
    config_.agent = "test";
    config_.memory_bytes = 4 << 20;
  }

  void Load(std::string_view handler) {
    const auto wasm = wasm::Engine::WatToWasm(StrCat(R"((module
        (import "caxton" "config_get"
          (func $config_get (param i32 i32 i32 i32) (result i32)))
        (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
        (memory (export "memory") 40)
        (data (i32.const 16) "word")
        (func (export "agent_alloc") (param i32) (result i32) (i32.const 65536))
        (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
          (local $count i64)
          (local.set $count (i64.load (local.get $ptr))))",
                                                     handler, "))"));
    ASSERT_TRUE(wasm.ok()) << wasm.status();
    module_ = *wasm::Module::LoadBytes(*engine_, *engine_->Compile(*wasm));
  }

  static Sample CountDown(uint64_t from, bool own = true) {
    Sample sample{.name = StrCat("from ", from), .own = own};
    sample.message.content.resize(sizeof from);
    std::memcpy(sample.message.content.data(), &from, sizeof from);
    return sample;
  }

  std::vector<SampleRun> Run(const std::vector<Sample>& samples, const Clock& clock,
                             const Clock* cpu = nullptr) {
    Findings findings;
    stats_ = {};
    SandboxResult result = RunSandbox({.module = *module_,
                                       .config = config_,
                                       .clock = clock,
                                       .cpu = cpu,
                                       .deadline_ns = deadline_ns_},
                                      samples, &findings, &stats_);
    findings_ = findings.Take();
    determinism_ = result.determinism;
    return std::move(result.runs);
  }

  int64_t deadline_ns_ = 0;
  wasm::AgentConfig config_;
  std::unique_ptr<wasm::Engine> engine_;
  wasm::EpochTicker ticker_;
  wasm::EpochTicker::Scope ticking_;
  std::unique_ptr<wasm::Module> module_;
  ModuleStats stats_;
  Determinism determinism_ = Determinism::kNotTried;
  std::vector<Finding> findings_;
};

TEST_F(SandboxLimitsTest, FuelOfASample) {
  const ScriptedClock clock(kNoTime);
  const uint64_t one = Run({CountDown(1000)}, clock).at(0).result.fuel;
  const uint64_t two = Run({CountDown(2000)}, clock).at(0).result.fuel;
  const uint64_t each = (two - one) / 1000;
  const uint64_t rest = one - 1000 * each;
  const uint64_t most = (kSampleFuel - rest) / each;
  const auto runs = Run({CountDown(most)}, clock);
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_LE(runs[0].result.fuel, kSampleFuel);
  EXPECT_GT(runs[0].result.fuel, kSampleFuel - 2 * each);
  EXPECT_TRUE(findings_.empty());
  // Fuel is looked at where a loop begins again.
  EXPECT_TRUE(Run({CountDown(most + 2)}, clock).empty());
  ASSERT_FALSE(findings_.empty());
  EXPECT_EQ(findings_[0].code, "SAMPLE_FAILED");
  EXPECT_THAT(findings_[0].message, HasSubstr("out of fuel"));
  EXPECT_THAT(findings_[0].fix, HasSubstr(StrCat(kSampleFuel, " instructions")));
  // A request that gives a step more gives a sample more.
  deadline_ns_ = 30 * kNanosPerSecond;
  EXPECT_EQ(Run({CountDown(most + 2)}, clock).size(), 1u);
  EXPECT_TRUE(findings_.empty());
}

TEST_F(SandboxLimitsTest, ASampleGetsWhatTheRequestGivesAStep) {
  EXPECT_EQ(SampleLimitNs(0), kSampleLimitNs);
  EXPECT_EQ(SampleFuel(0), kSampleFuel);
  const int64_t even = kSampleLimitNs / kSampleDeadlineFactor;
  EXPECT_EQ(SampleLimitNs(even), kSampleLimitNs);
  EXPECT_EQ(SampleLimitNs(even + 1), kSampleLimitNs + kSampleDeadlineFactor);
  EXPECT_EQ(SampleLimitNs(kMaxStepDeadlineNs), kSandboxLimitNs);
  EXPECT_EQ(SampleLimitNs(INT64_MAX), kSandboxLimitNs);
  EXPECT_EQ(SampleFuel(even), static_cast<uint64_t>(kSampleLimitNs) * kFuelPerNano);
  EXPECT_EQ(SampleFuel(INT64_MAX), static_cast<uint64_t>(kSandboxLimitNs) * kFuelPerNano);
}

// Processor time that passes in the guest only: so much in the first run of a sample, so much in
// the second.
std::function<int64_t(int)> Taking(int64_t first, int64_t second) {
  constexpr int kFirstEnds = 4;  // its start, time for it, its deadline, it begins, it ends
  constexpr int kSecondEnds = 8;
  return [=](int call) {
    return (call >= kFirstEnds ? first : 0) + (call >= kSecondEnds ? second : 0);
  };
}

TEST_F(SandboxLimitsTest, AnOwnSampleOverTheDeadlineIsAnError) {
  ticker_.End();  // nothing but the calls above looks at the clock
  deadline_ns_ = 100'000;
  const auto told = [this](int64_t first, int64_t second, bool own) {
    const ScriptedClock cpu(Taking(first, second));
    Run({CountDown(0, own)}, ScriptedClock(kNoTime), &cpu);
    if (findings_.empty()) return std::string();
    EXPECT_EQ(findings_.size(), 1u);
    EXPECT_EQ(findings_[0].code, "DEADLINE_OVER");
    EXPECT_THAT(findings_[0].message, HasSubstr("over the deadline of 100 us"));
    EXPECT_FALSE(findings_[0].fix.empty());
    return std::string(FindingSeverityName(findings_[0].severity));
  };
  const int64_t certain = deadline_ns_ * kOverDeadlinePercent / 100;
  EXPECT_EQ(told(certain, certain, true), "error");
  EXPECT_EQ(told(certain - 1, certain - 1, true), "warning");
  EXPECT_EQ(told(deadline_ns_ + 1, deadline_ns_ + 1, true), "warning");
  EXPECT_EQ(told(deadline_ns_, deadline_ns_, true), "");
  // Of two runs the lesser: the other one was disturbed.
  EXPECT_EQ(told(10 * certain, deadline_ns_, true), "");
  EXPECT_EQ(told(deadline_ns_, 10 * certain, true), "");
  EXPECT_EQ(told(10 * certain, 10 * certain, false), "warning");
  deadline_ns_ = 0;
  EXPECT_EQ(told(10 * certain, 10 * certain, true), "");
}

// Where time does not suffice for a second run, nothing was compared.
TEST_F(SandboxLimitsTest, ALongSampleThatTheDeadlineAllowsPasses) {
  ticker_.End();
  deadline_ns_ = 30 * kNanosPerSecond;
  const int64_t half = kSandboxLimitNs / 2;
  const ScriptedClock once(Taking(half, half));
  EXPECT_EQ(Run({CountDown(0)}, ScriptedClock(kNoTime), &once).size(), 1u);
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(determinism_, Determinism::kNotTried);
  const ScriptedClock twice(Taking(half - 1, half - 1));
  EXPECT_EQ(Run({CountDown(0)}, ScriptedClock(kNoTime), &twice).size(), 1u);
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(determinism_, Determinism::kYes);
}

TEST_F(SandboxLimitsTest, TimeOfASample) {
  const auto with_time = [](int64_t later) {
    return [later](int call) { return call < kCallsBeforeFirst ? 0 : later; };
  };
  // Without end: what ends it is its fuel, as long as there is time.
  Run({CountDown(UINT64_MAX)}, ScriptedClock(with_time(kSampleLimitNs - 1)));
  ASSERT_FALSE(findings_.empty());
  EXPECT_THAT(findings_[0].message, HasSubstr("out of fuel"));
  Run({CountDown(UINT64_MAX)}, ScriptedClock(with_time(kSampleLimitNs)));
  ASSERT_FALSE(findings_.empty());
  EXPECT_THAT(findings_[0].message, HasSubstr("past its deadline"));
  EXPECT_THAT(findings_[0].fix, HasSubstr(StrCat(kSampleLimitNs / kNanosPerMilli, " ms")));
}

TEST_F(SandboxLimitsTest, TimeOfTheStage) {
  const auto with_time = [](int64_t later) {
    return [later](int call) { return call == 0 ? 0 : later; };
  };
  const std::vector<Sample> samples = {CountDown(1), CountDown(2), CountDown(3, /*own=*/false)};
  const ScriptedClock idle(kNoTime);
  EXPECT_EQ(Run(samples, ScriptedClock(with_time(kSandboxLimitNs - 1)), &idle).size(), 3u);
  EXPECT_TRUE(findings_.empty());
  // A busy machine takes nothing from an own one.
  EXPECT_EQ(Run(samples, ScriptedClock(with_time(kSandboxLimitNs)), &idle).size(), 2u);
  ASSERT_EQ(findings_.size(), 1u);
  EXPECT_EQ(findings_[0].code, "SAMPLES_SKIPPED");
  EXPECT_EQ(findings_[0].severity, FindingSeverity::kWarning);
  EXPECT_EQ(determinism_, Determinism::kNotTried);
  const ScriptedClock nearly(with_time(kSandboxLimitNs - 1)), all(with_time(kSandboxLimitNs));
  EXPECT_EQ(Run(samples, idle, &nearly).size(), 3u);
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(Run(samples, idle, &all).size(), 0u);
  // An own one that nobody saw handled is an error, another one is not.
  ASSERT_EQ(findings_.size(), 2u);
  EXPECT_EQ(findings_[0].code, "SAMPLES_SKIPPED");
  EXPECT_EQ(findings_[0].severity, FindingSeverity::kError);
  EXPECT_THAT(findings_[0].message, HasSubstr("2 of the manifest's own"));
  EXPECT_FALSE(findings_[0].fix.empty());
  EXPECT_EQ(findings_[1].code, "SAMPLES_SKIPPED");
  EXPECT_EQ(findings_[1].severity, FindingSeverity::kWarning);
  EXPECT_THAT(findings_[1].message, HasSubstr("1 sample messages"));
}

// Where nothing was handled, what the stage's end cut off did not merely lack time.
TEST_F(SandboxLimitsTest, AnEndlessLoopIsNoLackOfTime) {
  deadline_ns_ = 30 * kNanosPerSecond;
  const auto clock = [] {
    return ScriptedClock([](int call) { return call * kNanosPerSecond / 2; });
  };
  Run({CountDown(UINT64_MAX, /*own=*/false), CountDown(1, /*own=*/false)}, clock());
  ASSERT_FALSE(findings_.empty());
  EXPECT_EQ(findings_[0].code, "ALL_SAMPLES_FAILED");
}

// The host gives both runs the same of everything. Here it does not, to see that it is noticed.
TEST_F(SandboxLimitsTest, RunsThatDifferAreNoticed) {
  Load(R"((call $reply (i32.const 1) (i32.const 32)
            (call $config_get (i32.const 16) (i32.const 4) (i32.const 32) (i32.const 64))))");
  config_.settings["word"] = "one";
  // After the first run's end: its start, and its end.
  const ScriptedClock clock([this](int call) {
    if (call == kCallsBeforeFirst + 2) config_.settings["word"] = "another";
    return 0;
  });
  EXPECT_EQ(Run({CountDown(0)}, clock).at(0).result.reply->content, "one");
  ASSERT_EQ(findings_.size(), 1u);
  EXPECT_EQ(findings_[0].code, "NOT_DETERMINISTIC");
  EXPECT_EQ(findings_[0].severity, FindingSeverity::kWarning);
  EXPECT_THAT(findings_[0].message, HasSubstr("the reply"));
  EXPECT_EQ(determinism_, Determinism::kNo);
  Run({CountDown(0)}, ScriptedClock(kNoTime));
  EXPECT_TRUE(findings_.empty());
  EXPECT_EQ(determinism_, Determinism::kYes);
}

TEST(CpuClockTest, GoesOnWithWork) {
  const CpuClock cpu;
  const int64_t start = cpu.MonoNanos();
  int64_t now = start;
  while (now == start) now = cpu.MonoNanos();
  EXPECT_GT(now, start);
}

TEST(HostileSamplesTest, FitTheAgentsOwnLimit) {
  wasm::AgentConfig config;
  for (const int64_t limit : {int64_t{0}, int64_t{7}, int64_t{kLargeSampleBytes} - 1,
                              int64_t{kLargeSampleBytes}, int64_t{kLargeSampleBytes} + 1}) {
    config.max_message_bytes = limit;
    size_t largest = 0;
    for (const Sample& sample : HostileSamples(config)) {
      EXPECT_TRUE(sample.hostile && !sample.own);
      if (sample.name == "hostile/not-utf8") continue;  // always as short
      largest = std::max(largest, sample.message.content.size());
    }
    EXPECT_EQ(largest, std::min<size_t>(limit, kLargeSampleBytes));
  }
}

// The codes of what is wrong with a manifest.
std::vector<std::string> Faults(const std::string& manifest) {
  Findings findings;
  ReadContracts(manifest, "manifest", &findings);
  std::vector<std::string> codes;
  for (const Finding& finding : findings.Take()) codes.push_back(finding.code);
  return codes;
}

std::string Samples(size_t count, const std::string& sample) {
  std::string list;
  for (size_t i = 0; i < count; ++i) list += (i == 0 ? "" : ",") + sample;
  return R"({"samples":[)" + list + "]}";
}

TEST(ManifestSamplesTest, Number) {
  EXPECT_TRUE(Faults(Samples(kMaxManifestSamples, R"({"content":""})")).empty());
  EXPECT_EQ(Faults(Samples(kMaxManifestSamples + 1, R"({"content":""})")),
            std::vector<std::string>{"BAD_SAMPLE"});
}

TEST(ManifestSamplesTest, Name) {
  const auto named = [](size_t bytes) {
    return Samples(1, R"({"name":")" + std::string(bytes, 'n') + R"("})");
  };
  EXPECT_TRUE(Faults(named(kMaxSampleNameBytes)).empty());
  EXPECT_EQ(Faults(named(kMaxSampleNameBytes + 1)), std::vector<std::string>{"BAD_SAMPLE"});
}

// Lists of lists multiply what is at their end: 2 KB of schema were a sample of 4 MB.
TEST(GeneratedSamplesTest, ValuesAndCharacters) {
  const auto generated = [](std::string_view end, int lists) {
    std::string schema(end);
    for (int i = 0; i < lists; ++i) {
      schema = StrCat(R"({"type":"array","minItems":16,"items":)", schema, "}");
    }
    Findings findings;
    const Contracts contracts =
        ReadContracts(StrCat(R"({"consumes":{"REQUEST":)", schema, "}}"), "manifest", &findings);
    EXPECT_FALSE(findings.has_error());
    return GenerateSamples(contracts, &findings);
  };
  std::string thousand = "[0";
  for (int i = 1; i < 1000; ++i) thousand += ",0";
  thousand += "]";
  const std::string text = StrCat(R"({"const":")", std::string(1000, 'x'), R"("})");
  const std::string name = StrCat(R"({"properties":{")", std::string(1000, 'x'), R"(":true}})");
  for (const std::string& end : {StrCat(R"({"const":)", thousand, "}"),
                                 StrCat(R"({"enum":[)", thousand, "]}"), text, name}) {
    const auto fits = generated(end, 1);
    ASSERT_EQ(fits.size(), 1u) << end;
    EXPECT_GT(fits[0].message.content.size(), 16'000u);
    // What there is no room for is cut short; here nothing of it fits any more.
    for (const int lists : {3, 6}) {
      for (const Sample& sample : generated(end, lists)) {
        EXPECT_LE(sample.message.content.size(), 2 * kMaxGeneratedValues) << end;
      }
    }
  }
  EXPECT_EQ(generated(R"({"const":[1,2]})", 6).size(), 0u);
}

TEST(OutputsTest, Depth) {
  Findings unused;
  const Contracts contracts =
      ReadContracts(R"({"produces":{"INFORM":{"type":"array"}}})", "manifest", &unused);
  const auto told = [&contracts](int depth) {
    SampleRun run{.name = "s"};
    run.result.reply =
        Reply{Performative::kInform, std::string(depth, '[') + std::string(depth, ']')};
    Findings findings;
    CheckOutputs(contracts, {run}, &findings);
    return findings.Take();
  };
  EXPECT_TRUE(told(kMaxContentDepth).empty());
  const auto deeper = told(kMaxContentDepth + 1);
  ASSERT_EQ(deeper.size(), 1u);
  EXPECT_EQ(deeper[0].code, "OUTPUT_MISMATCH");
  EXPECT_THAT(deeper[0].message, HasSubstr(StrCat("deeper than ", kMaxContentDepth)));
}

}  // namespace
}  // namespace caxton::examine
