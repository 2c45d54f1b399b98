// SPDX-License-Identifier: Apache-2.0
#include "caxton/analysis/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bad_keys.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/assert.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "caxton/model/units.h"
#include "comparison.h"
#include "counts.h"
#include "early.h"
#include "fuel_comparison.h"
#include "lower_bound.h"
#include "thresholds.h"

namespace caxton::analysis {
namespace {

using deployment::StagePlan;
using deployment::StageReport;
using deployment::Verdict;
using deployment::VerdictKind;

constexpr double kNanosPerMilli = 1e6;

double ShareOf(uint32_t ppm) {
  return static_cast<double>(ppm) / static_cast<double>(kFullWeightPpm);
}

// One condition that is watched: on the candidate alone, or one of the two that compare.
struct Watched {
  Condition condition;
  std::unique_ptr<ConditionTest> alone;  // null: error_ratio or fuel_ratio
  bool fired = false;
};

class SequentialJudge final : public Judge {
 public:
  SequentialJudge(const deployment::DeploymentPlan& plan, double alpha);

  void Observe(const Observation& observation) override;
  void Tick(int64_t at_ms) override;
  std::optional<Verdict> Fired() const override { return fired_; }
  StageReport EndOfStage(const StagePlan& stage) const override;
  std::optional<StageReport> EarlyPass(const StagePlan& stage) const override;
  JudgeNumbers Numbers() const override;

 private:
  struct Stage {
    Counts candidate;
    int64_t runs = 0;  // of both arms, shared ones too
  };
  void Watch(const Condition& condition);
  Stage* AtWeight(uint32_t weight_ppm);
  deployment::VerdictBasis Basis() const {
    return {.observations = seen_, .at_ms = std::max<int64_t>(clock_ms_, 0)};
  }
  void CountFailure(const Observation& o);
  double LogEvidence(const Watched& test) const;
  void Look(Watched* test);
  double ErrorRatio() const;
  double LowerBound() const;
  bool Beyond(const Watched& test, const Counts& counts, uint32_t weight_ppm) const;
  double Estimate(const Watched& test) const;
  Verdict Explain(const Watched& test) const;
  Forecast ForecastEarly() const;

  double alpha_m_ = 0;                        // of one test; fixed when the deployment starts
  double threshold_ = 0, log_threshold_ = 0;  // 1 / alpha_m
  std::vector<Watched> tests_;
  bool ratio_asked_ = false;  // by a condition: then it has a plain estimate, too
  std::optional<Comparison> comparison_;
  std::optional<EarlyPromotion> early_;
  std::optional<FuelComparison> fuel_;
  std::optional<ErrorRateLowerBound> lower_bound_;
  BadKeys bad_keys_;            // of the comparison
  BadKeys early_keys_;          // of early promotion, with the candidate's shared failures
  double expected_events_ = 0;  // of the candidate, were it as good as stable

