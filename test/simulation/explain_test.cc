// SPDX-License-Identifier: Apache-2.0
//
// Every verdict is made again from the journal: of the same kind and in the same words, whatever
// evidence came after it, and not if a row of it was changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"
#include "caxton/journal/records.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using deployment::VerdictKind;
using deployment::VerdictMoment;
using journal::Table;
using supervisor::testing::EchoScript;
using supervisor::testing::ScriptedStep;
using ::testing::HasSubstr;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kMinute = 60 * kSecond;

// Traps on every `n`th message, by its content; once only, or also when it is run again.
supervisor::testing::Script Traps(int n, bool once) {
  auto seen = std::make_shared<std::set<std::string>>();
  return [=](const Revision&, const StepInput&, const Envelope& envelope) {
    ScriptedStep step;
    step.result.reply = Reply{Performative::kInform, envelope.content};
    if (std::stoi(envelope.content) % n == 0 && (!once || seen->insert(envelope.content).second)) {
      step.result = StepResult{.outcome = StepOutcome::kTrapped, .detail = "unreachable"};
    }
    return step;
  };
}

class Explanations : public ::testing::Test {
 protected:
  Explanations() { good_ = server_.AddModule("good", EchoScript()); }

  void Serve(const Digest& module) {
    DeployRequest request = SimServer::Direct("agent", module);
    request.spec.cleanup_ns = 0;
    ASSERT_TRUE(server_.Deploy(request).ok());
    ASSERT_TRUE(server_.Await("agent", DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
  }
  void Start(DeployRequest request) {
    ASSERT_TRUE(server_.Deploy(std::move(request)).ok());
    server_.world.RunFor(kSecond);
  }
  void Load(int messages, int a_second = 20) {
    for (int i = 0; i < messages; ++i) {
      ++sent_;
      server_.Send(SimServer::To("agent", StrCat(sent_), StrCat("key-", sent_ % 97)));
      server_.world.RunFor(kSecond / a_second);
    }
  }
  // Sends until it is in `state`.
  bool LoadUntil(DeploymentState state, int limit_s) {
    for (int i = 0; i < limit_s && Status().state != state; ++i) Load(20);
    return Status().state == state;
  }
  deployment::DeploymentStatus Status() { return server_.Get("agent")->status; }
  Explanation Explain() {
    auto got = server_.Ask<Explanation>(
        [&](Done<Explanation> done) { server_.controller->Explain("agent", std::move(done)); });
    EXPECT_TRUE(got.ok()) << got.status();
    return got.ok() ? *got : Explanation{};
  }
  Explanation ExpectMadeAgain(VerdictKind kind) {
    Explanation got = Explain();
    const deployment::Verdict& recorded = got.view.status.verdict;
    EXPECT_EQ(recorded.kind, kind) << recorded.text;
    EXPECT_FALSE(recorded.text.empty());
    EXPECT_EQ(got.recomputed.kind, kind) << got.recomputed.text;
    EXPECT_EQ(got.recomputed.text, recorded.text);
    EXPECT_TRUE(got.matches);
    return got;
  }
  void ExpectMadeAgainAlsoAfterARestart(VerdictKind kind) {
    ExpectMadeAgain(kind);
    for (const CrashKind crash : {CrashKind::kKill, CrashKind::kPowerCut}) {
      server_.Crash(crash);
      server_.Start();
      server_.world.RunFor(kSecond);
      ExpectMadeAgain(kind);
    }
  }
  int64_t Rows() { return static_cast<int64_t>(server_.store.rows(Table::kEvidence)); }
  // The newest deployment's evidence, from the first row on that `change` takes for its own.
  void Tamper(const std::function<bool(Observation*)>& change) {
    journal::RowBatch batch;
    const std::string prefix = journal::DeploymentKey(Status().id);
    ASSERT_TRUE(server_.store
                    .Scan(Table::kEvidence, prefix, journal::PrefixEnd(prefix),
                          [&](std::string_view key, std::string_view value) {
                            Observation row = *DecodeObservation(value);
                            if (!change(&row)) return true;
                            std::string bytes;
                            EncodeObservation(row, &bytes);
                            batch.Put(Table::kEvidence, std::string(key), std::move(bytes));
                            return false;
                          })
                    .ok());
    ASSERT_FALSE(batch.empty());
    ASSERT_TRUE(server_.store.Write(batch, journal::Sync::kYes).ok());
  }
  static bool FailInstead(Observation* row) {
    if (row->arm != Arm::kCandidate || row->verdict != RunVerdict::kGood) return false;
    row->verdict = RunVerdict::kBad;
    return true;
  }
  static bool SucceedInstead(Observation* row) {
    if (row->arm != Arm::kCandidate || row->verdict != RunVerdict::kBad) return false;
    row->verdict = RunVerdict::kGood;
    return true;
  }

  SimServer server_;
  Digest good_;
  int sent_ = 0;
};

TEST_F(Explanations, Successful) {
  Serve(good_);
  Start(SimServer::Canary("agent", server_.AddModule("better", EchoScript()), "20:1m,50:1m",
                          "error_rate > 5%, p99_latency > 100ms"));
  EXPECT_EQ(Explain().recomputed.kind, VerdictKind::kNone);
  EXPECT_TRUE(Explain().matches) << "nothing is decided yet, and nothing would be";
  ASSERT_TRUE(LoadUntil(DeploymentState::kRunning, 140));
  const Explanation at_once = ExpectMadeAgain(VerdictKind::kSuccessful);
  EXPECT_THAT(at_once.recomputed.text, HasSubstr("first runs failed at 50%"));
  Load(400);  // in its cleanup window
  EXPECT_GT(Rows(), at_once.evidence + 300);
  const Explanation later = ExpectMadeAgain(VerdictKind::kSuccessful);
  EXPECT_EQ(later.evidence, at_once.evidence) << "what came afterwards did not make it";
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kSuccessful);
  Tamper(FailInstead);
  EXPECT_TRUE(Explain().matches) << "the report is of the last stage's runs; this one is older";
  Tamper([](Observation* row) { return row->weight_ppm == 500'000 && FailInstead(row); });
  EXPECT_FALSE(Explain().matches);
  EXPECT_EQ(Explain().recomputed.kind, VerdictKind::kSuccessful) << "in other words";
}

TEST_F(Explanations, SuccessfulStageThatWaitsForPromote) {
  Serve(good_);
  DeployRequest request = SimServer::Canary("agent", server_.AddModule("better", EchoScript()),
                                            "50:1m,80:1m", "error_rate > 5%");
  request.spec.stages[0].pause = true;
  Start(std::move(request));
  Load(1300);
  ASSERT_EQ(Status().paused, deployment::PauseReason::kStageEnd);
  Load(300);
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kSuccessful);
}

TEST_F(Explanations, Inconclusive) {
  Serve(good_);
  Start(SimServer::Canary("agent", server_.AddModule("better", EchoScript()), "50:1m",
                          "error_rate > 5%"));
  Load(60);
  server_.world.RunFor(2 * kMinute);  // its time, and all of its extension
  ASSERT_EQ(Status().paused, deployment::PauseReason::kInconclusive);
  const Explanation at_once = ExpectMadeAgain(VerdictKind::kInconclusive);
  EXPECT_EQ(at_once.evidence, 60);
  EXPECT_THAT(at_once.recomputed.text, HasSubstr("100 runs are needed to decide"));
  Load(400);  // enough by now, but not then
  EXPECT_EQ(Rows(), 460);
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kInconclusive);
}

TEST_F(Explanations, InconclusiveFromNoMessages) {
  Serve(good_);
  Start(SimServer::Canary("agent", server_.AddModule("better", EchoScript()), "50:1m",
                          "error_rate > 5%"));
  server_.world.RunFor(2 * kMinute);
  EXPECT_EQ(ExpectMadeAgain(VerdictKind::kInconclusive).evidence, 0);
  Load(400);
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kInconclusive);
}

