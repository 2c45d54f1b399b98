// SPDX-License-Identifier: Apache-2.0
#include "caxton/analysis/shadow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "caxton/analysis/limits.h"
#include "caxton/base/random.h"
#include "caxton/base/strings.h"
#include "shadow_diff.h"
#include "shadow_evidence.h"

namespace caxton::analysis {
namespace {

using deployment::DeploymentPlan;
using deployment::VerdictKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

DeploymentPlan ShadowPlan(const std::string& conditions = "", bool secondary = false) {
  DeploymentPlan plan;
  plan.strategy = Strategy::kShadow;
  if (!conditions.empty()) plan.conditions = *ParseConditions(conditions);
  plan.secondary = secondary;
  plan.stages.push_back({.min_samples = 1, .role = deployment::StageRole::kShadow});
  return plan;
}

MirrorSide Side(const std::string& content, double factor = 1) {
  MirrorSide side;
  side.reply = Reply{Performative::kInform, content};
  side.latency_ns = std::llround(1000 * factor);
  side.run_ns = std::llround(800 * factor);
  side.fuel = static_cast<uint64_t>(std::llround(10'000 * factor));
  side.memory_bytes = 65'536;
  return side;
}
MirroredStep Step(const std::string& live, const std::string& shadow) {
  MirroredStep step;
  step.message_id = "m";
  step.live = Side(live);
  step.shadow = Side(shadow);
  return step;
}
MirroredStep Step(const std::string& live, const std::string& shadow,
                  const std::string& secondary) {
  MirroredStep step = Step(live, shadow);
  step.secondary = Side(secondary);
  return step;
}
std::vector<std::string> Places(const ShadowReport& report) {
  std::vector<std::string> paths;
  for (const ShadowPlace& place : report.places) paths.push_back(place.path);
  return paths;
}

TEST(Shadow, CountsWhatDiffersAndWhere) {
  ShadowComparison comparison(ShadowPlan());
  for (int i = 0; i < 8; ++i) comparison.Observe(Step("{\"a\":1}", "{\"a\":1.0}"));
  for (int i = 0; i < 2; ++i) comparison.Observe(Step("{\"a\":1,\"b\":1}", "{\"a\":2,\"b\":1}"));
  comparison.Count(MirrorFate::kDropped, 5);
  comparison.Count(MirrorFate::kLost);
  comparison.Count(MirrorFate::kCompared, 9);
  const ShadowReport report = comparison.Report();
  EXPECT_EQ(report.compared, 10);
  EXPECT_EQ(report.equal, 8);
  EXPECT_EQ(report.differing, 2);
  EXPECT_EQ(report.dropped, 5);
  EXPECT_EQ(report.lost, 1);
  EXPECT_DOUBLE_EQ(report.equivalence_rate, 0.8);
  ASSERT_THAT(Places(report), ElementsAre("reply/content#/a"));
  EXPECT_EQ(report.places[0].count, 2);
  EXPECT_TRUE(report.places[0].significant);
  EXPECT_EQ(report.places[0].samples[0], (ShadowSample{"m", "1", "2"}));
  EXPECT_FALSE(comparison.Fired().has_value());
  EXPECT_TRUE(comparison.EndOfShadow().passed());
  EXPECT_THAT(comparison.EndOfShadow().text, HasSubstr("2 of 10 compared messages differ"));
}

TEST(Shadow, AnEndWithoutMessagesIsNoPass) {
  ShadowComparison comparison(ShadowPlan("differs > 1%"));
  comparison.Count(MirrorFate::kDropped, 3);
  EXPECT_FALSE(comparison.EndOfShadow().enough_samples);
  EXPECT_FALSE(comparison.EndOfShadow().passed());
  EXPECT_EQ(comparison.EndOfShadow().text, "no message was compared; 3 dropped");
  EXPECT_THAT(comparison.Report().places, IsEmpty());
}

TEST(Shadow, ComparesWhatItIsAskedTo) {
  DeploymentPlan plan = ShadowPlan();
  plan.compare = {.outputs = false, .performance = false, .resources = true};
  ShadowComparison comparison(plan);
  comparison.Observe(Step("a", "b"));
  MirroredStep trapped = Step("a", "a");
  trapped.shadow.outcome = StepOutcome::kTrapped;
  comparison.Observe(trapped);
  const ShadowReport report = comparison.Report();
  EXPECT_EQ(report.equal, 1);
  EXPECT_THAT(Places(report), ElementsAre("outcome"));
  EXPECT_EQ(report.shadow_to_live.latency.pairs, 0);
  EXPECT_EQ(report.shadow_to_live.fuel.pairs, 0);
  EXPECT_EQ(report.shadow_to_live.memory.pairs, 1);
}

TEST(Shadow, BoundsPlacesAndSamples) {
  ShadowComparison comparison(ShadowPlan());
  const int messages = static_cast<int>(kMaxShadowPlaces) + 50;
  for (int i = 0; i < messages; ++i) {
    comparison.Observe(Step("{}", StrCat("{\"", i, "\":1}")));
    comparison.Observe(Step("x", "y"));
  }
  const ShadowReport report = comparison.Report();
  EXPECT_THAT(report.places, SizeIs(kMaxShadowPlaces + 1));
  int64_t other = 0, bytes = 0;
  for (const ShadowPlace& place : report.places) {
    EXPECT_LE(place.samples.size(), kShadowSamples);
    if (place.path == "(other)") other = place.count;
    if (place.path == "reply/content") bytes = place.count;
  }
  EXPECT_EQ(other, 51);
  EXPECT_EQ(bytes, messages);
  EXPECT_EQ(report.differing, 2 * messages);
}

TEST(Shadow, WithASecondRunOfStableNoiseIsNoDifference) {
  ShadowComparison comparison(ShadowPlan("differs > 1%", /*secondary=*/true));
  SeededRandom random(1);
  // What everyone says is a coin's fall.
  const auto fall = [&random] { return StrCat("{\"coin\":", random.Below(2), "}"); };
  for (int i = 0; i < 2000; ++i) comparison.Observe(Step(fall(), fall(), fall()));
  const ShadowReport report = comparison.Report();
  ASSERT_THAT(Places(report), ElementsAre("reply/content#/coin"));
  EXPECT_GT(report.places[0].count, 800);
  EXPECT_GT(report.places[0].secondary_count, 800);
  EXPECT_FALSE(report.places[0].significant);
  EXPECT_GT(report.noisy, 300);
  EXPECT_EQ(report.equal + report.noisy + report.differing, 2000);
  EXPECT_FALSE(comparison.Fired().has_value());
}

TEST(Shadow, AndARealOneIsFoundInIt) {
  ShadowComparison comparison(ShadowPlan("differs > 1%", /*secondary=*/true));
  SeededRandom random(1);
  int messages = 0;
  while (!comparison.Fired().has_value() && ++messages < 2000) {
    const auto says = [&random](int n) {
      return StrCat("{\"coin\":", random.Below(2), ",\"n\":", n, "}");
    };
    comparison.Observe(Step(says(1), says(random.Below(4) == 0 ? 2 : 1), says(1)));
  }
  EXPECT_LT(messages, 500);
  const ShadowReport report = comparison.Report();
  EXPECT_EQ(report.places[0].path, "reply/content#/n");
  EXPECT_TRUE(report.places[0].significant);
  EXPECT_THAT(comparison.Fired()->text, HasSubstr("most at reply/content#/"));
}

TEST(Shadow, AMessageWithoutTheSecondRunThatWasAskedForIsLost) {
  ShadowComparison comparison(ShadowPlan("", /*secondary=*/true));
  comparison.Observe(Step("a", "b"));
  EXPECT_EQ(comparison.Report().lost, 1);
  EXPECT_EQ(comparison.Report().compared, 0);
}

TEST(Shadow, FalseAlarmsAreRarerThanAlpha) {
  int fired = 0, secondary_fired = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRandom random(seed);
    const auto one_in = [&random](uint64_t n) { return random.Below(n) == 0 ? "b" : "a"; };
    ShadowComparison plain(ShadowPlan("differs > 5%"));
    ShadowComparison paired(ShadowPlan("differs > 0%", /*secondary=*/true));
    for (int i = 0; i < 500; ++i) {
      plain.Observe(Step("a", one_in(20)));
      paired.Observe(Step("a", one_in(10), one_in(10)));
    }
    fired += plain.Fired().has_value();
    secondary_fired += paired.Fired().has_value();
  }
  EXPECT_LE(fired, 5);
  EXPECT_LE(secondary_fired, 5);
}

TEST(Shadow, FiresSoonWhenEverythingDiffers) {
  for (bool secondary : {false, true}) {
    ShadowComparison comparison(ShadowPlan("differs > 1%", secondary));
    int messages = 0;
    while (!comparison.Fired().has_value() && ++messages < 100) {
      comparison.Observe(secondary ? Step("a", "b", "a") : Step("a", "b"));
    }
    EXPECT_LT(messages, 20) << secondary;
    EXPECT_EQ(comparison.Fired()->kind, VerdictKind::kFailed);
    EXPECT_FALSE(comparison.EndOfShadow().within_limits);
  }
}

TEST(Shadow, NoDifferenceAtAllIsATripwire) {
  ShadowComparison comparison(ShadowPlan("differs > 0%"));
  for (int i = 0; i < 100; ++i) comparison.Observe(Step("a", "a"));
  EXPECT_FALSE(comparison.Fired().has_value());
  comparison.Observe(Step("a", "b"));
  EXPECT_TRUE(comparison.Fired().has_value());
}

TEST(Shadow, FuelRatioWaitsForEnoughPairsAndTellsWhatItTakes) {
  ShadowComparison comparison(ShadowPlan("fuel_ratio > 1.5"));
  MirroredStep step = Step("a", "a");
  step.shadow = Side("a", 2);
  for (int64_t i = 0; i < kShadowMinRatioPairs - 1; ++i) comparison.Observe(step);
  EXPECT_FALSE(comparison.Fired().has_value());
  EXPECT_FALSE(comparison.EndOfShadow().within_limits);
  comparison.Observe(step);
  ASSERT_TRUE(comparison.Fired().has_value());
  EXPECT_THAT(comparison.Fired()->text, HasSubstr("2 times stable's fuel"));
  const ShadowReport report = comparison.Report();
  EXPECT_EQ(report.shadow_to_live.fuel.pairs, kShadowMinRatioPairs);
  EXPECT_NEAR(report.shadow_to_live.fuel.mean, 2, 1e-9);
  EXPECT_NEAR(report.shadow_to_live.fuel.low, 2, 1e-6);
  EXPECT_NEAR(report.shadow_to_live.latency.mean, 2, 1e-9);
  EXPECT_NEAR(report.shadow_to_live.memory.mean, 1, 1e-9);
}

TEST(Shadow, ARatioExactlyAtItsLimitIsWithinIt) {
  for (int tenths = 2; tenths <= 60; ++tenths) {
    DeploymentPlan plan = ShadowPlan();
    plan.conditions = {{MetricKind::kFuelRatio, tenths / 10.0}};
    ShadowComparison comparison(plan);
    for (int i = 0; i < 300; ++i) {
      MirroredStep step = Step("a", "a");
      step.live.fuel = static_cast<uint64_t>(10 * (100 + i));
      step.shadow.fuel = static_cast<uint64_t>(tenths * (100 + i));
      comparison.Observe(step);
    }
    EXPECT_FALSE(comparison.Fired().has_value()) << tenths;
    EXPECT_TRUE(comparison.EndOfShadow().within_limits) << tenths;
  }
}

TEST(Shadow, FuelRatioOfStepsThatNobodyHandledDecidesNothing) {
  ShadowComparison comparison(ShadowPlan("fuel_ratio > 1.5"));
  MirroredStep step = Step("a", "a");
  step.live.outcome = step.shadow.outcome = StepOutcome::kTrapped;
  for (int i = 0; i < 500; ++i) comparison.Observe(step);
  EXPECT_FALSE(comparison.Fired().has_value());
  EXPECT_FALSE(comparison.EndOfShadow().enough_samples);
}

// Draws ln of a factor that is uniform in [-1, 1].
double Factor(SeededRandom& random) {
  return std::exp(static_cast<double>(random.Below(2'000'001)) / 1e6 - 1);
}

TEST(Shadow, AnIntervalCoversTheGeometricMean) {
  int covered = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRandom random(seed);
    RatioSum sum;
    for (int i = 0; i < 1000; ++i) sum.Add(1, Factor(random));
    const ShadowRatio ratio = sum.Estimate();
    covered += ratio.low <= 1 && 1 <= ratio.high;
  }
  EXPECT_GE(covered, 180);
}

TEST(Shadow, AnIntervalCoversTheRatioOfTotalsAndTheSequenceStaysBelowIt) {
  int covered = 0, above = 0, found = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SeededRandom random(seed);
    TotalsRatio same, dearer;
    bool crossed = false;
    for (int i = 0; i < 1000; ++i) {
      // Two runs that are not deterministic, and one of which one in 10 costs 20 times as much.
      const double first = Factor(random);
      const double second = Factor(random);
      same.Add(first, second);
      dearer.Add(first, random.Below(10) == 0 ? 20 * first : first);
      crossed |= same.pairs() >= kShadowMinRatioPairs && same.LowerBound(0.01) > 1;
    }
    const ShadowRatio ratio = same.Estimate();
    covered += ratio.low <= 1 && 1 <= ratio.high;
    above += crossed;
    found += dearer.LowerBound(0.01) > 1.2;
  }
  EXPECT_GE(covered, 180);
  EXPECT_LE(above, 4);
  EXPECT_GE(found, 190) << "it costs three times as much";
}

TEST(Shadow, EvidenceOfACoinIsFairUnlessItIsOneSided) {
  EXPECT_DOUBLE_EQ(CoinLogEvidence(0, 0), 0);
  EXPECT_LT(CoinLogEvidence(50, 50), 0);
  EXPECT_LT(CoinLogEvidence(0, 1'000'000), 0);
  EXPECT_GT(CoinLogEvidence(10, 0), std::log(100));
  // A martingale: what one expects next is what one has.
  const double next = 0.5 * (std::exp(CoinLogEvidence(4, 2)) + std::exp(CoinLogEvidence(3, 3)));
  EXPECT_NEAR(next, std::exp(CoinLogEvidence(3, 2)), 1e-9);
}

// ---- over a restart

ShadowComparison Busy(const DeploymentPlan& plan, uint64_t seed) {
  ShadowComparison comparison(plan);
  SeededRandom random(seed);
  for (int i = 0; i < 300; ++i) {
    const auto says = [&random] { return StrCat("{\"k", random.Below(9), "\":1}"); };
    comparison.Observe(Step(says(), says(), says()));
  }
  comparison.Count(MirrorFate::kLost, 3);
  return comparison;
}

TEST(Shadow, GoesOnWhereItsSnapshotWas) {
  const DeploymentPlan plan = ShadowPlan("differs > 1%, fuel_ratio > 3", /*secondary=*/true);
  ShadowComparison comparison = Busy(plan, 1);
  std::string bytes;
  comparison.Encode(&bytes);
  auto read = ShadowComparison::Decode(plan, bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(read->Report(), comparison.Report());
    EXPECT_EQ(read->Fired(), comparison.Fired());
    EXPECT_EQ(read->EndOfShadow(), comparison.EndOfShadow());
    const MirroredStep step = Step("a", i % 2 == 0 ? "b" : "a", "a");
    read->Observe(step);
    comparison.Observe(step);
  }
  ASSERT_TRUE(comparison.Fired().has_value());
  bytes.clear();
  comparison.Encode(&bytes);
  read = ShadowComparison::Decode(plan, bytes);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->Fired(), comparison.Fired());
  EXPECT_EQ(read->Refire(), comparison.Fired()) << "from the counts alone";
}