  SlowLimits slow_limits_;
  Counts stable_, candidate_;
  std::map<uint32_t, Stage> by_weight_;  // a stage is known by its weight
  Stage* last_stage_ = nullptr;          // of the weight seen last
  uint32_t last_weight_ = 0;
  int64_t seen_ = 0, last_ms_ = 0;
  int64_t clock_ms_ = 0;  // of the last observation or look at the clock
  std::optional<Verdict> fired_;
};

SequentialJudge::SequentialJudge(const deployment::DeploymentPlan& plan, double alpha) {
  slow_limits_.fill(std::numeric_limits<int64_t>::max());
  for (const Condition& condition : plan.conditions) Watch(condition);
  ratio_asked_ = comparison_.has_value();
  if (plan.compare_errors && !ratio_asked_) Watch({MetricKind::kErrorRatio, 1});
  alpha_m_ = alpha / static_cast<double>(std::max<size_t>(tests_.size(), 1));
  threshold_ = 1 / alpha_m_;
  log_threshold_ = -std::log(alpha_m_);
  lower_bound_.emplace(alpha_m_);
  if (plan.promote == PromoteWhen::kEarly) early_.emplace(alpha);
}

void SequentialJudge::Watch(const Condition& condition) {
  CAXTON_ASSERT(condition.metric != MetricKind::kDiffers, "a plan gives differs to shadows only");
  Watched test{.condition = condition, .alone = MakeConditionTest(condition)};
  if (condition.metric == MetricKind::kErrorRatio) {
    comparison_.emplace(condition.limit, Comparison::Against::kAtMost);
  } else if (condition.metric == MetricKind::kFuelRatio) {
    fuel_.emplace(condition.limit);
  } else if (const size_t quantile = QuantileOf(condition.metric); quantile < kQuantiles) {
    slow_limits_[quantile] = std::llround(condition.limit);
  }
  tests_.push_back(std::move(test));
}

// Null beyond kMaxWeights, which no plan has.
SequentialJudge::Stage* SequentialJudge::AtWeight(uint32_t weight_ppm) {
  if (last_stage_ != nullptr && weight_ppm == last_weight_) return last_stage_;
  auto it = by_weight_.find(weight_ppm);
  if (it == by_weight_.end()) {
    if (by_weight_.size() >= kMaxWeights) return nullptr;
    it = by_weight_.try_emplace(weight_ppm).first;
  }
  last_weight_ = weight_ppm;
  last_stage_ = &it->second;
  return last_stage_;
}

void SequentialJudge::Observe(const Observation& o) {
  ++seen_;
  last_ms_ = std::max(last_ms_, o.at_ms);
  clock_ms_ = std::max(clock_ms_, o.at_ms);
  Stage* stage = AtWeight(o.weight_ppm);
  if (stage != nullptr) ++stage->runs;
  if (fuel_.has_value()) fuel_->Add(o);
  if (o.verdict != RunVerdict::kGood) CountFailure(o);
  if (o.arm == Arm::kStable) {
    stable_.Add(o, slow_limits_);
    return;
  }
  candidate_.Add(o, slow_limits_);
  if (stage != nullptr) stage->candidate.Add(o, slow_limits_);
  if (o.verdict == RunVerdict::kShared) return;
  lower_bound_->Add(o.verdict == RunVerdict::kBad);
  for (Watched& test : tests_) {
    if (test.alone != nullptr) test.alone->Observe(o);
    Look(&test);
  }
}

void SequentialJudge::CountFailure(const Observation& o) {
  if (o.weight_ppm == 0 || o.weight_ppm >= kFullWeightPpm) return;  // compares nothing
  const BadEvent event{o.arm == Arm::kCandidate, ShareOf(o.weight_ppm)};
  const bool bad = o.verdict == RunVerdict::kBad;
  // In an outage that lasts longer than a step, the candidate's failures are shared, because stable
  // fails too a moment later, while stable's count, because their retry waits for its end. Against
  // promotion the candidate's shared ones count as well: an outage must speak for nobody.
  if (early_.has_value() && (bad || event.candidate) && early_keys_.First(o.key_hash)) {
    early_->Add(event);
  }
  if (!bad || !comparison_.has_value() || !bad_keys_.First(o.key_hash)) return;
  comparison_->Add(event);
  expected_events_ += event.weight;
  if (Stage* stage = AtWeight(o.weight_ppm); stage != nullptr) {
    ++stage->candidate.events;
    if (event.candidate) ++stage->candidate.candidate_events;
  }
}

void SequentialJudge::Tick(int64_t at_ms) {
  clock_ms_ = std::max(clock_ms_, at_ms);
  for (Watched& test : tests_) {
    if (test.alone == nullptr) continue;
    test.alone->Tick(at_ms);
    Look(&test);
  }
}

double SequentialJudge::LogEvidence(const Watched& test) const {
  if (test.alone != nullptr) return std::log(test.alone->E());
  return test.condition.metric == MetricKind::kFuelRatio ? fuel_->LogE() : comparison_->LogE();
}

void SequentialJudge::Look(Watched* test) {
  if (test->fired) return;
  bool reached = false;  // not by what is no number
  if (test->alone != nullptr) {
    reached = test->alone->E() >= threshold_;
  } else if (test->condition.metric == MetricKind::kErrorRatio) {
    reached = comparison_->E() >= threshold_;
  } else {
    reached = fuel_->LogE() >= log_threshold_;
  }
  if (!reached) return;
  test->fired = true;
  if (!fired_.has_value()) fired_ = Explain(*test);
}

// The candidate's odds of a bad event against those that its weight would let one expect.
double SequentialJudge::ErrorRatio() const {
  if (!comparison_.has_value()) return 0;
  const auto candidate = static_cast<double>(comparison_->candidate_events());
  const double stable = static_cast<double>(comparison_->events()) - candidate;
  const double expected_stable = static_cast<double>(comparison_->events()) - expected_events_;
  if (candidate == 0 || expected_events_ <= 0) return 0;
  // None on stable: as though half of one was seen, so that it is a number.
  return candidate / expected_events_ * expected_stable / std::max(stable, 0.5);
}

// A limit whose test has fired is excluded, too.
double SequentialJudge::LowerBound() const {
  double bound = lower_bound_->Value();
  for (const Watched& test : tests_) {
    if (test.fired && test.condition.metric == MetricKind::kErrorRate) {
      bound = std::max(bound, test.condition.limit);
    }
  }
  return bound;
}

double SequentialJudge::Estimate(const Watched& test) const {
  if (test.alone != nullptr) return test.alone->Estimate(candidate_);
  return test.condition.metric == MetricKind::kFuelRatio ? fuel_->Ratio() : ErrorRatio();
}

Verdict SequentialJudge::Explain(const Watched& test) const {
  const std::string confidence = StrCat(PercentText(1 - alpha_m_), " confidence)");
  std::string text = StrCat(FormatCondition(test.condition), ": ");
  if (test.condition.metric == MetricKind::kErrorRate) {
    StrAppend(&text, test.alone->Grounds(candidate_));
    if (const double least = LowerBound(); least > 0) {
      StrAppend(&text, ", at least ", PercentText(least), " at ", confidence);
    } else {
      StrAppend(&text, ")");
    }
  } else if (test.condition.metric == MetricKind::kMemory) {
    StrAppend(&text, test.alone->Grounds(candidate_), ")");
  } else if (test.alone != nullptr) {
    StrAppend(&text, test.alone->Grounds(candidate_), confidence);
  } else if (test.condition.metric == MetricKind::kFuelRatio) {
    StrAppend(&text, absl::StrFormat("%.3g", fuel_->Ratio()), " times stable's (",
              absl::StrFormat("%.4g", candidate_.FuelMean()), " a good run against ",
              absl::StrFormat("%.4g", stable_.FuelMean()), "; ", confidence);
  } else {
    StrAppend(&text, comparison_->candidate_events(), " of ", comparison_->events(),
              " messages or keys that failed did so on the candidate, where ",
              absl::StrFormat("%.3g", expected_events_),
              " were to be expected if it were as good as stable (", confidence);
  }
  return {VerdictKind::kFailed, std::move(text), Basis()};
}

bool SequentialJudge::Beyond(const Watched& test, const Counts& counts, uint32_t weight_ppm) const {
  if (test.alone != nullptr) return test.alone->Beyond(counts);
  if (test.condition.metric == MetricKind::kFuelRatio) {
    return fuel_->BeyondLuckAt(weight_ppm);
  }
  // The comparison that is on by default has no plain estimate: half of all good versions are above
  // 1 by luck. One that was asked for must be beyond luck, so that a single event pauses nothing.
  if (!ratio_asked_) return false;
  const double odds = ShareOf(weight_ppm) * test.condition.limit;
  return BeyondLuck(counts.candidate_events, counts.events,
                    odds / (1 - ShareOf(weight_ppm) + odds));
}

StageReport SequentialJudge::EndOfStage(const StagePlan& stage) const {
  const auto it = by_weight_.find(stage.weight_ppm);
  const Counts none;
  const Counts& counts = it == by_weight_.end() ? none : it->second.candidate;
  StageReport report{.observations = Basis().observations, .at_ms = Basis().at_ms};
  report.enough_samples = counts.runs > 0 && counts.runs >= stage.min_samples;
  report.within_limits = counts.runs > 0;
  if (counts.runs == 0) {
    report.text = StrCat("no messages reached the candidate at ", FormatShare(stage.weight_ppm));
    if (counts.shared > 0) {
      StrAppend(&report.text, " but ", counts.shared, " that stable failed too");
    }
    return report;
  }
  std::vector<std::string> beyond;
  for (const Watched& test : tests_) {
    if (Beyond(test, counts, stage.weight_ppm)) beyond.push_back(FormatCondition(test.condition));
  }
  if (!beyond.empty()) report.within_limits = false;
  report.text = StrCat(counts.bad, " of ", counts.runs, " first runs failed at ",
                       FormatShare(stage.weight_ppm), " (", PercentText(counts.ErrorRate()),
                       "), p99 ", MillisText(counts.latency.Quantile(0.99)));
  if (!report.enough_samples) {
    StrAppend(&report.text, "; ", stage.min_samples, " runs are needed to decide");
  }
  if (!beyond.empty()) StrAppend(&report.text, "; beyond ", absl::StrJoin(beyond, ", "));
  return report;
}

std::optional<StageReport> SequentialJudge::EarlyPass(const StagePlan& stage) const {
  if (!early_.has_value() || stage.role != deployment::StageRole::kCanary) return std::nullopt;
  if (fired_.has_value() || !early_->Suffices()) return std::nullopt;
  StageReport report = EndOfStage(stage);
  if (!report.passed()) return std::nullopt;
  StrAppend(&report.text, "; ", early_->candidate_events(), " of ", early_->events(),
            " messages or keys that failed did so on the candidate: fewer than ", kEarlyRatio,
            " times stable's rate");
  return report;
}

Forecast SequentialJudge::ForecastEarly() const {
  if (!early_.has_value() || early_->events() == 0 || seen_ == 0) return {};
  const double events = early_->EventsNeeded(ShareOf(last_weight_));
  const double per_event = static_cast<double>(seen_) / static_cast<double>(early_->events());
  const double messages = std::min(events * per_event, 1e15);
  const double ns_each =
      static_cast<double>(last_ms_) * kNanosPerMilli / static_cast<double>(seen_);
  return {.messages = std::llround(messages),
          .ns = std::llround(std::min(messages * ns_each, 9e18))};
}

JudgeNumbers SequentialJudge::Numbers() const {
  JudgeNumbers numbers{.stable = stable_.Numbers(),
                       .candidate = candidate_.Numbers(),
                       .error_rate_lower_bound = LowerBound(),
                       .early = ForecastEarly()};
  for (const Watched& test : tests_) {
    numbers.tests.push_back({.condition = test.condition,
                             .log_evidence = LogEvidence(test),
                             .log_threshold = log_threshold_,
                             .fired = test.fired,
                             .estimate = Estimate(test)});
  }
  for (const auto& [weight_ppm, stage] : by_weight_) {
    numbers.by_weight.push_back({.weight_ppm = weight_ppm,
                                 .candidate = stage.candidate.runs + stage.candidate.shared,
                                 .all = stage.runs});
  }
  if (early_.has_value()) {
    numbers.early_log_evidence = early_->LogE();
    numbers.early_log_threshold = early_->log_threshold();
  }
  return numbers;
}

}  // namespace

std::unique_ptr<Judge> MakeJudge(const deployment::DeploymentPlan& plan, double alpha) {
  return std::make_unique<SequentialJudge>(plan, alpha);
}

}  // namespace caxton::analysis