TEST_F(Explanations, PromotedEarly) {
  Serve(server_.AddModule("stumbles", Traps(20, /*once=*/true)));
  DeployRequest request = SimServer::Canary("agent", server_.AddModule("better", EchoScript()),
                                            "50:60m", "error_rate > 5%");
  request.spec.promote = PromoteWhen::kEarly;
  Start(std::move(request));
  ASSERT_TRUE(LoadUntil(DeploymentState::kRunning, 600));
  EXPECT_EQ(Status().verdict.basis.moment, VerdictMoment::kEarly);
  EXPECT_THAT(Status().verdict.text, HasSubstr("times stable's rate"));
  Load(400);
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kSuccessful);
  // One failure less on stable, and it would not have been promoted then.
  Tamper([](Observation* row) {
    if (row->arm != Arm::kStable || row->verdict != RunVerdict::kBad) return false;
    row->verdict = RunVerdict::kGood;
    return true;
  });
  EXPECT_FALSE(Explain().matches);
  EXPECT_EQ(Explain().recomputed.kind, VerdictKind::kNone);
}

TEST_F(Explanations, Failed) {
  Serve(good_);
  Start(SimServer::Canary("agent", server_.AddModule("bad", Traps(5, false)), "20:5m",
                          "error_rate > 1%"));
  ASSERT_TRUE(LoadUntil(DeploymentState::kRolledBack, 60));
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kFailed);
  Tamper(SucceedInstead);
  const Explanation tampered = Explain();
  EXPECT_FALSE(tampered.matches);
  EXPECT_EQ(tampered.view.status.verdict.kind, VerdictKind::kFailed) << "on record as before";
}

