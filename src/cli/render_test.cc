// SPDX-License-Identifier: Apache-2.0
#include "render.h"

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/testing/fake_environment.h"
#include "caxton/v1/types.pb.h"
#include "exit_code.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/support/status.h"
#include "gtest/gtest.h"
#include "progress.h"
#include "report_text.h"
#include "rpc_status.h"

namespace caxton::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::Deployment Canary() {
  v1::Deployment deployment;
  deployment.set_deployment_id("dep-5");
  deployment.set_state(v1::DEPLOYING);
  deployment.set_strategy(v1::CANARY);
  deployment.set_revision("greeter@2");
  deployment.set_version("2.0.0");
  deployment.set_stable_revision("greeter@1");
  deployment.set_stage_name("canary 5%");
  deployment.set_weight_percent(5);
  deployment.set_observed_percent(4.83);
  SetDuration(60'000'000'000, deployment.mutable_stage_elapsed());
  SetDuration(240'000'000'000, deployment.mutable_stage_remaining());
  deployment.mutable_candidate()->set_revision("greeter@2");
  deployment.mutable_candidate()->set_count(120);
  deployment.mutable_candidate()->set_errors(1);
  deployment.mutable_candidate()->set_error_rate(1 / 120.0);
  SetDuration(3'200'000, deployment.mutable_candidate()->mutable_p99_latency());
  return deployment;
}

TEST(Durations, AreShort) {
  EXPECT_EQ(ShortDuration(850'000), "850us");
  EXPECT_EQ(ShortDuration(12'340'000), "12.3ms");
  EXPECT_EQ(ShortDuration(999'000'000), "999ms");
  EXPECT_EQ(ShortDuration(4'200'000'000), "4.2s");
  EXPECT_EQ(ShortDuration(70'000'000'000), "1m10s");
  EXPECT_EQ(ShortDuration(7'500'000'000'000), "2h05m");
}

TEST(Tables, AlignWithoutCountingColours) {
  Table table({"A", "B"});
  table.Row({Style(true).Good("ok"), "x"});
  table.Row({"longer", "y"});
  EXPECT_EQ(table.ToString(), "A       B\n\x1b[32mok\x1b[0m      x\nlonger  y\n");
}

TEST(Text, OfOthersCannotMoveTheCursor) {
  EXPECT_EQ(OneLine("a\x1b[2Jb\nc", 100), "a\\x1b[2Jb\\nc");
  EXPECT_EQ(OneLine("gr\xc3\xbc\xc3\x9f\xff\xc2\x9b", 100), "gr\xc3\xbc\xc3\x9f\\xff\\xc2\\x9b");
  EXPECT_EQ(OneLine("abcdef", 3), "abc...");
  EXPECT_EQ(OneLine("\x1b[31mred"), "\\x1b[31mred");  // without a limit nothing is cut
  EXPECT_EQ(OneLine("\n\n\n\n\n\n\n\nend"), "\\n\\n\\n\\n\\n\\n\\n\\nend");
}

TEST(Json, PrintsDefaultsAndYamlFollowsIt) {
  v1::Revision revision;
  revision.set_name("greeter@2");
  (*revision.mutable_settings())["a: b"] = "yes";
  const std::string json = ToJson(revision, false);
  EXPECT_THAT(json, HasSubstr("\"withdrawn\":false"));
  const std::string yaml = JsonToYaml(json);
  EXPECT_THAT(yaml, HasSubstr("name: greeter@2\n"));
  EXPECT_THAT(yaml, HasSubstr("settings:\n  \"a: b\": \"yes\"\n"));
  EXPECT_THAT(yaml, HasSubstr("capabilities: []\n"));
}

TEST(Progress, OneLineHasWeightCountsAndTimeLeft) {
  EXPECT_EQ(ProgressLine(Canary()),
            "dep-5 greeter@2: DEPLOYING, canary 5%, weight 5% (observed 4.83%), candidate n=120 "
            "errors=1 (0.83%) p99=3.2ms, 4m00s left");
}

TEST(Progress, ViewHasBothRevisions) {
  std::string view;
  for (const std::string& line : ProgressView(Canary(), Style(false))) view += line + "\n";
  EXPECT_THAT(view, HasSubstr("greeter@2 (2.0.0)  canary  DEPLOYING"));
  EXPECT_THAT(view, HasSubstr("[####--------------------] canary 5%  1m00s elapsed, 4m00s left"));
  EXPECT_THAT(view, HasSubstr("candidate  greeter@2"));
  EXPECT_THAT(view, HasSubstr("stable"));
}

TEST(Progress, NumbersAloneAreNoTransition) {
  v1::Deployment later = Canary();
  later.mutable_candidate()->set_count(500);
  EXPECT_EQ(TransitionKey(Canary()), TransitionKey(later));
  later.set_paused(true);
  EXPECT_NE(TransitionKey(Canary()), TransitionKey(later));
}

TEST(Outcome, MapsStatesToExitCodes) {
  v1::Deployment deployment = Canary();
  EXPECT_FALSE(Settled(deployment, false));
  deployment.set_paused(true);
  EXPECT_FALSE(Settled(deployment, false));
  deployment.set_inconclusive(true);
  EXPECT_TRUE(Settled(deployment, false));
  EXPECT_EQ(OutcomeOf(deployment), ExitCode::kInconclusive);
  deployment.set_inconclusive(false);
  deployment.set_state(v1::RUNNING);
  EXPECT_TRUE(Settled(deployment, false));
  EXPECT_FALSE(Settled(deployment, true));
  EXPECT_EQ(OutcomeOf(deployment), ExitCode::kDone);
  deployment.set_state(v1::ROLLED_BACK);
  EXPECT_EQ(OutcomeOf(deployment), ExitCode::kRolledBack);
  deployment.set_state(v1::FAILED);
  EXPECT_EQ(OutcomeOf(deployment), ExitCode::kFailed);
  deployment.mutable_validation()->set_passed(false);
  EXPECT_EQ(OutcomeOf(deployment), ExitCode::kRejected);
}

TEST(Outcome, AShadowThatRanItsTimeWasNotSuperseded) {
  v1::Deployment shadow = Canary();
  shadow.set_strategy(v1::SHADOW);
  shadow.set_state(v1::DRAINING);
  EXPECT_THAT(OutcomeLine(shadow), HasSubstr("was superseded or removed"));
  shadow.mutable_verdict()->set_kind(v1::Verdict::SUCCESSFUL);
  EXPECT_EQ(OutcomeLine(shadow),
            "greeter@2 (2.0.0) was a shadow for its full time: successful (dep-5)");
}

TEST(Progress, CountsNoStageBehindTheLast) {
  v1::Deployment deployment = Canary();
  deployment.mutable_spec()->add_stages();
  deployment.set_stage_index(0);
  EXPECT_THAT(DeploymentText(deployment, Style(false)), HasSubstr("(1/1)"));
  deployment.set_stage_index(1);
  deployment.set_stage_name("cleanup");
  EXPECT_THAT(DeploymentText(deployment, Style(false)), Not(HasSubstr("/1)")));
}

TEST(Outcome, AFailedReportIsShownOnce) {
  v1::Deployment deployment = Canary();
  deployment.set_state(v1::FAILED);
  auto* stage = deployment.mutable_validation()->add_stages();
  stage->set_ran(true);
  auto* finding = stage->add_findings();
  finding->set_error(true);
  finding->set_message("no memory");
  const std::string text = DeploymentText(deployment, Style(false));
  EXPECT_NE(text.find("no memory"), std::string::npos);
  EXPECT_EQ(text.find("no memory"), text.rfind("no memory")) << text;
  EXPECT_THAT(WhyNot(deployment), HasSubstr("no memory"));  // after a watch it is the only one
}

TEST(Report, NothingOfItIsCut) {
  v1::ValidationReport report;
  report.set_passed(true);
  report.set_engine("wasmtime 1.2");
  report.mutable_stats()->set_module_bytes(812);
  report.mutable_stats()->set_code_bytes(9216);
  report.mutable_stats()->set_samples(6);
  report.mutable_stats()->set_samples_handled(5);
  report.mutable_manifest()->set_determinism("no");
  auto* stage = report.add_stages();
  stage->set_stage("resources");
  stage->set_ran(true);
  stage->set_passed(true);
  stage->set_note("compared with " + std::string(300, 'a'));
  stage->set_detail("all of it in one");
  auto* first = stage->add_notes();
  first->set_message("over 5 samples: " + std::string(300, 'b'));
  first->set_place("resources");
  auto* second = stage->add_notes();
  second->set_message("Recommended: --memory 8Mi, deadline 100ms");
  second->set_place("elsewhere");
  report.add_stages()->set_stage("contracts");
  report.mutable_stages(1)->set_note("not run: the stage static failed");
  report.mutable_stages(1)->set_detail(report.stages(1).note());
  EXPECT_EQ(ReportText(report, Style(false)),
            StrCat("Validation passed\n  resources: passed - compared with ", std::string(300, 'a'),
                   "\n    note: over 5 samples: ", std::string(300, 'b'),
                   "\n    note: elsewhere: Recommended: --memory 8Mi, deadline 100ms\n",
                   "  contracts: not run: the stage static failed\n",
                   "  wasmtime 1.2; module 812 bytes, native code 9216 bytes; 5 of 6 samples "
                   "handled, deterministic: no\n"));
  EXPECT_EQ(WarningsText(report), "");
}

TEST(Report, OneOfAServerThatKnowsNoNotesShowsItsDetail) {
  v1::ValidationReport report;
  report.add_stages()->set_ran(true);
  report.mutable_stages(0)->set_detail("over 5 samples");
  EXPECT_THAT(ReportText(report, Style(false)), HasSubstr("failed - over 5 samples\n"));
}

TEST(ExitCodes, FollowTheContract) {
  EXPECT_EQ(ExitCodeFor(absl::OkStatus()), ExitCode::kDone);
  EXPECT_EQ(ExitCodeFor(absl::NotFoundError("x")), ExitCode::kFailed);
  EXPECT_EQ(ExitCodeFor(absl::InvalidArgumentError("x")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeFor(UsageError("x")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeFor(absl::UnavailableError("x")), ExitCode::kUnreachable);
  EXPECT_EQ(ExitCodeFor(absl::ResourceExhaustedError("x")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeFor(absl::FailedPreconditionError("x")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeFor(absl::UnimplementedError("x")), ExitCode::kRefused);
  EXPECT_EQ(ExitCodeFor(WithReason(absl::AbortedError("x"), "DEAD_LETTERED")), ExitCode::kFailed);
  EXPECT_EQ(ExitCodeFor(WithReason(absl::InvalidArgumentError("x"), "VALIDATION_FAILED")),
            ExitCode::kRejected);
}

TEST(RpcStatus, ReadsReasonFixAndRetryFromTheDetails) {
  google::rpc::Status wire;
  google::rpc::ErrorInfo info;
  info.set_reason("QUEUE_FULL");
  (*info.mutable_metadata())["fix"] = "wait";
  wire.add_details()->PackFrom(info);
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(250'000'000);
  wire.add_details()->PackFrom(retry);
  google::rpc::BadRequest bad;
  bad.add_field_violations()->set_field("name");
  wire.add_details()->PackFrom(bad);
  const absl::Status status = FromGrpc(
      grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full", wire.SerializeAsString()), "x:1");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(status), "QUEUE_FULL");
  EXPECT_EQ(FixOf(status), "wait");
  EXPECT_EQ(RetryAfterMsOf(status), 250);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\n  name: "));
}

TEST(RpcStatus, UnavailableWithoutDetailsIsAnUnreachableServer) {
  const absl::Status status =
      FromGrpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "refused"), "x:1");
  EXPECT_TRUE(IsUnreachable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("x:1"));
  EXPECT_THAT(FixOf(status), HasSubstr("caxton server start"));
}

TEST(RpcStatus, ANameThatIsNotKnownIsSaidWithoutCAres) {
  const absl::Status status = FromGrpc(
      grpc::Status(grpc::StatusCode::UNAVAILABLE,
                   "DNS resolution failed for nowhere:1: C-ares status is not ARES_SUCCESS qtype=A "
                   "name=nowhere is_balancer=0: Domain name not found"),
      "nowhere:1");
  EXPECT_EQ(StdView(status.message()),
            "No answer from the server at nowhere:1: its name is not known here (Domain name not "
            "found)");
}

TEST(Colours, KeepOutOfPipesAndNoColor) {
  testing::FakeEnvironment fake;
  GlobalOptions globals;
  EXPECT_EQ(StyleFor(fake.environment, globals, false).Good("x"), "x");
  EXPECT_NE(StyleFor(fake.environment, globals, true).Good("x"), "x");
  fake.variables["NO_COLOR"] = "1";
  EXPECT_EQ(StyleFor(fake.environment, globals, true).Good("x"), "x");
  globals.color = ColorWhen::kAlways;
  EXPECT_NE(StyleFor(fake.environment, globals, false).Good("x"), "x");
}

}  // namespace
}  // namespace caxton::cli
