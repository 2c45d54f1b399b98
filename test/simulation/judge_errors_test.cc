// SPDX-License-Identifier: Apache-2.0
//
// A judge that cannot read what it is to judge by says Error: the deployment stops where it is,
// whatever `on_inconclusive` says, until a person decides; nothing is promoted or taken back for
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"
#include "caxton/journal/records.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using deployment::DeploymentStatus;
using deployment::PauseReason;
using deployment::VerdictKind;
using supervisor::testing::EchoScript;
using ::testing::HasSubstr;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr DeploymentId kCandidate(2);

class JudgeErrors : public ::testing::Test {
 protected:
  JudgeErrors() {
    two_ = server_.AddModule("two", EchoScript());
    DeployRequest first = SimServer::Direct("agent", server_.AddModule("one", EchoScript()));
    first.spec.cleanup_ns = 0;
    EXPECT_TRUE(server_.Deploy(first).ok());
    EXPECT_TRUE(server_.Await("agent", DeploymentState::kRunning));
  }
  void Canary(OnInconclusive on_inconclusive = OnInconclusive::kPause) {
    DeployRequest request = SimServer::Canary("agent", two_, "20:30s", "error_rate > 1%");
    request.spec.stages[0].min_samples = 5;
    request.spec.on_inconclusive = on_inconclusive;
    request.spec.cleanup_ns = 30 * kSecond;
    ASSERT_TRUE(server_.Deploy(request).ok());
    server_.world.RunFor(kSecond);
  }
  void Shadow() {
    DeployRequest request = SimServer::Direct("agent", two_);
    request.spec.strategy = Strategy::kShadow;
    request.spec.shadow_duration_ns = 30 * kSecond;
    ASSERT_TRUE(server_.Deploy(request).ok());
    server_.world.RunFor(kSecond);
  }
  void Load(int seconds) {
    for (int i = 0; i < 20 * seconds; ++i) {
      const std::string key = StrCat("k", ++sent_ % 97);
      callers_.push_back(server_.Request(SimServer::To("agent", StrCat(sent_), key)));
      server_.world.RunFor(kSecond / 20);
    }
  }
  // As a disk does that has lost a row's bytes.
  void Damage(journal::Table table, const std::string& key) {
    journal::RowBatch batch;
    batch.Put(table, key, "what is this");
    ASSERT_TRUE(server_.store.Write(batch, journal::Sync::kYes).ok());
  }
  void Restart() {
    server_.Crash(CrashKind::kPowerCut);
    server_.Start();
    server_.world.RunFor(100 * kNanosPerMilli);
  }
  DeploymentStatus Status() { return server_.Get("dep-2")->status; }
  absl::Status Resume() {
    return server_
        .Ask<DeploymentView>([&](Done<DeploymentView> done) {
          server_.controller->Resume("dep-2", {}, std::move(done));
        })
        .status();
  }
  void ExpectStopped(const char* why) {
    const DeploymentStatus status = Status();
    EXPECT_EQ(status.state, DeploymentState::kDeploying);
    EXPECT_EQ(status.stage, 0u);
    EXPECT_EQ(status.paused, PauseReason::kJudgeError);
    EXPECT_EQ(status.verdict.kind, VerdictKind::kError);
    EXPECT_THAT(status.verdict.text, HasSubstr(why));
  }
  void ExpectAllAnswered() {
    server_.world.RunFor(kSecond);
    for (const auto& caller : callers_) EXPECT_TRUE(caller->ok());
    EXPECT_EQ(server_.CheckCounters(), "");
  }

  SimServer server_;
  Digest two_;
  int sent_ = 0;
  std::vector<std::shared_ptr<Caller>> callers_;
};