// So that the report is what decided, and the verdict can be made again from it.
TEST(Shadow, NothingIsComparedAfterItHasFired) {
  for (const char* fail_on : {"differs > 1%", "differs > 0%", "fuel_ratio > 1.5"}) {
    ShadowComparison comparison(ShadowPlan(fail_on));
    MirroredStep step = Step("a", "b");
    step.shadow = Side("b", 2);
    while (!comparison.Fired().has_value()) comparison.Observe(step);
    const ShadowReport report = comparison.Report();
    comparison.Observe(step);
    EXPECT_EQ(comparison.Report(), report) << fail_on;
    EXPECT_EQ(comparison.Refire(), comparison.Fired()) << fail_on;
  }
}

TEST(Shadow, ItsStateIsBounded) {
  ShadowComparison comparison(ShadowPlan());
  const std::string value(5000, 'v');
  for (int i = 0; i < 1000; ++i) {
    comparison.Observe(Step("{}", StrCat("{\"", i % 300, value, "\":\"", value, "\"}")));
  }
  std::string bytes;
  comparison.Encode(&bytes);
  EXPECT_LT(bytes.size(), size_t{256} << 10);
  EXPECT_TRUE(ShadowComparison::Decode(ShadowPlan(), bytes).ok());
}

// Members of one message that have no place of their own count once at "(other)", so that what is
// written can be read again and the test of that place stays fair.
TEST(Shadow, AMessageCountsOnceAtOtherPlaces) {
  const DeploymentPlan plan = ShadowPlan("differs > 1%", /*secondary=*/true);
  ShadowComparison comparison(plan);
  for (int i = 0; i < 40; ++i) {
    const auto says = [i](int value) {
      std::string text = "{";
      for (int k = 0; k < 20; ++k) {
        StrAppend(&text, k == 0 ? "" : ",", "\"", i, "_", k, "\":", value);
      }
      return text + "}";
    };
    comparison.Observe(Step(says(1), says(1), says(2)));
  }
  const ShadowReport report = comparison.Report();
  const auto other =
      std::find_if(report.places.begin(), report.places.end(),
                   [](const ShadowPlace& place) { return place.path == kOtherPlaces; });
  ASSERT_NE(other, report.places.end());
  EXPECT_GT(other->secondary_count, 30);
  EXPECT_LE(other->secondary_count, report.compared);
  EXPECT_EQ(other->secondary_only, other->secondary_count);
  std::string bytes;
  comparison.Encode(&bytes);
  auto read = ShadowComparison::Decode(plan, bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->Report(), report);
}

