// SPDX-License-Identifier: Apache-2.0
//
// HistoryReplay: what a candidate makes of messages that stable has handled before, run once more
// on both before any traffic (judgement.md, "History"; docs/internals/history.md).
//
// Lifecycle: one per replay: Gathered(), Observe() every message that both ran, End(); then
// VerdictOf and Report. Its state is bounded (limits.h) and can be written and read back. Thread
// rule: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/analysis/shadow.h"
#include "caxton/deployment/plan.h"
#include "caxton/deployment/verdict.h"
#include "caxton/model/mirrored.h"
#include "caxton/model/step.h"

namespace caxton::analysis {

// A message that stable handled and the candidate did not.
struct HistoryFailure {
  std::string message_id;
  StepOutcome outcome = StepOutcome::kTrapped;
  std::string detail;  // cut to kHistoryDetailBytes
  friend bool operator==(const HistoryFailure&, const HistoryFailure&) = default;
};

struct HistoryReport {
  int64_t asked = 0;          // messages
  int64_t kept = 0;           // of them were there
  int64_t failed = 0;         // stable handled them, the candidate did not
  int64_t stable_failed = 0;  // stable did not handle them this time: they tell nothing of failures
  int64_t unrun = 0;          // the time was up
  std::vector<HistoryFailure> failures;  // the first kHistoryFailures
  ShadowReport comparison;               // compared, differing, lost, places and ratios
  friend bool operator==(const HistoryReport&, const HistoryReport&) = default;
};

class HistoryReplay {
 public:
  // Of `plan` it takes history, history_fail_on and compare.
  explicit HistoryReplay(const deployment::DeploymentPlan& plan);

  void Gathered(int64_t kept) { kept_ = kept; }
  // `live` is what stable did, `shadow` what the candidate did.
  void Observe(const MirroredStep& step);
  void End(int64_t lost, int64_t unrun);

  // By plain shares: these are all the messages there are, no sample that grows.
  //   error_rate > p   failed / (compared - stable_failed) is above p; 0 where it is not given
  //   differs > p      differing / compared is above p; where it is not given, any share is well
  //   fuel_ratio > k   the mean ratio is above k
  // Nothing kept, or nothing that stable handles: Inconclusive. Kept, but not one compared: Failed,
  // since what was asked for was not done. `stable` and `candidate`: how their revisions are named.
  deployment::Verdict VerdictOf(std::string_view stable, std::string_view candidate) const;
  HistoryReport Report() const;

  void Encode(std::string* out) const;
  static absl::StatusOr<HistoryReplay> Decode(const deployment::DeploymentPlan& plan,
                                              std::string_view bytes);

 private:
  std::string Counts(const ShadowReport& comparison) const;
  std::string FirstFailures() const;

  std::vector<Condition> fail_on_;
  int64_t asked_;
  int64_t kept_ = 0, failed_ = 0, stable_failed_ = 0, unrun_ = 0;
  std::vector<HistoryFailure> failures_;
  ShadowComparison comparison_;
};

}  // namespace caxton::analysis