TEST_F(JudgeErrors, UnreadableEvidenceStopsACanaryWhereItIs) {
  for (const OnInconclusive other : {OnInconclusive::kPromote, OnInconclusive::kRollback}) {
    SCOPED_TRACE(OnInconclusiveName(other));
    server_.store.FailReads(absl::DataLossError("a bad block"));
    Canary(other);
    server_.store.Heal();
    if (other == OnInconclusive::kPromote) {
      ExpectStopped("the evidence cannot be read: ");
      EXPECT_THAT(Status().verdict.text, HasSubstr("a bad block"));
      EXPECT_EQ(Status().WeightPpm(), 200'000u);
      Load(10);
      server_.world.RunFor(3'600 * kSecond);
      ExpectStopped("a bad block");
      Restart();
      ExpectStopped("a bad block");
      ASSERT_TRUE(server_
                      .Ask<DeploymentView>([&](Done<DeploymentView> done) {
                        server_.controller->Abort("dep-2", {}, std::move(done));
                      })
                      .ok());
    }
  }
  EXPECT_EQ(server_.Get("dep-3")->status.paused, PauseReason::kJudgeError);
  ExpectAllAnswered();
}

TEST_F(JudgeErrors, AResumedOneReadsItsEvidenceAgainAndGetsItsStageOnceMore) {
  server_.store.FailReads(absl::DataLossError("a bad block"));
  Canary();
  server_.store.Heal();
  Load(20);
  EXPECT_EQ(Status().stage_elapsed_ns, 0) << "its clock stands";
  const size_t rows = server_.store.rows(journal::Table::kEvidence);
  ASSERT_GT(rows, 0u);
  ASSERT_TRUE(Resume().ok());
  const DeploymentView view = *server_.Get("dep-2");
  EXPECT_EQ(view.status.paused, PauseReason::kNone);
  EXPECT_EQ(view.status.verdict.kind, VerdictKind::kNone);
  ASSERT_TRUE(view.numbers.has_value());
  EXPECT_EQ(view.numbers->stable.runs + view.numbers->candidate.runs, static_cast<int64_t>(rows));
  Load(29);
  EXPECT_EQ(Status().state, DeploymentState::kDeploying);
  Load(2);
  EXPECT_EQ(Status().state, DeploymentState::kRunning);
  ExpectAllAnswered();
}

TEST_F(JudgeErrors, WhatStaysUnreadableStopsItAgainAndAPersonMayDecide) {
  Canary();
  Load(3);
  Damage(journal::Table::kEvidence, journal::EvidenceKey(kCandidate, 2));
  Restart();
  ExpectStopped("the evidence cannot be read: ");
  EXPECT_TRUE(Resume().ok());
  server_.world.RunFor(kSecond);
  ExpectStopped("the evidence cannot be read: ");
  ASSERT_TRUE(server_
                  .Ask<DeploymentView>([&](Done<DeploymentView> done) {
                    server_.controller->Promote({"dep-2", "", true, {}}, std::move(done));
                  })
                  .ok());
  EXPECT_EQ(Status().state, DeploymentState::kRunning);
  Load(1);
  ExpectAllAnswered();
}

// There is no stage to stop in: it serves, its verdict says that nobody judged it to the end.
TEST_F(JudgeErrors, InTheWindowItIsOnRecordAndNothingMore) {
  Canary();
  Load(35);
  ASSERT_EQ(Status().state, DeploymentState::kRunning);
  Damage(journal::Table::kEvidence, journal::EvidenceKey(kCandidate, 2));
  Restart();
  EXPECT_EQ(Status().state, DeploymentState::kRunning);
  EXPECT_EQ(Status().verdict.kind, VerdictKind::kError);
  Load(40);
  EXPECT_EQ(Status().state, DeploymentState::kRunning);
  EXPECT_TRUE(Status().finalized);
  EXPECT_EQ(Status().verdict.kind, VerdictKind::kError);
  ExpectAllAnswered();
}

TEST_F(JudgeErrors, AnUnreadableComparisonStopsAShadow) {
  Shadow();
  Load(5);
  ASSERT_GT(server_.Get("dep-2")->shadow->compared, 0);
  Damage(journal::Table::kComparisons, journal::DeploymentKey(kCandidate));
  Restart();
  ExpectStopped("what the shadow showed before cannot be read: ");
  server_.world.RunFor(3'600 * kSecond);
  ExpectStopped("what the shadow showed before cannot be read: ");
  ASSERT_TRUE(Resume().ok());
  Load(35);
  EXPECT_EQ(Status().state, DeploymentState::kDraining);
  EXPECT_EQ(Status().verdict.kind, VerdictKind::kSuccessful);
  ExpectAllAnswered();
}

}  // namespace
}  // namespace caxton::controller::testing