// By a second that no later message closed.
TEST_F(Explanations, FailedInAQuietSecond) {
  Serve(good_);
  Start(SimServer::Canary("agent", server_.AddModule("slow", EchoScript(300 * kNanosPerMilli)),
                          "80:30m", "p99_latency > 100ms"));
  for (int i = 0; i < 60 && Status().state != DeploymentState::kRolledBack; ++i) {
    Load(2, 2);
    server_.world.RunFor(5 * kSecond);
  }
  ASSERT_EQ(Status().state, DeploymentState::kRolledBack);
  EXPECT_THAT(Status().verdict.text, HasSubstr("p99_latency"));
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kFailed);
}

TEST_F(Explanations, OfTheCleanupWindow) {
  Serve(good_);
  DeployRequest request = SimServer::Direct("agent", server_.AddModule("better", EchoScript()));
  request.spec.rollback_on = {*ParseCondition("error_rate > 5%")};
  request.spec.cleanup_ns = kMinute;
  Start(std::move(request));
  EXPECT_EQ(Explain().recomputed.kind, VerdictKind::kNone);
  Load(1300);
  ASSERT_TRUE(Status().finalized);
  EXPECT_THAT(ExpectMadeAgain(VerdictKind::kSuccessful).recomputed.text, HasSubstr("at 100%"));
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kSuccessful);

  request = SimServer::Direct("agent", server_.AddModule("bad", Traps(5, false)));
  request.spec.rollback_on = {*ParseCondition("error_rate > 5%")};
  Start(std::move(request));
  ASSERT_TRUE(LoadUntil(DeploymentState::kRolledBack, 60));
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kFailed);
}

// A failure in the cleanup window takes the place of the stage's success.
TEST_F(Explanations, FailedAfterItsStagesPassed) {
  Serve(good_);
  auto fails = std::make_shared<bool>(false);
  const Digest turns = server_.AddModule("turns", [fails](auto&, auto&, const Envelope& envelope) {
    ScriptedStep step;
    step.result.reply = Reply{Performative::kInform, envelope.content};
    if (*fails) step.result = StepResult{.outcome = StepOutcome::kTrapped, .detail = "later"};
    return step;
  });
  Start(SimServer::Canary("agent", turns, "50:1m", "error_rate > 5%"));
  ASSERT_TRUE(LoadUntil(DeploymentState::kRunning, 80));
  ExpectMadeAgain(VerdictKind::kSuccessful);
  *fails = true;
  ASSERT_TRUE(LoadUntil(DeploymentState::kRolledBack, 60));
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kFailed);
}

// No message has reached the candidate while it waited: that is no success.
TEST_F(Explanations, APreviewIsNoVerdict) {
  Serve(good_);
  DeployRequest request = SimServer::Direct("agent", server_.AddModule("better", EchoScript()));
  request.spec.strategy = Strategy::kBlueGreen;
  request.spec.rollback_on = {*ParseCondition("error_rate > 5%")};
  request.spec.cleanup_ns = kMinute;
  request.spec.stages = {{.kind = StageKind::kWarmUp, .duration_ns = kMinute, .hold = true},
                         {.kind = StageKind::kSwitch}};
  Start(std::move(request));
  Load(1250);
  ASSERT_EQ(Status().state, DeploymentState::kRunning);
  EXPECT_EQ(Status().verdict.kind, VerdictKind::kNone) << Status().verdict.text;
  EXPECT_TRUE(Explain().matches);
  Load(1300);
  ASSERT_TRUE(Status().finalized);
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kSuccessful);
}

