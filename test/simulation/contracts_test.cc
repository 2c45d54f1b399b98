// SPDX-License-Identifier: Apache-2.0
//
// What the controller hands to validation to compare with, and who is on record for what was let
// through.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"
#include "caxton/deployment/limits.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using supervisor::testing::EchoScript;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kLimit = deployment::kDefaultValidateLimitNs;

class ContractsInSimulation : public ::testing::Test {
 protected:
  ContractsInSimulation() {
    for (int i = 0; i < 4; ++i) {
      modules_.push_back(server_.AddModule(StrCat("module ", i), EchoScript()));
    }
  }
  // Deploys and waits until the cleanup window is over.
  void Serve(const std::string& agent, size_t module) {
    DeployRequest request = SimServer::Direct(agent, modules_[module]);
    request.spec.cleanup_ns = 0;
    const auto made = server_.Deploy(request);
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_TRUE(server_.Await(agent, DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
  }
  void Sends(size_t module, const std::string& to) {
    ModuleTraits traits;
    traits.manifest = StrCat("manifest of module ", module);
    traits.sends = {{to, Performative::kRequest}};
    server_.validator->SetTraits(modules_[module], traits);
  }
  // Of the module's contracts, found by validation and let through.
  void Breaks(size_t module) {
    validation::ValidationReport report = validation::testing::MakeReport(modules_[module]);
    report.stages[2] = {.stage = "contracts", .outcome = validation::StageOutcome::kPassed};
    report.stages[2].findings = {
        {FindingSeverity::kWarning, "CONTRACT_BROKEN", "narrowed", "consumes/REQUEST/n", ""},
        {FindingSeverity::kWarning, "UNKNOWN_RECEIVER", "no such agent", "", ""},
        {FindingSeverity::kWarning, "CONTRACT_UNDECIDED", "a pattern", "produces/INFORM", ""}};
    server_.validator->SetReport(modules_[module], report);
  }
  const Surroundings& Last() { return server_.validator->last_surroundings(); }
  std::vector<std::string> Others() {
    std::vector<std::string> names;
    for (const KnownRevision& other : Last().others) names.push_back(other.name);
    return names;
  }
  deployment::DeploymentStatus Status(const std::string& target = "shop") {
    auto view = server_.Get(target);
    EXPECT_TRUE(view.ok()) << view.status();
    return view.ok() ? view->status : deployment::DeploymentStatus{};
  }

  SimServer server_;
  std::vector<Digest> modules_;
};

TEST_F(ContractsInSimulation, ARevisionIsComparedWithTheOneThatServes) {
  ModuleTraits traits;
  traits.manifest = "what its author wrote";
  traits.figures.peak_memory = 7;
  server_.validator->SetTraits(modules_[0], traits);
  Serve("shop", 0);
  EXPECT_TRUE(Last().on_server);
  EXPECT_FALSE(Last().live.has_value());
  // Also by a server that knows it from the journal only.
  server_.Crash(CrashKind::kPowerCut);
  server_.Start();
  server_.world.RunFor(kSecond);
  modules_[1] = server_.AddModule("module 1", EchoScript());  // nobody named it: it was cleaned up
  Serve("shop", 1);
  ASSERT_TRUE(Last().live.has_value());
  EXPECT_EQ(Last().live->name, "shop@1");
  EXPECT_EQ(Last().live->traits, traits);
  EXPECT_FALSE(Last().allow_breaking);
  EXPECT_THAT(Others(), IsEmpty());
}

TEST_F(ContractsInSimulation, ACandidateOnTrialIsNotWhatServes) {
  Serve("shop", 0);
  auto made =
      server_.Deploy(SimServer::Canary("shop", modules_[1], "10:1m,50:1m", "error_rate > 1%"));
  ASSERT_TRUE(made.ok());
  server_.world.RunFor(kSecond);
  DeployRequest dry = SimServer::Direct("shop", modules_[2]);
  dry.validate_only = true;
  ASSERT_TRUE(server_.Deploy(dry).ok());
  EXPECT_EQ(Last().live->name, "shop@1");
}

TEST_F(ContractsInSimulation, ReceiversThatTheSandboxShowsAreComparedInASecondRun) {
  Serve("billing", 0);
  Serve("other", 1);
  Sends(2, "billing");
  const int before = server_.validator->validated();
  Serve("shop", 2);
  EXPECT_EQ(server_.validator->validated(), before + 2);
  EXPECT_THAT(Others(), ElementsAre("billing@1"));
  // The next one is known to send there.
  Sends(3, "billing");
  Serve("shop", 3);
  EXPECT_EQ(server_.validator->validated(), before + 3);
  EXPECT_THAT(Others(), ElementsAre("billing@1"));
  // And the receiver is compared with its sender.
  Serve("billing", 1);
  EXPECT_EQ(server_.validator->validated(), before + 4);
  EXPECT_THAT(Others(), ElementsAre("shop@2"));
  EXPECT_EQ(Last().others[0].traits.manifest, "manifest of module 3");
}

TEST_F(ContractsInSimulation, ARefusedModuleIsNotExaminedASecondTime) {
  Serve("billing", 0);
  validation::ValidationReport report = validation::testing::MakeReport(
      modules_[1], {{.code = "SAMPLE_FAILED", .message = "the fault that its author has to see"}});
  report.traits.sends = {{"billing", Performative::kRequest}};
  server_.validator->SetReport(modules_[1], report);
  const int before = server_.validator->validated();
  ASSERT_TRUE(server_.Deploy(SimServer::Direct("shop", modules_[1])).ok());
  ASSERT_TRUE(server_.Await("shop", DeploymentState::kFailed));
  EXPECT_EQ(server_.validator->validated(), before + 1);
  EXPECT_THAT(Status().error, HasSubstr("the fault that its author has to see"));
}

TEST_F(ContractsInSimulation, TheSecondRunHasTheTimeThatItNeeds) {
  Serve("billing", 0);
  Sends(1, "billing");
  DeployRequest request = SimServer::Direct("shop", modules_[1]);
  const int before = server_.validator->validated();
  // A short first run leaves it the rest, one of more than half of the limit all that it took.
  server_.validator->SetDelay(1 * kSecond);
  request.validate_only = true;
  ASSERT_TRUE(server_.Deploy(request).ok());
  EXPECT_EQ(server_.validator->last_limit_ns(), kLimit - 1 * kSecond);
  for (const int64_t took : {kLimit / 2 + kSecond, kLimit}) {
    server_.validator->SetDelay(took);
    const auto dry = server_.Deploy(request);
    ASSERT_TRUE(dry.ok()) << dry.status();
    EXPECT_TRUE(dry->validation->ok()) << dry->validation->Summary();
    EXPECT_EQ(server_.validator->last_limit_ns(), kLimit);
  }
  EXPECT_EQ(server_.validator->validated(), before + 6);
}

TEST_F(ContractsInSimulation, AFirstRunFromWhatIsKeptTakesNothingOfTheSecond) {
  Serve("billing", 0);
  validation::ValidationReport report = validation::testing::MakeReport(modules_[1]);
  report.stages[0].duration_ns = 16 * kSecond;  // when it was made
  report.cached = true;
  report.traits.sends = {{"billing", Performative::kRequest}};
  server_.validator->SetReport(modules_[1], report);
  DeployRequest request = SimServer::Direct("shop", modules_[1]);
  ASSERT_TRUE(server_.Deploy(request).ok());
  EXPECT_TRUE(server_.Await("shop", DeploymentState::kRunning));
  EXPECT_EQ(server_.validator->last_limit_ns(), kLimit);
}

TEST_F(ContractsInSimulation, AReceiverThatIsNotThereNeedsNoSecondRun) {
  Sends(0, "nobody");
  Serve("shop", 0);
  EXPECT_EQ(server_.validator->validated(), 1);
}

TEST_F(ContractsInSimulation, OtherAgentsAreBounded) {
  Sends(0, "shop");
  for (size_t i = 0; i < kMaxOtherAgents; ++i) Serve(StrCat("sender-", i), 0);
  Serve("shop", 1);
  EXPECT_EQ(Last().others.size(), kMaxOtherAgents);
  EXPECT_EQ(Last().left_out, 0u);
  Serve("sender-more", 0);
  Serve("shop", 2);
  EXPECT_EQ(Last().others.size(), kMaxOtherAgents);
  EXPECT_EQ(Last().left_out, 1u);
}

// Any number of agents may declare that they send to it; whom it sends to is compared all the same.
TEST_F(ContractsInSimulation, SendersKeepNoReceiverOut) {
  Serve("stock", 1);
  Sends(0, "shop");
  for (size_t i = 0; i <= kMaxOtherAgents; ++i) Serve(StrCat("aaa-", i), 0);
  Sends(2, "stock");
  const int before = server_.validator->validated();
  Serve("shop", 2);  // shows its receiver in the sandbox only
  EXPECT_EQ(server_.validator->validated(), before + 2);
  ASSERT_EQ(Last().others.size(), kMaxOtherAgents);
  EXPECT_EQ(Last().others[0].name, "stock@1");
  EXPECT_EQ(Last().left_out, 2u);
}

TEST_F(ContractsInSimulation, WhoLetsThroughWhatIsOnRecord) {
  Serve("shop", 0);
  Breaks(1);
  DeployRequest request = SimServer::Direct("shop", modules_[1]);
  request.allow_breaking = true;
  request.requested_by = "ada";
  ASSERT_TRUE(server_.Deploy(request).ok());
  ASSERT_TRUE(server_.Await("shop", DeploymentState::kRunning));
  EXPECT_TRUE(Last().allow_breaking);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Status().allowed_by, "ada");
    EXPECT_THAT(Status().let_through, ElementsAre(HasSubstr("consumes/REQUEST/n: narrowed"),
                                                  HasSubstr("produces/INFORM: a pattern")));
    server_.Crash(CrashKind::kPowerCut);
    server_.Start();
    server_.world.RunFor(kSecond);
  }
}

