// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/compile_end.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>

#include "caxton/platform/memfd.h"

namespace caxton::ipc {
namespace {

using ::testing::HasSubstr;

std::string Report(CompilePhase phase, const ExamineReport& report = {}) {
  const auto fd = *platform::CreateMemfd("report", 0);
  EXPECT_TRUE(WriteCompileReport(fd.get(), phase, report).ok());
  return *platform::ReadFd(fd.get(), kMaxCompileReportBytes);
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

TEST(CompileEndTest, GoodModuleHasNativeCode) {
  bool native = false;
  const auto report = JudgeEnd(Exited(0, Report(CompilePhase::kDone)), &native);
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->ok());
  EXPECT_TRUE(native);
}

TEST(CompileEndTest, FaultsAreHandedOn) {
  EXPECT_EQ(Code(Exited(3, Report(CompilePhase::kDone, Faulty()))), "MISSING_EXPORT");
}

TEST(CompileEndTest, WhatDoesNotAgreeIsACrash) {
  EXPECT_EQ(Code(Exited(0, Report(CompilePhase::kDone, Faulty()))), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(3, Report(CompilePhase::kDone))), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(0, Report(CompilePhase::kCompiling))), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(0, "")), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(0, "\x04garbage")), "VALIDATION_CRASHED");
  EXPECT_EQ(Code(Exited(77, Report(CompilePhase::kCompiling))), "VALIDATION_CRASHED");
}

