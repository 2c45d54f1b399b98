// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "caxton/analysis/judge.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/assert.h"
#include "caxton/base/strings.h"
#include "caxton/model/units.h"
#include "e_process.h"
#include "histogram.h"
#include "lower_bound.h"

namespace caxton::analysis {
namespace {

using deployment::StagePlan;
using deployment::StageReport;
using deployment::Verdict;
using deployment::VerdictKind;

// p99 means: one step in a hundred may be slower.
constexpr double kSlowShareLimit = 0.01;
constexpr int64_t kMsPerSecond = 1000;

struct Counts {
  int64_t slow = 0;  // slower than the limit of the p99 test, where there is one
  int64_t runs = 0;
  int64_t bad = 0;
  int64_t shared = 0;
  Histogram latency;

  void Add(const Observation& o, int64_t slow_limit_ns) {
    if (o.verdict == RunVerdict::kShared) {
      ++shared;
      return;
    }
    ++runs;
    if (o.latency_ns > slow_limit_ns) ++slow;
    if (o.verdict == RunVerdict::kBad) ++bad;
    latency.Add(o.latency_ns);
  }
  double ErrorRate() const {
    return runs == 0 ? 0 : static_cast<double>(bad) / static_cast<double>(runs);
  }
  // Exact, unlike the histogram's quantile.
  bool P99BeyondLimit() const {
    return static_cast<double>(slow) > kSlowShareLimit * static_cast<double>(runs);
  }
};

ArmNumbers NumbersOf(const Counts& counts) {
  return {.runs = counts.runs,
          .bad = counts.bad,
          .shared = counts.shared,
          .error_rate = counts.ErrorRate(),
          .p50_ns = counts.latency.Quantile(0.50),
          .p95_ns = counts.latency.Quantile(0.95),
          .p99_ns = counts.latency.Quantile(0.99)};
}

std::string Percent(double share) { return absl::StrFormat("%.3g%%", share * 100); }
std::string Millis(int64_t ns) { return absl::StrFormat("%.3gms", static_cast<double>(ns) / 1e6); }

// The traffic of one second of the deployment's clock, as far as it has been seen.
class OpenSecond {
 public:
  explicit OpenSecond(int64_t limit_ns) : limit_ns_(limit_ns) {}

  // Closes the second before `o`'s, if it is a later one, into `test`; then counts `o`. What
  // arrives late counts for the second that is open.
  void Add(const Observation& o, EProcess* test) {
    const int64_t second = std::max(o.at_ms / kMsPerSecond, closed_ + 1);
    if (runs_ > 0 && second > second_) Close(test);
    if (runs_ == 0) second_ = second;
    ++runs_;
    if (o.latency_ns > limit_ns_) ++slow_;
  }
  void Tick(int64_t at_ms, EProcess* test) {
    if (runs_ > 0 && (second_ + 1) * kMsPerSecond + kSecondGraceMs <= at_ms) Close(test);
  }

 private:
  void Close(EProcess* test) {
    test->Add(static_cast<double>(slow_) / static_cast<double>(runs_));
    closed_ = second_;
    runs_ = slow_ = 0;
  }

  int64_t limit_ns_;
  int64_t second_ = 0;
  int64_t closed_ = -1;
  int64_t runs_ = 0;
  int64_t slow_ = 0;
};

struct ErrorTest {
  explicit ErrorTest(double limit) {
    if (limit > 0) process.emplace(limit, ErrorAlternatives(limit));
  }
  std::optional<EProcess> process;  // none for > 0%: the first failure decides
};
struct LatencyTest {
  explicit LatencyTest(int64_t limit_ns)
      : second(limit_ns), process(kSlowShareLimit, SlowAlternatives(kSlowShareLimit)) {}
  OpenSecond second;
  EProcess process;
};

struct Test {
  Condition condition;
  std::optional<ErrorTest> errors;
  std::optional<LatencyTest> latency;
  bool fired = false;
  double log_evidence = 0;
};

class ThresholdJudge final : public Judge {
 public:
  ThresholdJudge(std::vector<Condition> conditions, double alpha);

  void Observe(const Observation& observation) override;
  void Tick(int64_t at_ms) override;
  std::optional<Verdict> Fired() const override { return fired_; }
  StageReport EndOfStage(const StagePlan& stage) const override;
  JudgeNumbers Numbers() const override;

 private:
  static double AlphaOf(const std::vector<Condition>& conditions, double alpha) {
    CAXTON_ASSERT(!conditions.empty(), "a judge without conditions has nothing to decide");
    return alpha / static_cast<double>(conditions.size());
  }
  static std::vector<double> ErrorLimits(const std::vector<Condition>& conditions);
  void FeedErrors(Test* test, bool bad);
  void Look(Test* test);
  Verdict Explain(const Test& test) const;