TEST(Shadow, RefusesWhatIsCutShortOrAnothers) {
  const DeploymentPlan plan = ShadowPlan("differs > 1%, fuel_ratio > 3", /*secondary=*/true);
  std::string bytes;
  Busy(plan, 2).Encode(&bytes);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ShadowComparison::Decode(plan, std::string_view(bytes).substr(0, size)).ok())
        << size;
  }
  EXPECT_FALSE(ShadowComparison::Decode(plan, bytes + "x").ok());
  EXPECT_FALSE(ShadowComparison::Decode(ShadowPlan("differs > 1%, fuel_ratio > 3"), bytes).ok());
  EXPECT_FALSE(ShadowComparison::Decode(ShadowPlan("differs > 1%", true), bytes).ok());
}

TEST(Shadow, ReadsAnythingWithoutHarm) {
  const DeploymentPlan plan = ShadowPlan("differs > 1%, fuel_ratio > 3", /*secondary=*/true);
  std::string bytes;
  Busy(plan, 3).Encode(&bytes);
  SeededRandom random(4);
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = bytes;
    for (uint64_t flips = 1 + random.Below(4); flips > 0; --flips) {
      bad[random.Below(bad.size())] = static_cast<char>(random.Below(256));
    }
    auto read = ShadowComparison::Decode(plan, bad);
    if (!read.ok()) continue;
    read->Observe(Step("a", "b", "a"));
    EXPECT_FALSE(read->EndOfShadow().text.empty());
    EXPECT_LE(read->Report().places.size(), kMaxShadowPlaces + 1);
    EXPECT_TRUE(std::isfinite(read->Report().shadow_to_live.fuel.mean));
  }
}

}  // namespace
}  // namespace caxton::analysis