TEST(CompileEndTest, DeathsSayWhatItWasDoing) {
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

TEST(CompileEndTest, ChildThatCouldNotStartSaysNothingAboutTheModule) {
  bool native;
  EXPECT_TRUE(absl::IsInternal(JudgeEnd(Exited(1, ""), &native).status()));
}

TEST(CompileEndTest, DeathIsToldUnderTheStageItCameIn) {
  const struct {
    CompilePhase phase;
    ExamineStage stage;
  } cases[] = {{CompilePhase::kStarting, ExamineStage::kStatic},
               {CompilePhase::kChecking, ExamineStage::kStatic},
               {CompilePhase::kCompiling, ExamineStage::kStatic},
               {CompilePhase::kInitializing, ExamineStage::kStatic},
               {CompilePhase::kSampling, ExamineStage::kSandbox},
               {CompilePhase::kComparing, ExamineStage::kContracts},
               {CompilePhase::kWeighing, ExamineStage::kResources}};
  for (const auto& [phase, stage] : cases) {
    bool native = true;
    const auto report = JudgeEnd(Killed(SIGSEGV, phase), &native);
    ASSERT_TRUE(report.ok());
    EXPECT_EQ(report->findings[0].stage, stage) << PhaseText(phase);
    for (size_t i = 0; i < kExamineStages; ++i) {
      EXPECT_EQ(report->stages[i].ran, i <= static_cast<size_t>(stage));
      EXPECT_EQ(report->stages[i].note.empty(), i <= static_cast<size_t>(stage));
    }
  }
}

TEST(CompileEndTest, WhatTheStagesBeforeFoundStays) {
  ExamineReport so_far;
  so_far.stages[0] = {.ran = true, .duration_ns = 42};
  so_far.stages[1].ran = true;
  so_far.stats.module_bytes = 7;
  so_far.findings.push_back(
      {FindingSeverity::kWarning, "UNKNOWN_MANIFEST_FIELD", "m", "p", "f", ExamineStage::kStatic});
  ChildEnd end{.exit = {.signal = SIGKILL},
               .report = Report(CompilePhase::kSampling, so_far),
               .timed_out = true,
               .limit_ns = 5};
  bool native;
  const auto report = JudgeEnd(end, &native);
  ASSERT_TRUE(report.ok());
  ASSERT_EQ(report->findings.size(), 2u);
  EXPECT_EQ(report->findings[0].code, "VALIDATION_TIMEOUT");
  EXPECT_THAT(report->findings[0].message, HasSubstr("sample messages"));
  EXPECT_THAT(report->findings[0].fix, HasSubstr("handle_message"));
  EXPECT_EQ(report->findings[1].code, "UNKNOWN_MANIFEST_FIELD");
  EXPECT_TRUE(report->ok(ExamineStage::kStatic));
  EXPECT_EQ(report->stages[0].duration_ns, 42);
  EXPECT_EQ(report->stats.module_bytes, 7u);
  // A torn report says nothing, and hides nothing.
  for (size_t size = 1; size < end.report.size(); ++size) {
    ChildEnd torn = end;
    torn.report.resize(size);
    EXPECT_EQ(Code(torn), "VALIDATION_TIMEOUT") << size;
  }
}

TEST(CompileEndTest, DeathOverRecentMessagesFailsNoModule) {
  ExamineReport passed;
  for (StageRun& run : passed.stages) run = {.ran = true, .duration_ns = 7};
  passed.findings.push_back(
      {FindingSeverity::kNote, "RESOURCES", "m", "", "", ExamineStage::kResources});
  const std::string left = Report(CompilePhase::kTryingRecent, passed);
  const ChildEnd ends[] = {
      {.exit = {.signal = SIGKILL}, .report = left, .timed_out = true, .limit_ns = 5'000'000},
      {.exit = {.signal = SIGXCPU}, .report = left, .cpu_limit_seconds = 5},
      {.exit = {.signal = SIGABRT}, .report = left},
      {.exit = {.signal = SIGSEGV}, .report = left},
      Exited(1, left)};
  for (const ChildEnd& end : ends) {
    bool native = false;
    const auto report = JudgeEnd(end, &native);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_TRUE(native);
    EXPECT_TRUE(report->ok());
    ASSERT_EQ(report->findings.size(), 2u);
    EXPECT_EQ(report->findings[0].code, "RECENT_UNFINISHED");
    EXPECT_EQ(report->findings[0].severity, FindingSeverity::kWarning);
    EXPECT_EQ(report->findings[0].stage, ExamineStage::kResources);
    EXPECT_THAT(report->findings[0].message, HasSubstr("while trying recent messages"));
    EXPECT_EQ(report->stages, passed.stages);
    // What is not whole, or not good, passes nothing.
    for (size_t size = 1; size < end.report.size(); ++size) {
      ChildEnd torn = end;
      torn.report.resize(size);
      EXPECT_FALSE(JudgeEnd(torn, &native)->ok()) << size;
      EXPECT_FALSE(native);
    }
    ChildEnd bad = end;
    bad.report = Report(CompilePhase::kTryingRecent, Faulty());
    EXPECT_FALSE(JudgeEnd(bad, &native)->ok());
    EXPECT_FALSE(native);
  }
  passed.findings.assign(kMaxFindings, Finding(passed.findings[0]));
  bool native;
  const auto full =
      JudgeEnd({.exit = {.signal = SIGSEGV}, .report = Report(CompilePhase::kTryingRecent, passed)},
               &native);
  EXPECT_EQ(full->findings.size(), kMaxFindings);
  EXPECT_EQ(full->findings[0].code, "RECENT_UNFINISHED");
}

TEST(CompileEndTest, ClaimsOfLaterStagesDoNotCount) {
  ExamineReport claims;
  for (StageRun& run : claims.stages) run.ran = true;
  for (int i = 0; i < 100; ++i) {
    claims.findings.push_back(
        {FindingSeverity::kNote, "RESOURCES", "m", "", "", ExamineStage::kResources});
  }
  EXPECT_EQ(Code({.exit = {.signal = SIGSEGV}, .report = Report(CompilePhase::kSampling, claims)}),
            "VALIDATION_CRASHED");
  for (Finding& finding : claims.findings) finding.stage = ExamineStage::kStatic;
  bool native;
  const auto full = JudgeEnd(
      {.exit = {.signal = SIGSEGV}, .report = Report(CompilePhase::kSampling, claims)}, &native);
  EXPECT_EQ(full->findings.size(), kMaxFindings);
  EXPECT_EQ(full->findings[0].code, "VALIDATION_CRASHED");
}

TEST(CompileEndTest, ReportIsWrittenOverAndOverAgain) {
  const auto fd = *platform::CreateMemfd("report", 0);
  ExamineReport longer;
  longer.engine = std::string(100, 'x');
  ASSERT_TRUE(WriteCompileReport(fd.get(), CompilePhase::kChecking, longer).ok());
  ASSERT_TRUE(WriteCompileReport(fd.get(), CompilePhase::kDone, Faulty()).ok());
  EXPECT_EQ(Code(Exited(3, *platform::ReadFd(fd.get(), kMaxCompileReportBytes))), "MISSING_EXPORT");
}

}  // namespace
}  // namespace caxton::ipc
