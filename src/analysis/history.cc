// SPDX-License-Identifier: Apache-2.0
#include "caxton/analysis/history.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "caxton/model/text.h"
#include "shadow_diff.h"
#include "thresholds.h"

namespace caxton::analysis {

using deployment::DeploymentPlan;
using deployment::Verdict;
using deployment::VerdictKind;

namespace {

constexpr size_t kMinFailureBytes = 4 + 1 + 4;

// The comparison alone: its conditions are looked at here.
DeploymentPlan ComparedBy(const DeploymentPlan& plan) {
  DeploymentPlan compared;
  compared.compare = plan.compare;
  return compared;
}

double Share(int64_t part, int64_t all) {
  return all <= 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
}

std::string Of(int64_t part, int64_t all) {
  return StrCat(part, " of ", all, " (", PercentText(Share(part, all)), ")");
}

}  // namespace

HistoryReplay::HistoryReplay(const DeploymentPlan& plan)
    : fail_on_(plan.history_fail_on), asked_(plan.history), comparison_(ComparedBy(plan)) {}

void HistoryReplay::Observe(const MirroredStep& step) {
  comparison_.Observe(step);
  if (step.live.outcome != StepOutcome::kHandled) {
    ++stable_failed_;
    return;
  }
  if (step.shadow.outcome == StepOutcome::kHandled) return;
  ++failed_;
  if (failures_.size() >= kHistoryFailures) return;
  failures_.push_back({ShownText(step.message_id, kShadowIdBytes), step.shadow.outcome,
                       ShownText(step.shadow.detail, kHistoryDetailBytes)});
}

void HistoryReplay::End(int64_t lost, int64_t unrun) {
  comparison_.Count(MirrorFate::kLost, lost);
  unrun_ += unrun;
}

HistoryReport HistoryReplay::Report() const {
  return {.asked = asked_,
          .kept = kept_,
          .failed = failed_,
          .stable_failed = stable_failed_,
          .unrun = unrun_,
          .failures = failures_,
          .comparison = comparison_.Report()};
}

std::string HistoryReplay::Counts(const ShadowReport& comparison) const {
  std::string text = StrCat(comparison.compared, " messages replayed (", kept_, " of ", asked_,
                            " asked were there), ", comparison.differing, " differ");
  if (stable_failed_ > 0) {
    StrAppend(&text, ", ", stable_failed_, " that stable itself does not handle this time");
  }
  if (comparison.lost > 0) StrAppend(&text, ", ", comparison.lost, " lost");
  if (unrun_ > 0) StrAppend(&text, ", ", unrun_, " not run: the time was up");
  return text;
}

std::string HistoryReplay::FirstFailures() const {
  std::string text;
  for (const HistoryFailure& failure : failures_) {
    StrAppend(&text, text.empty() ? "" : "; ", failure.message_id, " ",
              StepOutcomeName(failure.outcome), failure.detail.empty() ? "" : ": ",
              std::string_view(failure.detail).substr(0, failure.detail.find('\n')));
  }
  return text;
}

Verdict HistoryReplay::VerdictOf(std::string_view stable, std::string_view candidate) const {
  const ShadowReport comparison = comparison_.Report();
  const std::string counts = StrCat("history: ", Counts(comparison));
  if (kept_ == 0) {
    return {VerdictKind::kInconclusive,
            StrCat("history: nothing to replay (0 of ", asked_,
                   " asked were there; messages are kept in memory, from the server's start on)")};
  }
  if (comparison.compared == 0) {
    return {VerdictKind::kFailed,
            StrCat(counts,
                   ". Not one could be compared. To fix: deploy it again, with less "
                   "history or without")};
  }
  const int64_t handled = comparison.compared - stable_failed_;
  double most_errors = 0;
  std::string beyond;
  for (const Condition& condition : fail_on_) {
    const ShadowRatio& fuel = comparison.shadow_to_live.fuel;
    if (condition.metric == MetricKind::kErrorRate) {
      most_errors = condition.limit;
    } else if (condition.metric == MetricKind::kDiffers &&
               Share(comparison.differing, comparison.compared) > condition.limit) {
      StrAppend(&beyond, "; ", FormatCondition(condition), ": ",
                Of(comparison.differing, comparison.compared), " differ from ", stable,
                comparison.places.empty() ? "" : ", most at ",
                comparison.places.empty() ? "" : comparison.places[0].path);
    } else if (condition.metric == MetricKind::kFuelRatio && fuel.pairs > 0 &&
               fuel.mean > condition.limit * kRounding) {
      StrAppend(&beyond, "; ", FormatCondition(condition),
                absl::StrFormat(": it takes %.3g times stable's fuel", fuel.mean));
    }
  }
  if (Share(failed_, handled) > most_errors) {
    StrAppend(&beyond, "; ", Of(failed_, handled), " messages that ", stable, " handles fail on ",
              candidate, most_errors > 0 ? StrCat(", allowed are ", PercentText(most_errors)) : "",
              ": ", FirstFailures());
  }
  if (!beyond.empty()) return {VerdictKind::kFailed, StrCat(counts, beyond)};
  if (handled == 0) {
    return {VerdictKind::kInconclusive,
            StrCat(counts, "; ", stable, " handles none of them, so they tell nothing")};
  }
  return {VerdictKind::kSuccessful,
          StrCat(counts, failed_ == 0 ? "; none fails on " : StrCat("; ", failed_, " fail on "),
                 candidate)};
}

void HistoryReplay::Encode(std::string* out) const {
  ByteWriter writer(out);
  writer.U8(kRecordFormat);
  for (int64_t count : {kept_, failed_, stable_failed_, unrun_}) writer.I64(count);
  writer.U32(static_cast<uint32_t>(failures_.size()));
  for (const HistoryFailure& failure : failures_) {
    writer.Bytes(failure.message_id);
    writer.U8(static_cast<uint8_t>(failure.outcome));
    writer.Bytes(failure.detail);
  }
  std::string comparison;
  comparison_.Encode(&comparison);
  writer.Bytes(comparison);
}

absl::StatusOr<HistoryReplay> HistoryReplay::Decode(const DeploymentPlan& plan,
                                                    std::string_view bytes) {
  HistoryReplay replay(plan);
  ByteReader in(bytes);
  ReadFormat(in);
  for (int64_t* count : {&replay.kept_, &replay.failed_, &replay.stable_failed_, &replay.unrun_}) {
    *count = in.I64();
    if (*count < 0 || *count > kMaxHistory) in.Fail();
  }
  const uint32_t failures = ReadCount(in, kMinFailureBytes);
  if (failures > kHistoryFailures) in.Fail();
  for (uint32_t i = 0; i < failures && in.ok(); ++i) {
    HistoryFailure failure;
    failure.message_id = in.BytesCopy();
    failure.outcome = ReadEnum<StepOutcome>(in, kStepOutcomeCount);
    failure.detail = in.BytesCopy();
    const bool text = IsUtf8(failure.message_id) && IsUtf8(failure.detail);
    if (!text || failure.message_id.size() > kShadowIdBytes ||
        failure.detail.size() > kHistoryDetailBytes) {
      in.Fail();
    }
    replay.failures_.push_back(std::move(failure));
  }
  const std::string comparison = in.BytesCopy();
  RETURN_IF_ERROR(in.Finish("a replay of history"));
  ASSIGN_OR_RETURN(replay.comparison_, ShadowComparison::Decode(ComparedBy(plan), comparison));
  return replay;
}

}  // namespace caxton::analysis
