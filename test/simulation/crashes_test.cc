// SPDX-License-Identifier: Apache-2.0
//
// The server dies between any two tasks of any transition of every strategy: before its record is
// on the disk, between the record and its effects, in the middle of these. By kill and by power
// cut, under a steady load. Every deployment goes on at the same stage, weight, elapsed time and
// evidence, nothing acknowledged is lost and nothing applied twice (Life says how that is seen).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "caxton/base/strings.h"
#include "crash_scenarios.h"

namespace caxton::controller::testing {
namespace {

constexpr size_t kMostTasks = 200;  // of one instant

class Crashes : public ::testing::TestWithParam<size_t> {
 protected:
  Crashes() : scenario_(CrashScenarios()[GetParam()]) {
    Life life(scenario_);
    EXPECT_FALSE(life.ReachTransition(scenario_.path.size() + 1)) << "it goes on after its end";
    life.RunOut(life.Age());
    whole_ = std::move(life).Take();
  }
  void SetUp() override {
    std::vector<std::string> path;
    for (const Seen& seen : whole_.seen) {
      path.push_back(StrCat(seen.status.id.value(), " ", seen.event));
    }
    ASSERT_THAT(path, ::testing::ElementsAreArray(scenario_.path));
    ASSERT_THAT(whole_.end, ::testing::ElementsAreArray(scenario_.end));
    if (scenario_.within_ns == 0) return;
    ASSERT_LT(whole_.seen.back().at_ns, scenario_.within_ns) << "no stage was left early";
  }
  // Whether it is the first of its instant: those that follow are cut with it.
  bool LeadsItsInstant(size_t n) const {
    return n < 2 || whole_.seen[n - 1].at_ns != whole_.seen[n - 2].at_ns;
  }
  // Dies after `tasks` tasks of the `n`th transition; false: that was after its end.
  bool CutIn(size_t n, size_t tasks, CrashKind kind) {
    Life life(scenario_);
    if (!life.ReachTransition(n)) ADD_FAILURE() << "it comes to no such transition";
    for (size_t i = 0; i < tasks; ++i) life.RunTask();
    const bool inside = !life.IsOver(n);
    life.Crash(kind);
    for (size_t cut : life.cut_before()) before_.insert(cut);
    for (size_t cut : life.cut_after()) after_.insert(cut);
    life.RunOut(whole_.length_ns);
    life.CheckEnd(whole_);
    return inside;
  }

  const Scenario scenario_;
  Whole whole_;
  std::set<size_t> before_, after_;  // transitions that died before their record, or right after
};

TEST_P(Crashes, InEveryTransitionLoseNothing) {
  for (const CrashKind kind : {CrashKind::kKill, CrashKind::kPowerCut}) {
    for (size_t n = 0; n <= scenario_.path.size(); ++n) {
      if (!LeadsItsInstant(n)) continue;
      bool inside = true;
      for (size_t tasks = 0; inside; ++tasks) {
        ASSERT_LT(tasks, kMostTasks);
        SCOPED_TRACE(StrCat("transition ", n, " + ", tasks, " tasks, ",
                            kind == CrashKind::kKill ? "kill" : "power cut"));
        inside = CutIn(n, tasks, kind);
        if (HasFailure()) return;
      }
    }
    for (size_t n = 1; n <= scenario_.path.size(); ++n) {
      EXPECT_TRUE(before_.contains(n)) << scenario_.path[n - 1] << " never died before its record";
      EXPECT_TRUE(after_.contains(n)) << scenario_.path[n - 1] << " never died behind its record";
    }
    before_.clear();
    after_.clear();
  }
}

// The progress of a clock is a record, too, and so is what a shadow was compared by.
TEST_P(Crashes, InATickLoseNothing) {
  const auto prepared = std::find_if(whole_.seen.begin(), whole_.seen.end(),
                                     [](const Seen& seen) { return seen.event == "Prepared"; });
  if (prepared == whole_.seen.end()) GTEST_SKIP() << "it comes to no stage";
  const DeploymentId id = prepared->status.id;
  const auto next = std::find_if(prepared + 1, whole_.seen.end(),
                                 [id](const Seen& seen) { return seen.status.id == id; });
  ASSERT_TRUE(next != whole_.seen.end()) << "it ends somehow";
  const int64_t until_ns = next->at_ns;
  Life scout(scenario_);
  ASSERT_TRUE(scout.ReachTransition(0));
  while (scout.Progress(id) == 0 && scout.Age() < until_ns) scout.RunTask();
  const int64_t tick_ns = scout.Age();
  if (tick_ns >= until_ns) GTEST_SKIP() << "it does not last that long";
  for (const CrashKind kind : {CrashKind::kKill, CrashKind::kPowerCut}) {
    bool inside = true;
    std::set<int64_t> progress;
    for (size_t tasks = 0; inside; ++tasks) {
      ASSERT_LT(tasks, kMostTasks);
      SCOPED_TRACE(
          StrCat("tick + ", tasks, " tasks, ", kind == CrashKind::kKill ? "kill" : "power cut"));
      Life life(scenario_);
      ASSERT_TRUE(life.ReachTransition(0));
      life.ReachTime(tick_ns);
      for (size_t i = 0; i < tasks; ++i) life.RunTask();
      inside = life.Age() == tick_ns;
      life.Crash(kind);
      progress.insert(life.Progress(id));
      life.RunOut(whole_.length_ns);
      life.CheckEnd(whole_);
      if (HasFailure()) return;
    }
    EXPECT_EQ(progress.size(), 2u) << "it died before and after the record of its progress";
  }
}

INSTANTIATE_TEST_SUITE_P(Each, Crashes, ::testing::Range(size_t{0}, CrashScenarios().size()),
                         [](const auto& info) { return CrashScenarios()[info.param].name; });

}  // namespace
}  // namespace caxton::controller::testing
