// SPDX-License-Identifier: Apache-2.0
#include "outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "caxton/validation/limits.h"

namespace caxton::validation {
namespace {

using ::testing::HasSubstr;

ExamineReport Faulty() {
  ExamineReport report;
  report.findings.push_back({.code = "MISSING_EXPORT", .message = "no memory", .fix = "export it"});
  return report;
}

TEST(OutcomeTest, FourStagesAlways) {
  ExamineReport examined;
  examined.stages[0].ran = true;
  const ValidationReport good = MakeReport(Sha256("m"), examined, 5);
  ASSERT_EQ(good.stages.size(), 4u);
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(good.stages[0].outcome, StageOutcome::kPassed);
  for (int i = 1; i < 4; ++i) {
    EXPECT_EQ(good.stages[i].outcome, StageOutcome::kNotRun);
    EXPECT_THAT(good.stages[i].note, HasSubstr("not run"));
  }
  const ValidationReport bad = MakeReport(Sha256("m"), Faulty(), 5);
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.Summary(), "no memory [MISSING_EXPORT] To fix: export it");
}

TEST(OutcomeTest, NothingOfTheExaminationIsLeftOut) {
  ExamineReport examined;
  examined.traits.manifest_name = "shop";
  examined.traits.determinism = Determinism::kYes;
  examined.stats.samples = 3;
  examined.engine = "wasmtime 1";
  examined.engine_config = "ab";
  examined.log = {"ready"};
  const ValidationReport report = MakeReport(Sha256("m"), examined, 5);
  EXPECT_EQ(report.traits, examined.traits);
  EXPECT_EQ(report.stats, examined.stats);
  EXPECT_EQ(report.engine, "wasmtime 1");
  EXPECT_EQ(report.engine_config, "ab");
  EXPECT_EQ(report.log, examined.log);
}

TEST(OutcomeTest, WhatNobodyCouldMeasureIsTimeOfTheStageThatFailed) {
  ExamineReport examined;
  examined.stages[0] = {.ran = true, .duration_ns = 30};
  examined.stages[1].ran = true;
  examined.findings.push_back(
      {.code = "VALIDATION_TIMEOUT", .message = "late", .stage = ExamineStage::kSandbox});
  const ValidationReport report = MakeReport(Sha256("m"), examined, 100);
  EXPECT_EQ(report.stages[0].outcome, StageOutcome::kPassed);
  EXPECT_EQ(report.stages[0].duration_ns, 30);
  EXPECT_EQ(report.stages[1].outcome, StageOutcome::kFailed);
  EXPECT_EQ(report.stages[1].duration_ns, 70);
}

TEST(OutcomeTest, DurationsThatAChildMadeUpAreBounded) {
  ExamineReport examined;
  for (StageRun& stage : examined.stages) stage = {.ran = true, .duration_ns = INT64_MAX};
  examined.stages[1].duration_ns = INT64_MIN;
  const ValidationReport report = MakeReport(Sha256("m"), examined, 100);
  EXPECT_EQ(report.took_ns, 100);
  EXPECT_EQ(report.stages[0].duration_ns, kMaxValidateNs);
  EXPECT_EQ(report.stages[1].duration_ns, 0);
}

}  // namespace
}  // namespace caxton::validation