TEST_F(ContractsInSimulation, ARecordOfManyIsBounded) {
  validation::ValidationReport report = validation::testing::MakeReport(modules_[0]);
  report.stages[2] = {.stage = "contracts", .outcome = validation::StageOutcome::kPassed};
  report.stages[2].findings.assign(kMaxFindings, {FindingSeverity::kWarning, "CONTRACT_BROKEN",
                                                  std::string(5'000, 'x'), "", ""});
  server_.validator->SetReport(modules_[0], report);
  DeployRequest request = SimServer::Direct("shop", modules_[0]);
  request.allow_breaking = true;
  request.requested_by = "ada";
  ASSERT_TRUE(server_.Deploy(request).ok());
  ASSERT_TRUE(server_.Await("shop", DeploymentState::kRunning));
  ASSERT_EQ(Status().let_through.size(), deployment::kMaxLetThrough);
  EXPECT_LE(Status().let_through[0].size(), deployment::kMaxLetThroughBytes);
  EXPECT_THAT(Status().let_through.back(), HasSubstr("and more"));
}

TEST_F(ContractsInSimulation, ARetryKeepsThePermission) {
  Serve("shop", 0);
  server_.validator->Reject(modules_[1], "NOT_WASM", "it is not a module");
  DeployRequest request = SimServer::Direct("shop", modules_[1]);
  request.allow_breaking = true;
  request.requested_by = "ada";
  ASSERT_TRUE(server_.Deploy(request).ok());
  ASSERT_TRUE(server_.Await("shop", DeploymentState::kFailed));
  Breaks(1);
  ASSERT_TRUE(server_
                  .Ask<DeployOutcome>([&](Done<DeployOutcome> done) {
                    server_.controller->Retry("shop", {}, std::move(done));
                  })
                  .ok());
  ASSERT_TRUE(server_.Await("shop", DeploymentState::kRunning));
  EXPECT_EQ(Status().allowed_by, "ada");
  EXPECT_EQ(Status().let_through.size(), 2u);
}

TEST_F(ContractsInSimulation, ARollbackIsNeverKeptBackByContracts) {
  Serve("shop", 0);
  Serve("shop", 1);
  ASSERT_TRUE(server_.Rollback({.target = "shop"}).ok());
  EXPECT_TRUE(Last().allow_breaking);
  EXPECT_EQ(Last().live->name, "shop@2");
  EXPECT_EQ(Status().allowed_by, "rollback");
}

// Whoever is examined last knows the others' new revisions, whatever the order.
TEST_F(ContractsInSimulation, AgentsOfOneSwitchAreComparedWithEachOthersNewRevisions) {
  Sends(0, "billing");
  Serve("billing", 1);
  Serve("shop", 0);
  Sends(2, "billing");
  auto made = server_.Group(
      {SimServer::Direct("shop", modules_[2]), SimServer::Direct("billing", modules_[3])});
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(server_.Await("billing", DeploymentState::kRunning));
  EXPECT_EQ(Last().live->name, "billing@1") << "billing's second examination is the last";
  EXPECT_THAT(Others(), ElementsAre("shop@2"));
  EXPECT_TRUE(Last().others[0].together);
  EXPECT_EQ(Last().others[0].traits.manifest, "manifest of module 2");
  EXPECT_EQ(Last().others[0].replaced->manifest, "manifest of module 0");
  EXPECT_THAT(Last().together, IsEmpty());
  EXPECT_EQ(server_.validator->validated(), 3 + 3);
}

TEST_F(ContractsInSimulation, WhoIsExaminedBesideAnotherMemberIsExaminedAgain) {
  // Both are examined at the same time: neither knows the other's new revision.
  server_.validator->SetDelay(10 * kSecond);
  Sends(1, "shop");
  auto made = server_.Group(
      {SimServer::Direct("shop", modules_[0]), SimServer::Direct("billing", modules_[1])});
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(server_.Await("billing", DeploymentState::kRunning));
  EXPECT_THAT(Others(), ElementsAre("shop@1"));
  EXPECT_FALSE(Last().others[0].replaced.has_value()) << "it serves nothing yet";
  EXPECT_EQ(server_.validator->validated(), 3);
}

TEST_F(ContractsInSimulation, MembersThatHaveNothingToDoWithEachOtherAreExaminedOnce) {
  auto made = server_.Group(
      {SimServer::Direct("shop", modules_[0]), SimServer::Direct("billing", modules_[1])});
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(server_.Await("billing", DeploymentState::kRunning));
  EXPECT_EQ(server_.validator->validated(), 2);
}

TEST_F(ContractsInSimulation, AMemberThatRestartedFindsTheOthersOnRecord) {
  server_.validator->SetDelay(10 * kSecond);
  Sends(1, "shop");
  ASSERT_TRUE(server_
                  .Group({SimServer::Direct("shop", modules_[0]),
                          SimServer::Direct("billing", modules_[1])})
                  .ok());
  // Shop is examined and on record as such, billing for the second time.
  server_.world.RunFor(15 * kSecond);
  EXPECT_EQ(server_.Get("shop")->status.state, DeploymentState::kDeploying);
  EXPECT_EQ(server_.Get("billing")->status.state, DeploymentState::kValidating);
  server_.Crash(CrashKind::kPowerCut);
  server_.Start();
  Sends(1, "shop");
  ASSERT_TRUE(server_.Await("billing", DeploymentState::kRunning));
  EXPECT_THAT(Others(), ElementsAre("shop@1"));
}

}  // namespace
}  // namespace caxton::controller::testing
