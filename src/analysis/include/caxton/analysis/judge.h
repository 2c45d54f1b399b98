// SPDX-License-Identifier: Apache-2.0
//
// Judge: decides from exact counts of first runs whether a candidate keeps within its limits and
// errs no more than stable (judgement.md; docs/internals/judge.md).
//
// Lifecycle: one per deployment, made when it gets traffic. After a restart it is made anew and the
// journaled observations are folded into it again; the same observations in the same order give the
// same judge, wherever Tick() was called in between. What it says tells how many it had seen
// (VerdictBasis): as many of the journal's, and Tick() at the same time, give the same again.
// Thread rule: one thread at a time. How to use: Observe() every first run; ask Fired()
// after each; EndOfStage() when a stage's time is up; EarlyPass() about once a second; Tick() about
// once a second so that a quiet second is counted too.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caxton/deployment/plan.h"
#include "caxton/deployment/verdict.h"
#include "caxton/model/evidence.h"

namespace caxton::analysis {

struct ArmNumbers {
  int64_t runs = 0;                            // counted first runs: good and bad
  int64_t bad = 0;                             // attributed to this arm
  int64_t shared = 0;                          // failed on both: shown, not counted
  double error_rate = 0;                       // bad / runs; 0 where there are no runs
  int64_t p50_ns = 0, p95_ns = 0, p99_ns = 0;  // within 3 %; 0 where there are no runs
  uint64_t memory_bytes = 0;                   // of the largest instance after a run
  double cpu_millis = 0;  // processor time of first runs a second with traffic, in millicores
  double fuel_mean = 0;   // of a good run
};

// How far one condition is from firing.
struct TestNumbers {
  Condition condition;      // error_ratio > 1 is the comparison that is on by default
  double log_evidence = 0;  // natural logarithm of E; fires at `log_threshold`
  double log_threshold = 0;
  bool fired = false;
  // The metric as it is seen, in the condition's unit; 0: nothing seen. error_ratio: each key's
  // first bad event only, against what the weights would let one expect.
  double estimate = 0;
};

// How the traffic of one weight was divided: first runs, shared ones too.
struct WeightNumbers {
  uint32_t weight_ppm = 0;  // of the candidate, when they were routed
  int64_t candidate = 0;
  int64_t all = 0;
};

// When it will be decided, from the traffic seen so far; 0: unknown.
struct Forecast {
  int64_t messages = 0;  // of both arms
  int64_t ns = 0;        // of the deployment's traffic clock
};

struct JudgeNumbers {
  ArmNumbers stable, candidate;
  // The largest error rate that the evidence excludes: "at least this much", 0: none yet.
  double error_rate_lower_bound = 0;
  std::vector<TestNumbers> tests;
  std::vector<WeightNumbers> by_weight;  // rising; of each stage that had runs
  // `promote: early`: the evidence against "1.5 times as many errors as stable", and when it will
  // suffice if the candidate is as good as stable. 0 where the plan does not ask for it.
  double early_log_evidence = 0, early_log_threshold = 0;
  Forecast early;
};

class Judge {
 public:
  virtual ~Judge() = default;
  virtual void Observe(const Observation& observation) = 0;
  // The deployment's traffic clock stands at `at_ms`: a second that ended more than kSecondGraceMs
  // ago is looked at as it is.
  virtual void Tick(int64_t at_ms) = 0;
  // Set from the first firing on, and never changed by what follows.
  virtual std::optional<deployment::Verdict> Fired() const = 0;
  // Of the runs routed at the stage's weight.
  virtual deployment::StageReport EndOfStage(const deployment::StagePlan& stage) const = 0;
  // `promote: early`: the passing report once the evidence suffices to end the canary stage before
  // its time; until then, and where the plan does not ask for it, nothing.
  virtual std::optional<deployment::StageReport> EarlyPass(
      const deployment::StagePlan& stage) const = 0;
  virtual JudgeNumbers Numbers() const = 0;
};

inline constexpr double kDefaultAlpha = 0.01;

// `alpha` is shared out among the tests that run: the plan's conditions, and the comparison with
// stable where it is on (a condition error_ratio > k is that comparison, with k for 1). `differs`
// is a shadow's and must not be among the conditions.
std::unique_ptr<Judge> MakeJudge(const deployment::DeploymentPlan& plan,
                                 double alpha = kDefaultAlpha);

}  // namespace caxton::analysis
