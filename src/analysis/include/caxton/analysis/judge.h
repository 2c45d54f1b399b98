// SPDX-License-Identifier: Apache-2.0
//
// Judge: decides from exact counts of first runs whether a candidate keeps within its limits
// (judgement.md).
//
// Lifecycle: one per deployment, made when it gets traffic. After a restart it is made anew and the
// journaled observations are folded into it again; the same observations in the same order give the
// same judge. Thread rule: one thread at a time. How to use: Observe() every first run; ask Fired()
// after each; EndOfStage() when a stage's time is up; Tick() about once a second so that a quiet
// second is counted too.
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
};

// How far one condition is from firing.
struct TestNumbers {
  Condition condition;
  double log_evidence = 0;  // natural logarithm of E; fires at `log_threshold`
  double log_threshold = 0;
  bool fired = false;
};

struct JudgeNumbers {
  ArmNumbers stable, candidate;
  // The largest error rate that the evidence excludes: "at least this much", 0: none yet.
  double error_rate_lower_bound = 0;
  std::vector<TestNumbers> tests;
};

class Judge {
 public:
  virtual ~Judge() = default;
  virtual void Observe(const Observation& observation) = 0;
  // The deployment's traffic clock stands at `at_ms`: seconds that ended more than kSecondGraceMs
  // ago are closed.
  virtual void Tick(int64_t at_ms) = 0;
  // Set from the first firing on, and never changed by what follows.
  virtual std::optional<deployment::Verdict> Fired() const = 0;
  // Of the runs routed at the stage's weight.
  virtual deployment::StageReport EndOfStage(const deployment::StagePlan& stage) const = 0;
  virtual JudgeNumbers Numbers() const = 0;
};

inline constexpr double kDefaultAlpha = 0.01;

// judgement.md, sections 1 and 3. `conditions` are error_rate and p99_latency only (plans refuse
// the others), at least one; `alpha` is shared out among them.
std::unique_ptr<Judge> MakeThresholdJudge(std::vector<Condition> conditions,
                                          double alpha = kDefaultAlpha);

}  // namespace caxton::analysis
