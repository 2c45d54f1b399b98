// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "caxton/validation/validator.h"
#include "convert.h"

namespace caxton::api {
namespace {

using validation::StageOutcome;

v1::ValidationReport Wire(const validation::ValidationReport& report) {
  v1::ValidationReport wire;
  ToWire(report, &wire);
  return wire;
}

TEST(ConvertReport, NotesKeepTheirCodesAndTheDetailItsForm) {
  validation::ValidationReport report;
  report.stages.push_back({.stage = "resources", .outcome = StageOutcome::kPassed});
  auto& findings = report.stages[0].findings;
  findings.push_back({FindingSeverity::kNote, "RESOURCES", "deadline 200ms", "resources", ""});
  findings.push_back({FindingSeverity::kNote, "RECENT", "over 5 recent messages", "", ""});
  findings.push_back({FindingSeverity::kWarning, "MEMORY_TIGHT", "tight", "resources.memory", "f"});
  v1::ValidationReport::StageReport stage = Wire(report).stages(0);
  EXPECT_EQ(stage.detail(), "deadline 200ms; over 5 recent messages");
  EXPECT_EQ(stage.note(), "");
  ASSERT_EQ(stage.notes_size(), 2);
  EXPECT_EQ(stage.notes(0).reason(), "RESOURCES");
  EXPECT_EQ(stage.notes(0).place(), "resources");
  EXPECT_EQ(stage.notes(1).message(), "over 5 recent messages");
  ASSERT_EQ(stage.findings_size(), 1);
  EXPECT_EQ(stage.findings(0).message(), "resources.memory: tight");
  EXPECT_EQ(stage.findings(0).place(), "resources.memory");
  report.stages[0].note = "compared";
  stage = Wire(report).stages(0);
  EXPECT_EQ(stage.note(), "compared");
  EXPECT_EQ(stage.detail(), "compared; deadline 200ms; over 5 recent messages");
}

TEST(ConvertReport, WhomItSendsToIsGroupedByReceiver) {
  validation::ValidationReport report;
  report.traits.reused_instances = true;
  report.traits.sends = {
      {"a", Performative::kRequest}, {"a", Performative::kInform}, {"b", Performative::kQuery}};
  const v1::ValidationReport::Manifest manifest = Wire(report).manifest();
  EXPECT_EQ(manifest.instance(), "reused");
  EXPECT_EQ(manifest.determinism(), "not tried");
  ASSERT_EQ(manifest.sends_to_size(), 2);
  EXPECT_EQ(manifest.sends_to(0).to(), "a");
  ASSERT_EQ(manifest.sends_to(0).performatives_size(), 2);
  EXPECT_EQ(manifest.sends_to(0).performatives(1), v1::INFORM);
  EXPECT_EQ(manifest.sends_to(1).performatives(0), v1::QUERY);
}

TEST(ConvertReport, NumbersOfTheChildNeverBecomeNegative) {
  validation::ValidationReport report;
  report.stats.samples = std::numeric_limits<uint32_t>::max();
  report.stats.max_fuel = std::numeric_limits<uint64_t>::max();
  report.stats.max_step_ns = -1;
  const v1::ValidationReport::Stats stats = Wire(report).stats();
  EXPECT_EQ(stats.samples(), std::numeric_limits<int32_t>::max());
  EXPECT_EQ(stats.max_fuel(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(stats.max_step().seconds(), 0);
  EXPECT_EQ(stats.max_step().nanos(), 0);
  EXPECT_FALSE(stats.has_init()) << "it was not initialized";
}

}  // namespace
}  // namespace caxton::api