  const double alpha_m_;  // of one test; fixed when the deployment starts
  const double log_threshold_;
  std::vector<Test> tests_;
  int64_t slow_limit_ns_ = std::numeric_limits<int64_t>::max();  // a plan has one p99 test at most
  Counts stable_, candidate_;
  std::map<uint32_t, Counts> by_weight_;  // of the candidate; a stage is known by its weight
  ErrorRateLowerBound lower_bound_;
  std::optional<Verdict> fired_;
};

std::vector<double> ThresholdJudge::ErrorLimits(const std::vector<Condition>& conditions) {
  std::vector<double> limits;
  for (const Condition& c : conditions) {
    if (c.metric == MetricKind::kErrorRate) limits.push_back(c.limit);
  }
  return limits;
}

ThresholdJudge::ThresholdJudge(std::vector<Condition> conditions, double alpha)
    : alpha_m_(AlphaOf(conditions, alpha)),
      log_threshold_(-std::log(alpha_m_)),
      lower_bound_(alpha_m_, ErrorLimits(conditions)) {
  for (const Condition& condition : conditions) {
    Test test{.condition = condition};
    if (condition.metric == MetricKind::kErrorRate) {
      test.errors.emplace(condition.limit);
    } else {
      CAXTON_ASSERT(condition.metric == MetricKind::kP99Latency,
                    "a plan refuses the conditions that are not carried out");
      slow_limit_ns_ = std::llround(condition.limit);
      test.latency.emplace(slow_limit_ns_);
    }
    tests_.push_back(std::move(test));
  }
}

void ThresholdJudge::FeedErrors(Test* test, bool bad) {
  std::optional<EProcess>& process = test->errors->process;
  if (process.has_value()) {
    process->Add(bad ? 1 : 0);
  } else if (bad) {
    test->log_evidence = std::numeric_limits<double>::infinity();
  }
}

void ThresholdJudge::Observe(const Observation& o) {
  if (o.arm == Arm::kStable) {
    stable_.Add(o, slow_limit_ns_);
    return;
  }
  candidate_.Add(o, slow_limit_ns_);
  if (by_weight_.contains(o.weight_ppm) || by_weight_.size() < kMaxWeights) {
    by_weight_[o.weight_ppm].Add(o, slow_limit_ns_);
  }
  if (o.verdict == RunVerdict::kShared) return;
  const bool bad = o.verdict == RunVerdict::kBad;
  lower_bound_.Add(bad);
  for (Test& test : tests_) {
    if (test.errors.has_value()) {
      FeedErrors(&test, bad);
    } else {
      test.latency->second.Add(o, &test.latency->process);
    }
    Look(&test);
  }
}

void ThresholdJudge::Tick(int64_t at_ms) {
  for (Test& test : tests_) {
    if (!test.latency.has_value()) continue;
    test.latency->second.Tick(at_ms, &test.latency->process);
    Look(&test);
  }
}

void ThresholdJudge::Look(Test* test) {
  if (test->latency.has_value()) {
    test->log_evidence = test->latency->process.LogE();
  } else if (test->errors->process.has_value()) {
    test->log_evidence = test->errors->process->LogE();
  }
  if (test->fired || test->log_evidence < log_threshold_) return;
  test->fired = true;
  if (!fired_.has_value()) fired_ = Explain(*test);
}

Verdict ThresholdJudge::Explain(const Test& test) const {
  const std::string condition = FormatCondition(test.condition);
  if (test.errors.has_value()) {
    std::string text = StrCat(condition, ": ", candidate_.bad, " of ", candidate_.runs,
                              " first runs failed (", Percent(candidate_.ErrorRate()));
    if (const double least = lower_bound_.Value(); least > 0) {
      StrAppend(&text, ", at least ", Percent(least), " at ", Percent(1 - alpha_m_), " confidence");
    }
    return {VerdictKind::kFailed, text + ")"};
  }
  return {VerdictKind::kFailed,
          StrCat(condition, ": p99 is ", Millis(candidate_.latency.Quantile(0.99)), " over ",
                 candidate_.runs, " first runs; more than ", Percent(kSlowShareLimit),
                 " were slower than the limit in ", test.latency->process.n(),
                 " seconds with traffic (", Percent(1 - alpha_m_), " confidence)")};
}

StageReport ThresholdJudge::EndOfStage(const StagePlan& stage) const {
  const auto it = by_weight_.find(stage.weight_ppm);
  const Counts none;
  const Counts& counts = it == by_weight_.end() ? none : it->second;
  StageReport report;
  report.enough_samples = counts.runs > 0 && counts.runs >= stage.min_samples;
  report.within_limits = counts.runs > 0;
  std::vector<std::string> beyond;
  for (const Test& test : tests_) {
    const bool over = test.errors.has_value() ? counts.ErrorRate() > test.condition.limit
                                              : counts.P99BeyondLimit();
    if (over) beyond.push_back(FormatCondition(test.condition));
  }
  if (!beyond.empty()) report.within_limits = false;
  if (counts.runs == 0) {
    report.text = StrCat("no messages reached the candidate at ", FormatShare(stage.weight_ppm));
    if (counts.shared > 0)
      StrAppend(&report.text, " but ", counts.shared, " that stable failed too");
    return report;
  }
  report.text = StrCat(counts.bad, " of ", counts.runs, " first runs failed at ",
                       FormatShare(stage.weight_ppm), " (", Percent(counts.ErrorRate()), "), p99 ",
                       Millis(counts.latency.Quantile(0.99)));
  if (!report.enough_samples) {
    StrAppend(&report.text, "; ", stage.min_samples, " runs are needed to decide");
  }
  if (!beyond.empty()) StrAppend(&report.text, "; beyond ", absl::StrJoin(beyond, ", "));
  return report;
}

JudgeNumbers ThresholdJudge::Numbers() const {
  JudgeNumbers numbers{.stable = NumbersOf(stable_),
                       .candidate = NumbersOf(candidate_),
                       .error_rate_lower_bound = lower_bound_.Value()};
  for (const Test& test : tests_) {
    numbers.tests.push_back({.condition = test.condition,
                             .log_evidence = test.log_evidence,
                             .log_threshold = log_threshold_,
                             .fired = test.fired});
  }
  return numbers;
}

}  // namespace

std::unique_ptr<Judge> MakeThresholdJudge(std::vector<Condition> conditions, double alpha) {
  return std::make_unique<ThresholdJudge>(std::move(conditions), alpha);
}

}  // namespace caxton::analysis
