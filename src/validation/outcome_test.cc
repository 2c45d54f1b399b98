// SPDX-License-Identifier: Apache-2.0
#include "outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

namespace caxton::validation {
namespace {

using ipc::CompilePhase;
using ::testing::HasSubstr;

std::string Report(CompilePhase phase, const ExamineReport& report = {}) {
  std::string bytes;
  EncodeExamineReport(report, &bytes);
  return std::string(1, static_cast<char>(phase)) + bytes;
}

ChildEnd Exited(int code, std::string report) {
  return {.exit = {.exited = true, .code = code}, .report = std::move(report)};
}
ChildEnd Killed(int signal, CompilePhase phase) {
  return {.exit = {.signal = signal}, .report = Report(phase)};
}
// The code of the one finding.
std::string Code(const ChildEnd& end) {
  bool native = true;
  const auto report = JudgeEnd(end, &native);
  EXPECT_FALSE(native);
  if (!report.ok()) return std::string(report.status().message());
  EXPECT_FALSE(report->ok());
  EXPECT_EQ(report->findings.size(), 1u);
  EXPECT_FALSE(report->findings[0].fix.empty());
  return report->findings[0].code;
}

ExamineReport Faulty() {
  ExamineReport report;
  report.findings.push_back({.code = "MISSING_EXPORT", .message = "no memory", .fix = "export it"});
  return report;
}

TEST(OutcomeTest, GoodModuleHasNativeCode) {
  bool native = false;
  const auto report = JudgeEnd(Exited(0, Report(CompilePhase::kDone)), &native);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->ok());
  EXPECT_TRUE(native);
}

TEST(OutcomeTest, FaultsAreHandedOn) {
  EXPECT_EQ(Code(Exited(3, Report(CompilePhase::kDone, Faulty()))), "MISSING_EXPORT");
}

TEST(OutcomeTest, WhatDoesNotAgreeIsACrash) {
  EXPECT_EQ(Code(Exited(0, Report(CompilePhase::kDone, Faulty()))), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(3, Report(CompilePhase::kDone))), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(0, Report(CompilePhase::kCompiling))), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(0, "")), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(0, "\x04garbage")), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(77, Report(CompilePhase::kCompiling))), "VALIDATION_CRASHED");
}

TEST(OutcomeTest, DeathsSayWhatItWasDoing) {
  EXPECT_EQ(Code(Killed(SIGSEGV, CompilePhase::kCompiling)), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Killed(SIGSYS, CompilePhase::kChecking)), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Killed(SIGXCPU, CompilePhase::kInitializing)), "VALIDATION_TIMEOUT");
  EXPECT_EQ(Code(Killed(SIGABRT, CompilePhase::kCompiling)), "VALIDATION_MEMORY");
  ChildEnd oom = Killed(SIGKILL, CompilePhase::kCompiling);
  oom.out_of_memory = true;
  EXPECT_EQ(Code(oom), "VALIDATION_MEMORY");
  ChildEnd late = Killed(SIGKILL, CompilePhase::kInitializing);
  late.timed_out = true;
  EXPECT_EQ(Code(late), "VALIDATION_TIMEOUT");
  bool native;
  EXPECT_THAT(JudgeEnd(late, &native)->findings[0].message,
              HasSubstr("running its initialization"));
}

TEST(OutcomeTest, ChildThatCouldNotStartSaysNothingAboutTheModule) {
  bool native;
  EXPECT_TRUE(absl::IsInternal(JudgeEnd(Exited(1, ""), &native).status()));
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

}  // namespace
}  // namespace caxton::validation
