// SPDX-License-Identifier: Apache-2.0
#include "caxton/analysis/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/analysis/limits.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"

namespace caxton::analysis {
namespace {

using deployment::DeploymentPlan;
using deployment::Verdict;
using deployment::VerdictKind;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

DeploymentPlan Plan(const std::string& fail_on = "", int32_t history = 100) {
  DeploymentPlan plan;
  plan.history = history;
  if (!fail_on.empty()) plan.history_fail_on = *ParseConditions(fail_on);
  return plan;
}

MirrorSide Handled(const std::string& content, uint64_t fuel = 1000) {
  MirrorSide side;
  side.reply = Reply{Performative::kInform, content};
  side.fuel = fuel;
  side.latency_ns = side.run_ns = 1000;
  return side;
}
MirrorSide Failed(StepOutcome outcome, const std::string& detail = "unreachable\nin handle") {
  MirrorSide side;
  side.outcome = outcome;
  side.detail = detail;
  return side;
}
MirroredStep Step(MirrorSide stable, MirrorSide candidate, const std::string& id = "m") {
  MirroredStep step;
  step.message_id = id;
  step.live = std::move(stable);
  step.shadow = std::move(candidate);
  return step;
}
Verdict VerdictOf(const HistoryReplay& replay) { return replay.VerdictOf("a@1", "a@2"); }

// `same` equal messages, `other` whose replies differ, `failed` that only the candidate fails.
HistoryReplay Replayed(const DeploymentPlan& plan, int same, int other, int failed) {
  HistoryReplay replay(plan);
  replay.Gathered(same + other + failed);
  for (int i = 0; i < same; ++i) replay.Observe(Step(Handled("x"), Handled("x")));
  for (int i = 0; i < other; ++i) replay.Observe(Step(Handled("x"), Handled("y")));
  for (int i = 0; i < failed; ++i) {
    replay.Observe(Step(Handled("x"), Failed(StepOutcome::kTrapped), StrCat("bad-", i)));
  }
  replay.End(0, 0);
  return replay;
}

TEST(HistoryReplay, DifferencesAloneAreTold) {
  const HistoryReplay replay = Replayed(Plan(), 10, 30, 0);
  const Verdict verdict = VerdictOf(replay);
  EXPECT_EQ(verdict.kind, VerdictKind::kSuccessful);
  EXPECT_EQ(verdict.text,
            "history: 40 messages replayed (40 of 100 asked were there), 30 differ; none fails on "
            "a@2");
  EXPECT_EQ(replay.Report().comparison.differing, 30);
  EXPECT_EQ(replay.Report().comparison.places[0].path, "reply/content");
}

TEST(HistoryReplay, OneFailureThatStableDoesNotShareFails) {
  const HistoryReplay replay = Replayed(Plan(), 99, 0, 1);
  const Verdict verdict = VerdictOf(replay);
  EXPECT_EQ(verdict.kind, VerdictKind::kFailed);
  EXPECT_THAT(verdict.text, HasSubstr("1 of 100 (1%) messages that a@1 handles fail on a@2"));
  EXPECT_THAT(verdict.text, HasSubstr("bad-0 trapped: unreachable"));
}

TEST(HistoryReplay, ErrorRateAllowsUpToItsLimit) {
  EXPECT_EQ(VerdictOf(Replayed(Plan("error_rate > 5%"), 95, 0, 5)).kind, VerdictKind::kSuccessful);
  EXPECT_EQ(VerdictOf(Replayed(Plan("error_rate > 5%"), 94, 0, 6)).kind, VerdictKind::kFailed);
}

TEST(HistoryReplay, OnlyErrorRateAllowsAFailure) {
  EXPECT_EQ(VerdictOf(Replayed(Plan("differs > 50%"), 99, 0, 1)).kind, VerdictKind::kFailed);
}

TEST(HistoryReplay, DiffersAndFuelFailBeyondTheirLimits) {
  EXPECT_EQ(VerdictOf(Replayed(Plan("differs > 10%"), 90, 10, 0)).kind, VerdictKind::kSuccessful);
  const Verdict verdict = VerdictOf(Replayed(Plan("differs > 10%"), 89, 11, 0));
  EXPECT_EQ(verdict.kind, VerdictKind::kFailed);
  EXPECT_THAT(verdict.text, HasSubstr("differs > 10%: 11 of 100 (11%) differ from a@1, most at "
                                      "reply/content"));
  for (const uint64_t fuel : {2000u, 2100u}) {
    HistoryReplay replay(Plan("fuel_ratio > 2"));
    replay.Gathered(1);
    replay.Observe(Step(Handled("x", 1000), Handled("x", fuel)));
    EXPECT_EQ(VerdictOf(replay).kind,
              fuel > 2000 ? VerdictKind::kFailed : VerdictKind::kSuccessful);
  }
}

TEST(HistoryReplay, NothingToReplayIsNeitherSuccessNorFailure) {
  HistoryReplay replay(Plan());
  replay.Gathered(0);
  EXPECT_EQ(VerdictOf(replay).kind, VerdictKind::kInconclusive);
  EXPECT_THAT(VerdictOf(replay).text, HasSubstr("nothing to replay (0 of 100 asked were there"));
}

TEST(HistoryReplay, NothingComparedInTimeFails) {
  HistoryReplay replay(Plan());
  replay.Gathered(3);
  replay.End(1, 2);
  EXPECT_EQ(VerdictOf(replay).kind, VerdictKind::kFailed);
  EXPECT_THAT(VerdictOf(replay).text, HasSubstr("1 lost, 2 not run"));
}

// A broken stable revision does not block its own fix, and tells nothing of the candidate.
TEST(HistoryReplay, WhatStableFailsTooCountsForNeither) {
  HistoryReplay replay(Plan());
  replay.Gathered(2);
  replay.Observe(Step(Failed(StepOutcome::kTrapped), Failed(StepOutcome::kTrapped)));
  replay.Observe(Step(Failed(StepOutcome::kDeadline), Handled("x")));
  EXPECT_EQ(VerdictOf(replay).kind, VerdictKind::kInconclusive);
  EXPECT_EQ(replay.Report().stable_failed, 2);
  replay.Observe(Step(Handled("x"), Failed(StepOutcome::kAgentRejected)));
  EXPECT_EQ(VerdictOf(replay).kind, VerdictKind::kFailed);
  EXPECT_THAT(VerdictOf(replay).text, HasSubstr("1 of 1 (100%)"));
}

TEST(HistoryReplay, IsBoundedAndReadBackAsItWas) {
  const DeploymentPlan plan = Plan("differs > 90%, error_rate > 90%", kMaxHistory);
  HistoryReplay replay(plan);
  replay.Gathered(kMaxHistory);
  for (int i = 0; i < kMaxHistory - 2; ++i) {
    replay.Observe(Step(
        Handled("x"), Failed(StepOutcome::kMemoryLimit, std::string(2 * kHistoryDetailBytes, 'd')),
        std::string(2 * kShadowIdBytes, 'i')));
  }
  replay.End(1, 1);
  EXPECT_THAT(replay.Report().failures, SizeIs(kHistoryFailures));
  EXPECT_EQ(replay.Report().failures[0].detail.size(), kHistoryDetailBytes);
  std::string bytes;
  replay.Encode(&bytes);
  auto read = HistoryReplay::Decode(plan, bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->Report(), replay.Report());
  EXPECT_EQ(VerdictOf(*read), VerdictOf(replay));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(HistoryReplay::Decode(plan, bytes.substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace caxton::analysis
