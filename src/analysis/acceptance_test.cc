// SPDX-License-Identifier: Apache-2.0
//
// The statistical promises of judgement.md, kept by the real judge in simulation. Seeded: the same
// numbers on every machine. CAXTON_ACCEPTANCE_REPORT=FILE writes the table as Markdown.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "caxton/analysis/judge.h"
#include "caxton/base/strings.h"
#include "simulation.h"

namespace caxton::analysis {
namespace {

constexpr double kMillisecond = 1e6;
// The promises are about 1,000 runs; builds without optimisation try a tenth of them, which says
// less, so that a few more are allowed.
#ifdef __OPTIMIZE__
constexpr int kRuns = 1000, kAllowance = 0;
#else
constexpr int kRuns = 100, kAllowance = 3;
#endif
constexpr int kMostFalse = kRuns / 50 + kAllowance;  // alpha is 1 %
constexpr int kMostEarly = kRuns / 100 + kAllowance;

struct Row {
  std::string scenario;
  int runs = 0;
  int fired = 0, early = 0;
  int promoted = 0, paused = 0;   // of those that ran in stages
  std::vector<int64_t> messages;  // of the canary, until it fired (or passed early, or ended)

  int64_t At(double q) const {
    if (messages.empty()) return -1;
    return messages[std::min(messages.size() - 1,
                             static_cast<size_t>(q * static_cast<double>(messages.size())))];
  }
};

// Prints and keeps the rows, and writes them at the end.
class Table final : public ::testing::Environment {
 public:
  void TearDown() override {
    std::string text =
        "| scenario | runs | rolled back | promoted early | canary messages until then: median | "
        "p90 "
        "| p99 |\n|---|---|---|---|---|---|---|\n";
    for (const Row& row : rows) {
      StrAppend(&text, "| ", row.scenario, " | ", row.runs, " | ", row.fired, " | ", row.early);
      for (double q : {0.5, 0.9, 0.99}) {
        StrAppend(&text, " | ", row.messages.empty() ? std::string("-") : StrCat(row.At(q)));
      }
      StrAppend(&text, " |\n");
    }
    StrAppend(&text,
              "\n| in stages | runs | rolled back | paused | promoted | of these early | canary "
              "messages until then: median |\n|---|---|---|---|---|---|---|\n");
    for (const Row& row : in_stages) {
      StrAppend(&text, "| ", row.scenario, " | ", row.runs, " | ", row.fired, " | ", row.paused,
                " | ", row.promoted, " | ", row.early, " | ", row.At(0.5), " |\n");
    }
    std::fputs(text.c_str(), stdout);
    if (const char* file = std::getenv("CAXTON_ACCEPTANCE_REPORT"); file != nullptr) {
      std::ofstream out(file);
      out << text;
      EXPECT_TRUE(out.good()) << file;
    }
  }
  std::vector<Row> rows, in_stages;
};
Table* const table =
    static_cast<Table*>(::testing::AddGlobalTestEnvironment(new Table));  // GoogleTest's to delete

// What `strategy: canary` watches if nothing else is said.
deployment::DeploymentPlan DefaultPlan() {
  deployment::DeploymentPlan plan;
  plan.strategy = Strategy::kCanary;
  plan.conditions = {{MetricKind::kErrorRate, 0.05}};
  plan.compare_errors = true;
  return plan;
}
deployment::DeploymentPlan ComparisonOnly() {
  deployment::DeploymentPlan plan = DefaultPlan();
  plan.conditions.clear();
  return plan;
}
deployment::DeploymentPlan Early() {
  deployment::DeploymentPlan plan = DefaultPlan();
  plan.promote = PromoteWhen::kEarly;
  return plan;
}

// 20,000 messages, of which a twentieth is the canary's.
Load AA() {
  Load load;
  load.seconds = 2000;
  load.stable_errors = load.candidate_errors = 0.005;
  return load;
}

Row Measure(const std::string& scenario, const deployment::DeploymentPlan& plan, const Load& load,
            int runs = kRuns) {
  Row row{.scenario = scenario, .runs = runs};
  for (int i = 0; i < runs; ++i) {
    const Outcome out =
        Simulate(plan, load, 0x5eed + 7919 * table->rows.size() + 1'000'003 * uint64_t(i));
    if (out.fired) ++row.fired;
    if (out.early) ++row.early;
    if (out.fired || out.early) row.messages.push_back(out.candidate_messages);
  }
  std::sort(row.messages.begin(), row.messages.end());
  table->rows.push_back(row);
  return row;
}

Row MeasureStages(const std::string& scenario, const deployment::DeploymentPlan& plan,
                  const Load& load, int runs = kRuns) {
  Row row{.scenario = scenario, .runs = runs};
  for (int i = 0; i < runs; ++i) {
    const Outcome out = SimulateStages(
        plan, load, 0x57a9e5 + 7919 * table->in_stages.size() + 1'000'003 * uint64_t(i));
    if (out.fired) ++row.fired;
    if (out.paused) ++row.paused;
    if (out.promoted) ++row.promoted;
    if (out.promoted && out.early) ++row.early;
    EXPECT_EQ(out.fired + out.paused + out.promoted, 1) << "one end each";
    row.messages.push_back(out.candidate_messages);
  }
  std::sort(row.messages.begin(), row.messages.end());
  table->in_stages.push_back(row);
  return row;
}

// The default stages of a canary, with a limit of 1 % and the comparison.
deployment::DeploymentPlan InStages() {
  deployment::DeploymentPlan plan = DefaultPlan();
  plan.conditions = {{MetricKind::kErrorRate, 0.01}};
  constexpr int64_t kMinuteNs = 60'000'000'000;
  plan.stages = {
      {50'000, 5 * kMinuteNs, 100}, {250'000, 10 * kMinuteNs, 100}, {500'000, 10 * kMinuteNs, 100}};
  plan.cleanup_ns = 5 * kMinuteNs;
  return plan;
}

TEST(Acceptance, AAUnkeyed) {
  EXPECT_LE(Measure("A/A, unkeyed", DefaultPlan(), AA()).fired, kMostFalse);
}

TEST(Acceptance, AAInRisingStages) {
  Load load = AA();
  load.weights = {50'000, 250'000, 500'000};
  EXPECT_LE(Measure("A/A, unkeyed, 5 %, 25 %, 50 %", DefaultPlan(), load).fired, kMostFalse);
}

TEST(Acceptance, AAZipfKeys) {
  Load load = AA();
  load.keys = 1000;
  load.zipf = 1.1;
  EXPECT_LE(Measure("A/A, 1,000 Zipf keys", DefaultPlan(), load).fired, kMostFalse);
}

TEST(Acceptance, AAFewKeys) {
  Load load = AA();
  load.keys = 5;
  EXPECT_LE(Measure("A/A, 5 keys", DefaultPlan(), load).fired, kMostFalse);
}

// As the router attributes it: what fails on stable too is shared.
TEST(Acceptance, AAPoisonKey) {
  Load load = AA();
  load.keys = 1000;
  load.poison_share = 0.3;
  load.poison_is_shared = true;
  EXPECT_LE(Measure("A/A, one poison key with 30 %", DefaultPlan(), load).fired, kMostFalse);
}

// Even if every one of its failures were attributed to its arm, the comparison would count it once.
TEST(Acceptance, AAPoisonKeyAttributedToItsArm) {
  Load load = AA();
  load.keys = 1000;
  load.poison_share = 0.3;
  EXPECT_LE(
      Measure("A/A, poison key attributed to its arm, comparison only", ComparisonOnly(), load)
          .fired,
      kMostFalse);
}

TEST(Acceptance, AARetries) {
  Load load = AA();
  load.malformed = 0.005;
  EXPECT_LE(Measure("A/A, retries", DefaultPlan(), load).fired, kMostFalse);
}

TEST(Acceptance, AARetriesSeenAgain) {
  Load load = AA();
  load.attributed_retries = 0.9;  // ten runs of a message, were they all counted
  EXPECT_LE(Measure("A/A, every retry reported too, comparison only", ComparisonOnly(), load).fired,
            kMostFalse);
}

TEST(Acceptance, AAHostStalls) {
  Load load = AA();
  load.seconds = 1000;
  load.per_second = 20;
  load.stall_each_s = 60;
  deployment::DeploymentPlan plan = DefaultPlan();
  plan.conditions.push_back({MetricKind::kP99Latency, 100 * kMillisecond});
  plan.conditions.push_back({MetricKind::kP50Latency, 50 * kMillisecond});
  EXPECT_LE(
      Measure("A/A, the host stalls a second a minute, p50 and p99 watched", plan, load).fired,
      kMostFalse);
}

TEST(Acceptance, AABurstOfErrorsOnStable) {
  Load load = AA();
  load.burst_from_s = 600;
  load.burst_s = 60;
  load.burst_errors = 0.5;
  EXPECT_LE(Measure("A/A, a minute with 50 % errors on stable", DefaultPlan(), load).fired,
            kMostFalse);
}

// Both arms, for a shared cause that a retry survives.
TEST(Acceptance, AABurstOfErrorsOnBoth) {
  Load load = AA();
  load.burst_from_s = 600;
  load.burst_s = 60;
  load.burst_errors = 0.2;
  load.burst_hits_both = true;
  EXPECT_LE(
      Measure("A/A, a minute with 20 % errors on both, comparison only", ComparisonOnly(), load)
          .fired,
      kMostFalse);
}

TEST(Acceptance, ATrappingCanaryIsStoppedWithinTenOfItsMessages) {
  Load load = AA();
  load.candidate_errors = 1;
  const Row unkeyed = Measure("canary traps always, unkeyed", DefaultPlan(), load);
  EXPECT_EQ(unkeyed.fired, kRuns);
  EXPECT_LT(unkeyed.At(0.99), 10);
  load.keys = 1000;
  load.zipf = 1.1;
  const Row zipf = Measure("canary traps always, 1,000 Zipf keys", DefaultPlan(), load);
  EXPECT_EQ(zipf.fired, kRuns);
  EXPECT_LT(zipf.At(0.99), 10);
}

TEST(Acceptance, FiveTimesTheErrorsAreFound) {
  Load load = AA();
  load.seconds = 4000;
  load.candidate_errors = 0.025;
  const Row row = Measure("5 times the errors, 0.5 % base", DefaultPlan(), load);
  EXPECT_GE(row.fired, kRuns * 95 / 100);
  EXPECT_LE(row.At(0.5), 400);
}

// Each retry on stable succeeds: its failures are its own, and speak for the candidate.
TEST(Acceptance, AStableWhoseFirstRunsFailIsReplacedEarly) {
  Load load = AA();
  load.seconds = 400;
  load.stable_errors = 1;
  load.candidate_errors = 0;
  const Row row = Measure("stable's first runs fail always, their retries never; no errors",
                          Early(), load, kRuns / 5);
  EXPECT_EQ(row.fired, 0);
  EXPECT_EQ(row.early, kRuns / 5);
}

// Stable fails its retries too, so that all of its failures are shared: nothing is compared,
// nothing is promoted early, and the stages' ends promote.
TEST(Acceptance, ABrokenStableDoesNotBlockItsOwnFix) {
  Load load = AA();
  load.stable_is_broken = true;
  load.candidate_errors = 0;
  deployment::DeploymentPlan plan = InStages();
  plan.promote = PromoteWhen::kEarly;
  const Row row = MeasureStages("stable fails always, its retries too; no errors, promote: early",
                                plan, load, kRuns / 5);
  EXPECT_EQ(row.promoted, kRuns / 5);
  EXPECT_EQ(row.early, 0);
}

TEST(Acceptance, StagesPromoteAGoodVersionAndNotABadOne) {
  Load load = AA();
  const Row good = MeasureStages("A/A, 0.5 % errors, limit 1 %", InStages(), load);
  EXPECT_LE(good.fired, kMostFalse);
  // 150 to 300 messages of the first stage with more than 1 % errors by luck; the busier, the
  // fewer.
  EXPECT_LE(good.paused, kRuns * 8 / 100 + kAllowance);
  load.candidate_errors = 0.015;
  const Row bad = MeasureStages("1.5 % errors, 0.5 % base, limit 1 %", InStages(), load);
  EXPECT_LE(bad.promoted, kRuns / 200);
  // Without a stable to be compared with, the limit alone.
  load.stable_errors = 0.015;
  const Row both = MeasureStages("1.5 % errors on both, limit 1 %", InStages(), load);
  EXPECT_LE(both.promoted, kRuns / 200);
}

// The early test by itself: the comparison would roll many of these back first.
TEST(Acceptance, AVersionThatErrsMoreIsNotPromotedEarly) {
  deployment::DeploymentPlan plan = Early();
  plan.conditions.clear();
  plan.compare_errors = false;
  Load load = AA();
  load.weights = {250'000};
  load.stable_errors = 0.02;
  load.candidate_errors = 0.03;
  EXPECT_LE(
      Measure("1.5 times the errors, 2 % base, 25 %, promote: early and nothing else", plan, load)
          .early,
      kRuns / 100);
  load.weights = {500'000};
  load.candidate_errors = 0.04;
  EXPECT_LE(Measure("twice the errors, 2 % base, 50 %, promote: early and nothing else", plan, load)
                .early,
            kMostEarly);
}

TEST(Acceptance, AGoodVersionIsPromotedEarly) {
  Load load = AA();
  load.weights = {500'000};
  load.stable_errors = load.candidate_errors = 0.02;
  EXPECT_GE(
      Measure("as good as stable, 2 % base, 50 %, promote: early", Early(), load, kRuns / 2).early,
      kRuns / 4);
  load.candidate_errors = 0.005;
  EXPECT_GE(
      Measure("a quarter of the errors, 2 % base, 50 %, promote: early", Early(), load, kRuns / 2)
          .early,
      kRuns * 48 / 100);
  load.weights = {50'000};
  load.candidate_errors = 0;
  EXPECT_GE(Measure("no errors, 2 % base, 5 %, promote: early", Early(), load, kRuns / 2).early,
            kRuns * 48 / 100);
}

}  // namespace
}  // namespace caxton::analysis
