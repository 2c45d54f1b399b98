// SPDX-License-Identifier: Apache-2.0
#include "resources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/examine/limits.h"
#include "caxton/model/step.h"
#include "caxton/wasm/limits.h"

namespace caxton::examine {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kMiB = 1 << 20;
constexpr RequestedLimits kLimits{
    .memory_bytes = 64 << 20, .deadline_ns = kNanosPerSecond, .max_message_bytes = 1 << 20};

constexpr size_t kNotes = 2;  // what was measured, and what is recommended

MeasuredFigures Usual() {
  MeasuredFigures figures;
  figures.samples = 5;
  figures.handled = 4;
  figures.peak_memory = 4 * kMiB;
  figures.max_fuel = 100'000;
  figures.init_fuel = 50'000;
  figures.code_bytes = 200'000;
  figures.sends = 4;
  figures.max_sends = 1;
  figures.max_output_bytes = 100;
  figures.max_step_ns = kNanosPerMilli;
  return figures;
}

std::vector<Finding> Judge(const MeasuredFigures& figures,
                           const std::optional<KnownRevision>& live = std::nullopt) {
  Findings findings;
  JudgeResources(figures, kLimits, live, &findings);
  return findings.Take();
}

std::optional<KnownRevision> Live(const MeasuredFigures& figures) {
  KnownRevision live{"greeter", "greeter@1", {}};
  live.traits.figures = figures;
  return live;
}

TEST(ResourcesTest, UsualFiguresAreANote) {
  const auto found = Judge(Usual());
  ASSERT_EQ(found.size(), kNotes);
  EXPECT_EQ(found[0].severity, FindingSeverity::kNote);
  EXPECT_EQ(found[1].severity, FindingSeverity::kNote);
  EXPECT_EQ(found[1].code, kRecommended);
  EXPECT_EQ(found[1].message, "Recommended: --memory 8Mi, deadline 100ms");
  EXPECT_THAT(found[0].message, Not(HasSubstr("the live revision")));
}

struct Tight {
  const char* code;
  void (*use)(MeasuredFigures*, uint64_t percent);
  uint64_t percent;
};

constexpr Tight kTight[] = {
    {"MEMORY_TIGHT", [](MeasuredFigures* f, uint64_t p) { f->peak_memory = 64 * kMiB / 100 * p; },
     kTightMemoryPercent},
    {"DEADLINE_TIGHT",
     [](MeasuredFigures* f, uint64_t p) {
       f->max_step_ns = kNanosPerSecond / 100 * static_cast<int64_t>(p);
     },
     kTightDeadlinePercent},
    {"FUEL_TIGHT",
     [](MeasuredFigures* f, uint64_t p) { f->max_fuel = wasm::kFuelPerStep / 100 * p; },
     kTightPercent},
    {"SENDS_TIGHT",
     [](MeasuredFigures* f, uint64_t p) { f->max_sends = kMaxSendsPerStep * p / 100; },
     kTightPercent},
    {"OUTPUT_TIGHT", [](MeasuredFigures* f, uint64_t p) { f->max_output_bytes = kMiB / 100 * p; },
     kTightPercent},
};

TEST(ResourcesTest, EachLimitThatIsCloseIsToldWithARemedy) {
  for (const Tight& c : kTight) {
    MeasuredFigures figures = Usual();
    c.use(&figures, c.percent - 2);
    EXPECT_EQ(Judge(figures).size(), kNotes) << c.code;
    c.use(&figures, c.percent + 2);
    const auto found = Judge(figures);
    ASSERT_EQ(found.size(), kNotes + 1) << c.code;
    EXPECT_EQ(found[0].code, c.code);
    EXPECT_EQ(found[0].severity, FindingSeverity::kWarning);
    EXPECT_FALSE(found[0].fix.empty());
  }
}

std::vector<Finding> JudgedRecent(const MeasuredFigures& figures, uint32_t skipped = 0) {
  Findings findings;
  JudgeRecent({figures, skipped}, Usual(), kLimits, &findings);
  return findings.Take();
}

TEST(ResourcesTest, RecentMessagesAreWeighedAgainstEachLimitToo) {
  for (const Tight& c : kTight) {
    MeasuredFigures figures = Usual();
    c.use(&figures, c.percent - 2);
    EXPECT_EQ(JudgedRecent(figures).size(), kNotes) << c.code;
    c.use(&figures, c.percent + 2);
    const auto found = JudgedRecent(figures);
    ASSERT_EQ(found.size(), kNotes + 1) << c.code;
    EXPECT_EQ(found[0].code, std::string("RECENT_") + c.code);
    EXPECT_EQ(found[0].severity, FindingSeverity::kWarning) << "they fail no module";
    EXPECT_THAT(found[0].message, HasSubstr("recent message"));
    EXPECT_FALSE(found[0].fix.empty());
  }
}

TEST(ResourcesTest, WhatIsRecommendedFitsSamplesAndRecentMessages) {
  MeasuredFigures recent = Usual();
  EXPECT_EQ(JudgedRecent(recent).back().message, "Recommended: --memory 8Mi, deadline 100ms");
  recent.peak_memory = 55 * kMiB;
  auto found = JudgedRecent(recent);
  EXPECT_EQ(found[0].fix, "give it --memory 110Mi");
  EXPECT_EQ(found.back().message, "Recommended: --memory 110Mi, deadline 100ms");
  recent.peak_memory = kMiB;
  recent.max_step_ns = 20 * kNanosPerMilli;
  EXPECT_EQ(JudgedRecent(recent).back().message, "Recommended: --memory 8Mi, deadline 500ms");
  EXPECT_THAT(JudgedRecent(recent, 3)[0].message, HasSubstr("3 not run to the end"));
}

TEST(ResourcesTest, FiguresStandSideBySide) {
  MeasuredFigures now = Usual();
  now.peak_memory += kMiB;
  const auto found = Judge(now, Live(Usual()));
  ASSERT_EQ(found.size(), kNotes);
  EXPECT_THAT(found[0].message, HasSubstr("5242880 (live: 4194304) bytes of memory"));
  EXPECT_THAT(found[0].message, HasSubstr("100000 (live: 100000) instructions"));
}

TEST(ResourcesTest, FarAboveTheLiveRevisionIsAWarning) {
  MeasuredFigures at = Usual();
  at.peak_memory *= kFarAboveFactor;
  at.max_fuel *= kFarAboveFactor;
  at.init_fuel *= kFarAboveFactor;
  at.code_bytes *= kFarAboveFactor;
  at.max_sends = 2;
  EXPECT_EQ(Judge(at, Live(Usual())).size(), kNotes) << "at the factor";
  MeasuredFigures above = at;
  above.peak_memory += 1;
  above.max_fuel += 1;
  above.init_fuel += 1;
  above.code_bytes += 1;
  above.max_sends = 3;
  const auto found = Judge(above, Live(Usual()));
  ASSERT_EQ(found.size(), kNotes + 5);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(found[i].code, "FAR_ABOVE_LIVE");
    EXPECT_THAT(found[i].message, HasSubstr("the live revision took"));
    EXPECT_FALSE(found[i].fix.empty());
  }
  EXPECT_THAT(found[0].message, HasSubstr("8388609 bytes of memory"));
  EXPECT_THAT(found[0].message, HasSubstr("took 4194304"));
}

TEST(ResourcesTest, SmallDifferencesAreNoise) {
  MeasuredFigures was = Usual();
  was.peak_memory = 64 << 10;
  was.max_fuel = 100;
  was.init_fuel = 0;
  was.code_bytes = 1000;
  was.max_sends = 0;
  MeasuredFigures now = was;
  now.peak_memory = kMiB;
  now.max_fuel = kFuelNoise;
  now.init_fuel = kFuelNoise;
  now.code_bytes = kCodeNoiseBytes;
  now.max_sends = 1;
  EXPECT_EQ(Judge(now, Live(was)).size(), kNotes);
}

TEST(ResourcesTest, ALiveRevisionWithoutFiguresIsNotCompared) {
  const auto found = Judge(Usual(), Live({}));
  ASSERT_EQ(found.size(), kNotes);
  EXPECT_THAT(found[0].message, Not(HasSubstr("the live revision")));
}

}  // namespace
}  // namespace caxton::examine
