// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/strings.h"
#include "e_process.h"
#include "shadow_state.h"
#include "thresholds.h"

namespace caxton::analysis {

using deployment::DeploymentPlan;
using deployment::StageReport;
using deployment::Verdict;
using deployment::VerdictKind;

namespace {

// Alternatives of a test against 0% start here.
constexpr double kSmallestAlternative = 0.001;

std::optional<ShareTest> MakeShareTest(double limit, bool has_secondary) {
  if (!has_secondary) {
    if (limit <= 0) return std::nullopt;
    return ShareTest(limit, ErrorAlternatives(limit));
  }
  // Of +1 (the shadow alone differs), -1 (stable's second run alone) and 0, mapped to [0, 1].
  std::vector<double> alternatives = ErrorAlternatives(std::max(limit, kSmallestAlternative));
  for (double& p : alternatives) p = (1 + p) / 2;
  return ShareTest((1 + std::max(limit, 0.0)) / 2, std::move(alternatives));
}

std::set<std::string> PathsOf(const std::vector<Difference>& differences) {
  std::set<std::string> paths;
  for (const Difference& d : differences) paths.insert(d.path);
  return paths;
}

// A place where `of` differs and `than` does not.
bool Beside(const std::set<std::string>& of, const std::set<std::string>& than) {
  return !std::includes(than.begin(), than.end(), of.begin(), of.end());
}

ShadowRatios RatiosOf(const RatioSums& sums, const deployment::ShadowCompare& compare) {
  ShadowRatios ratios;
  if (compare.performance) {
    ratios.latency = sums.latency.Estimate();
    ratios.cpu = sums.cpu.Estimate();
    ratios.fuel = sums.fuel.Estimate();
  }
  if (compare.resources) ratios.memory = sums.memory.Estimate();
  return ratios;
}

}  // namespace

void RatioSums::Add(const MirrorSide& live, const MirrorSide& other) {
  // What a step takes that ends early says nothing about one that does not.
  if (live.outcome != StepOutcome::kHandled || other.outcome != StepOutcome::kHandled) return;
  latency.Add(static_cast<double>(live.latency_ns), static_cast<double>(other.latency_ns));
  cpu.Add(static_cast<double>(live.run_ns), static_cast<double>(other.run_ns));
  fuel.Add(static_cast<double>(live.fuel), static_cast<double>(other.fuel));
  memory.Add(static_cast<double>(live.memory_bytes), static_cast<double>(other.memory_bytes));
}

ShadowComparison::State::State(const DeploymentPlan& plan)
    : compare(plan.compare), has_secondary(plan.secondary) {
  for (const deployment::StagePlan& stage : plan.stages) {
    if (stage.role == deployment::StageRole::kShadow) {
      min_samples = std::max<int64_t>(min_samples, stage.min_samples);
    }
  }
  for (const Condition& condition : plan.conditions) {
    ShadowTest test{.condition = condition};
    if (condition.metric == MetricKind::kDiffers) {
      if (condition.limit >= 1) continue;  // never passed
      test.share = MakeShareTest(condition.limit, has_secondary);
    } else if (condition.metric != MetricKind::kFuelRatio) {
      continue;  // plans refuse it
    }
    tests.push_back(std::move(test));
  }
  if (!tests.empty()) alpha = kShadowAlpha / static_cast<double>(tests.size());
}

std::string ShadowComparison::State::PlaceFor(const std::string& path) {
  if (places.contains(path) || places.size() < kMaxShadowPlaces) return path;
  return std::string(kOtherPlaces);
}

void ShadowComparison::State::CountPlaces(const MirroredStep& step,
                                          const std::vector<Difference>& shadow,
                                          const std::vector<Difference>& secondary) {
  // By place, each once: several paths may share one.
  std::map<std::string, const Difference*> in_shadow;
  std::set<std::string> in_secondary;
  for (const Difference& d : shadow) {
    const std::string place = PlaceFor(d.path);
    places[place].path = place;
    in_shadow.emplace(place, &d);
  }
  for (const Difference& d : secondary) {
    const std::string place = PlaceFor(d.path);
    places[place].path = place;
    in_secondary.insert(place);
  }
  for (const std::string& name : in_secondary) {
    ShadowPlace& place = places[name];
    ++place.secondary_count;
    if (!in_shadow.contains(name)) ++place.secondary_only;
  }
  for (const auto& [name, difference] : in_shadow) {
    ShadowPlace& place = places[name];
    ++place.count;
    if (!in_secondary.contains(name)) ++place.shadow_only;
    if (!has_secondary ||
        CoinLogEvidence(place.shadow_only, place.secondary_only) >= -std::log(kShadowAlpha)) {
      place.significant = true;
    }
    if (place.samples.size() < kShadowSamples) {
      place.samples.push_back(
          {ShownText(step.message_id, kShadowIdBytes), difference->live, difference->other});
    }
  }
}

void ShadowComparison::State::FeedTests(bool shadow_only, bool secondary_only) {
  for (ShadowTest& test : tests) {
    if (!test.share.has_value()) continue;
    const double alone = shadow_only ? 1 : 0;
    test.share->Add(has_secondary ? (1 + alone - (secondary_only ? 1 : 0)) / 2 : alone);
  }
}

double ShadowComparison::State::DifferingShare() const {
  if (compared() == 0) return 0;
  // What a second run of the same does by itself is not the shadow's.
  return static_cast<double>(std::max<int64_t>(differing - secondary_differing, 0)) /
         static_cast<double>(compared());
}

bool ShadowComparison::State::Fires(const ShadowTest& test) const {
  if (test.condition.metric == MetricKind::kFuelRatio) {
    return to_live.fuel.pairs() >= kShadowMinRatioPairs &&
           to_live.fuel.LowerBound(alpha) > test.condition.limit * kRounding;
  }
  return test.share.has_value() ? test.share->LogE() >= -std::log(alpha) : differing > 0;
}

bool ShadowComparison::State::Beyond(const ShadowTest& test) const {
  if (test.condition.metric == MetricKind::kFuelRatio) {
    return to_live.fuel.pairs() > 0 && to_live.fuel.Mean() > test.condition.limit * kRounding;
  }
  return DifferingShare() > test.condition.limit;
}

std::string ShadowComparison::State::CountsText() const {
  std::string text = StrCat(
      differing, " of ", compared(), " compared messages differ (",
      PercentText(
          compared() == 0 ? 0 : static_cast<double>(differing) / static_cast<double>(compared())),
      ")");
  if (has_secondary) {
    StrAppend(&text, ", a second run of stable in ", secondary_differing, " where the shadow does ",
              "not, ", noisy, " only where it does too");
  }
  return text;
}

Verdict ShadowComparison::State::Explain(const ShadowTest& test) const {
  const std::string condition = FormatCondition(test.condition);
  const std::string confidence = StrCat(" (", PercentText(1 - alpha), " confidence)");
  if (test.condition.metric == MetricKind::kFuelRatio) {
    return {VerdictKind::kFailed,
            StrCat(condition,
                   absl::StrFormat(": the shadow takes %.3g times stable's fuel, at "
                                   "least %.3g times, over %d messages",
                                   to_live.fuel.Mean(), to_live.fuel.LowerBound(alpha),
                                   to_live.fuel.pairs()),
                   confidence)};
  }
  std::string text = StrCat(condition, ": ", CountsText());
  const ShadowPlace* most = nullptr;
  for (const auto& [path, place] : places) {
    if (most == nullptr || place.shadow_only > most->shadow_only) most = &place;
  }
  if (most != nullptr) StrAppend(&text, ", most at ", most->path);
  return {VerdictKind::kFailed, text + confidence};
}

// ---- the class

ShadowComparison::ShadowComparison(const DeploymentPlan& plan)
    : state_(std::make_unique<State>(plan)) {}
ShadowComparison::~ShadowComparison() = default;
ShadowComparison::ShadowComparison(ShadowComparison&&) noexcept = default;
ShadowComparison& ShadowComparison::operator=(ShadowComparison&&) noexcept = default;

void ShadowComparison::Observe(const MirroredStep& step) {
  State& s = *state_;
  if (s.fired.has_value()) return;
  if (s.has_secondary && !step.secondary.has_value()) {
    ++s.lost;
    return;
  }
  const DiffOptions options{.outputs = s.compare.outputs, .content_type = step.content_type};
  const std::vector<Difference> shadow = DiffSides(step.live, step.shadow, options);
  std::vector<Difference> secondary;
  if (s.has_secondary) secondary = DiffSides(step.live, *step.secondary, options);
  const std::set<std::string> shadow_paths = PathsOf(shadow);
  const std::set<std::string> secondary_paths = PathsOf(secondary);
  const bool shadow_only = Beside(shadow_paths, secondary_paths);
  const bool secondary_only = Beside(secondary_paths, shadow_paths);
  ++(shadow_only ? s.differing : shadow.empty() ? s.equal : s.noisy);
  if (secondary_only) ++s.secondary_differing;
  s.CountPlaces(step, shadow, secondary);
  s.to_live.Add(step.live, step.shadow);
  if (s.has_secondary) s.secondary_to_live.Add(step.live, *step.secondary);
  s.FeedTests(shadow_only, secondary_only);
  s.fired = Refire();
}

void ShadowComparison::Count(MirrorFate fate, int64_t count) {
  if (fate == MirrorFate::kDropped) state_->dropped += count;
  if (fate == MirrorFate::kLost) state_->lost += count;
}

std::optional<Verdict> ShadowComparison::Fired() const { return state_->fired; }

std::optional<Verdict> ShadowComparison::Refire() const {
  for (const ShadowTest& test : state_->tests) {
    if (state_->Fires(test)) return state_->Explain(test);
  }
  return std::nullopt;
}

StageReport ShadowComparison::EndOfShadow() const {
  const State& s = *state_;
  StageReport report;
  report.enough_samples = s.compared() >= s.min_samples;
  report.within_limits = s.compared() > 0 && !s.fired.has_value();
  report.text = s.compared() == 0 ? std::string("no message was compared") : s.CountsText();
  if (s.dropped > 0) StrAppend(&report.text, "; ", s.dropped, " dropped");
  if (s.lost > 0) StrAppend(&report.text, "; ", s.lost, " lost");
  std::vector<std::string> beyond;
  for (const ShadowTest& test : s.tests) {
    if (s.Beyond(test)) beyond.push_back(FormatCondition(test.condition));
    if (test.condition.metric == MetricKind::kFuelRatio && s.to_live.fuel.pairs() == 0) {
      report.enough_samples = false;
      StrAppend(&report.text, "; no message that both handled to take fuel_ratio from");
    }
  }
  if (!beyond.empty()) {
    report.within_limits = false;
    StrAppend(&report.text, "; beyond ", absl::StrJoin(beyond, ", "));
  } else if (s.fired.has_value()) {
    StrAppend(&report.text, "; ", s.fired->text);
  }
  return report;
}

ShadowReport ShadowComparison::Report() const {
  const State& s = *state_;
  ShadowReport report{.compared = s.compared(),
                      .equal = s.equal,
                      .noisy = s.noisy,
                      .differing = s.differing,
                      .secondary_differing = s.secondary_differing,
                      .dropped = s.dropped,
                      .lost = s.lost,
                      .has_secondary = s.has_secondary};
  if (s.compared() > 0) {
    report.equivalence_rate =
        1 - static_cast<double>(s.differing) / static_cast<double>(s.compared());
  }
  for (const auto& [path, place] : s.places) {
    report.places.push_back(place);
    if (s.has_secondary) {
      report.places.back().log_evidence = CoinLogEvidence(place.shadow_only, place.secondary_only);
    }
  }
  std::stable_sort(report.places.begin(), report.places.end(), [](const auto& a, const auto& b) {
    return std::pair(a.significant, a.count) > std::pair(b.significant, b.count);
  });
  report.shadow_to_live = RatiosOf(s.to_live, s.compare);
  report.secondary_to_live = RatiosOf(s.secondary_to_live, s.compare);
  return report;
}

}  // namespace caxton::analysis