TEST_F(Explanations, ARowThatIsMissingIsNoticed) {
  Serve(good_);
  Start(SimServer::Canary("agent", server_.AddModule("better", EchoScript()), "50:1m",
                          "error_rate > 5%"));
  Load(10);
  server_.world.RunFor(2 * kMinute);
  ASSERT_EQ(ExpectMadeAgain(VerdictKind::kInconclusive).evidence, 10);
  journal::RowBatch batch;
  batch.Delete(Table::kEvidence, journal::EvidenceKey(Status().id, 1));
  ASSERT_TRUE(server_.store.Write(batch, journal::Sync::kYes).ok());
  EXPECT_FALSE(Explain().matches);
}

// `deployment show` of one that has ended: the numbers are computed again when they are asked for.
TEST_F(Explanations, NumbersOfAnEndedDeploymentSurviveARestart) {
  for (const bool good : {true, false}) {
    SCOPED_TRACE(good);
    Serve(good_);
    DeployRequest request = SimServer::Canary(
        "agent", server_.AddModule(StrCat("next ", good), good ? EchoScript() : Traps(5, false)),
        "20:1m,50:1m", "error_rate > 5%, p99_latency > 100ms");
    request.spec.cleanup_ns = kMinute;
    Start(std::move(request));
    Load(200 * 20);
    ASSERT_EQ(Status().state, good ? DeploymentState::kRunning : DeploymentState::kRolledBack);
    const auto before = server_.Get("agent")->numbers;
    ASSERT_TRUE(before.has_value());
    server_.Crash();
    server_.Start();
    server_.world.RunFor(kSecond);
    const auto after = server_.Get("agent")->numbers;
    ASSERT_TRUE(after.has_value());
    EXPECT_EQ(after->candidate.runs, before->candidate.runs);
    EXPECT_EQ(after->candidate.bad, before->candidate.bad);
    EXPECT_EQ(after->candidate.p99_ns, before->candidate.p99_ns);
    EXPECT_EQ(after->stable.runs, before->stable.runs);
    ASSERT_EQ(after->tests.size(), 3u);
    for (size_t i = 0; i < 3; ++i) EXPECT_EQ(after->tests[i].fired, before->tests[i].fired);
    EXPECT_EQ(after->by_weight.size(), before->by_weight.size());
    EXPECT_TRUE(server_.Get("agent")->numbers.has_value()) << "asked again";
  }
}

class ShadowExplanations : public Explanations {
 protected:
  void Shadow(const Digest& module, const std::string& fail_on) {
    Serve(good_);
    DeployRequest request = SimServer::Direct("agent", module);
    request.spec.strategy = Strategy::kShadow;
    request.spec.shadow_duration_ns = kMinute;
    if (!fail_on.empty()) request.spec.shadow_fail_on = {*ParseCondition(fail_on)};
    Start(std::move(request));
  }
  // Its row, with one message more that was the same.
  void Tamper() {
    const deployment::DeploymentStatus status = Status();
    const std::string key = journal::DeploymentKey(status.id);
    auto kept = analysis::ShadowComparison::Decode(status.plan,
                                                   **server_.store.Get(Table::kComparisons, key));
    ASSERT_TRUE(kept.ok());
    const MirrorSide side{.outcome = StepOutcome::kHandled};
    kept->Observe({.live = side, .shadow = side});
    std::string bytes;
    kept->Encode(&bytes);
    journal::RowBatch batch;
    batch.Put(Table::kComparisons, key, std::move(bytes));
    ASSERT_TRUE(server_.store.Write(batch, journal::Sync::kYes).ok());
  }
};

TEST_F(ShadowExplanations, AtItsEnd) {
  Shadow(server_.AddModule("same", EchoScript()), "differs > 1%");
  ASSERT_TRUE(LoadUntil(DeploymentState::kDraining, 80));
  Load(20);
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kSuccessful);
  Tamper();
  EXPECT_FALSE(Explain().matches);
}

TEST_F(ShadowExplanations, WhenItFires) {
  Shadow(server_.AddModule("differs", Traps(2, false)), "differs > 10%");
  ASSERT_TRUE(LoadUntil(DeploymentState::kRolledBack, 60));
  Load(20);
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kFailed);
}

// Messages go on to be compared while the end's record is on its way to the disk.
TEST_F(ShadowExplanations, AtItsEndUnderADenseLoad) {
  Shadow(server_.AddModule("same", EchoScript()), "");
  Load(57 * 20);
  while (Status().state != DeploymentState::kDraining) Load(1000, 5000);
  Load(200, 5000);
  ExpectMadeAgainAlsoAfterARestart(VerdictKind::kSuccessful);
}

}  // namespace
}  // namespace caxton::controller::testing
