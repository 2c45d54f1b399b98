// SPDX-License-Identifier: Apache-2.0
#include "args.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <ostream>

#include "caxton/base/strings.h"
#include "caxton/base/version.h"
#include "caxton/cli/testing/fake_environment.h"
#include "caxton/v1/deployment.pb.h"
#include "deploy_request.h"
#include "fd_output.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace caxton::cli {
namespace {

using ::testing::ElementsAre;
using testing::FakeEnvironment;
using ::testing::HasSubstr;

TEST(Overrides, ReadsTheOneGrammar) {
  OverrideFlags flags;
  flags.memory = "64Mi";
  flags.cpu = "500m";
  flags.set = {"greeting=hello=you", "empty="};
  const auto overrides = ParseOverrides(flags);
  ASSERT_TRUE(overrides.ok()) << overrides.status();
  EXPECT_EQ(overrides->memory_bytes, 64 << 20);
  EXPECT_EQ(overrides->settings.at("greeting"), "hello=you");
  EXPECT_EQ(overrides->settings.at("empty"), "");
  flags.memory = "64m";
  EXPECT_FALSE(ParseOverrides(flags).ok());
}

TEST(Plan, FlagsWinOverTheFile) {
  DeployFlags flags;
  flags.deployment_file = "conf/deployment.yaml";
  flags.version = "2.0.0";
  flags.overrides.set = {"greeting=hi"};
  v1::DeployRequest request;
  const auto files = ReadDeploymentFiles(flags,
                                         "agent: greeter\n"
                                         "module: greeter.wasm\n"
                                         "version: 1.0.0\n"
                                         "deployment:\n"
                                         "  strategy: canary\n"
                                         "  stages:\n"
                                         "    - canary: { weight: 5%, for: 5m, min_samples: 10 }\n"
                                         "  rollback_on: [ error_rate > 1% ]\n"
                                         "settings: { greeting: hello, name: you }\n");
  ASSERT_TRUE(files.ok()) << files.status();
  const auto plan = PlanDeploy(flags, files->at(0), &request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->agent, "greeter");
  EXPECT_EQ(plan->module_path, "conf/greeter.wasm");
  EXPECT_EQ(request.version(), "2.0.0");
  EXPECT_EQ(request.spec().strategy(), v1::CANARY);
  ASSERT_EQ(request.spec().stages_size(), 1);
  EXPECT_EQ(request.spec().stages(0).weight(), "5%");
  EXPECT_EQ(request.spec().stages(0).duration().seconds(), 300);
  EXPECT_EQ(request.spec().stages(0).min_samples(), 10);
  EXPECT_THAT(request.spec().rollback_on(), ElementsAre("error_rate > 1%"));
  EXPECT_EQ(request.overrides().settings().at("greeting"), "hi");
  EXPECT_EQ(request.overrides().settings().at("name"), "you");
}

TEST(Plan, NamesTheAgentAfterTheModule) {
  DeployFlags flags;
  flags.module = "out/Greeter_v2.wasm";
  v1::DeployRequest request;
  const auto plan = PlanDeploy(flags, {}, &request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->agent, "greeter-v2");
  EXPECT_EQ(request.spec().strategy(), v1::DIRECT);
}

TEST(Plan, StagesAloneMeanCanary) {
  DeployFlags flags;
  flags.module = "a.wasm";
  flags.stages = "5:5m";
  v1::DeployRequest request;
  ASSERT_TRUE(PlanDeploy(flags, {}, &request).ok());
  EXPECT_EQ(request.spec().strategy(), v1::CANARY);
  ASSERT_EQ(request.spec().stages_size(), 2);
  EXPECT_EQ(request.spec().stages(1).kind(), v1::Stage::FULL);
  flags.strategy = "direct";
  EXPECT_FALSE(PlanDeploy(flags, {}, &request).ok());
}

TEST(Plan, AListTakesNoFlagThatConcernsOneAgent) {
  DeployFlags flags;
  flags.deployment_file = "group.yaml";
  EXPECT_EQ(ReadDeploymentFiles(flags, "- agent: a\n- agent: b\n")->size(), 2u);
  EXPECT_TRUE(CheckGroupFlags(flags).ok());
  flags.version = "2";
  EXPECT_FALSE(CheckGroupFlags(flags).ok());
}

TEST(Revision, IsANumberWithOrWithoutItsAgent) {
  EXPECT_EQ(*ParseRevisionArg("--to", "7", "greeter"), 7u);
  EXPECT_EQ(*ParseRevisionArg("--to", "greeter@7", "greeter"), 7u);
  EXPECT_FALSE(ParseRevisionArg("--to", "greeter", "greeter").ok());
  EXPECT_FALSE(ParseRevisionArg("--to", "0", "greeter").ok());
  EXPECT_FALSE(ParseRevisionArg("--to", "shop@7", "greeter").ok());
  EXPECT_EQ(*ParseRevisionArg("--to", "shop@7", ""), 7u);
}

TEST(CommandLine, WithoutACommandIsUsage) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({}), 2);
  EXPECT_EQ(fake.out(), "");
  EXPECT_THAT(fake.err(), HasSubstr("deployment"));
}

TEST(CommandLine, HelpIsAResult) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"agent", "deploy", "--help"}), 0);
  EXPECT_THAT(fake.out(), HasSubstr("--rollback-on"));
}

TEST(CommandLine, TellsItsVersion) {
  const std::string line = StrCat("caxton ", Version(), "\n");
  for (const char* word : {"--version", "version"}) {
    FakeEnvironment fake;
    EXPECT_EQ(fake.Run({word}), 0);
    EXPECT_EQ(fake.out(), line);
  }
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"version", "--output", "json"}), 0);
  EXPECT_THAT(fake.out(), HasSubstr("\"version\""));
  EXPECT_THAT(fake.out(), HasSubstr(std::string(Version())));
}

TEST(CommandLine, SuggestsTheNearestCommandAndOption) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"agnt", "list"}), 2);
  EXPECT_THAT(fake.err(), HasSubstr("did you mean 'agent'?"));
  EXPECT_EQ(fake.Run({"agent", "lst"}), 2);
  EXPECT_THAT(fake.err(), HasSubstr("did you mean 'list'?"));
  EXPECT_EQ(fake.Run({"deploy", "a.wasm", "--strateg", "canary"}), 2);
  EXPECT_THAT(fake.err(), HasSubstr("did you mean '--strategy'?"));
}

TEST(CommandLine, ValuesOfOptionsAreNotCommands) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"--output", "xml", "agent", "list"}), 2);
  EXPECT_THAT(fake.err(), HasSubstr("xml"));
}

TEST(CommandLine, RefusesByNameWhatIsNotInThisRelease) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"agent", "secret", "set", "greeter", "token"}), 6);
  EXPECT_THAT(fake.err(), HasSubstr("agent secret set is not carried out in this release"));
  EXPECT_EQ(fake.Run({"--token", "x", "agent", "list"}), 6);
  EXPECT_EQ(fake.Run({"agent", "list", "--ca", "x"}), 6);
}

TEST(CommandLine, ServerStartGetsItsOwnOptions) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"server", "start", "--data-dir", "/tmp/x", "--dev", "--help"}), 0);
  ASSERT_EQ(fake.server_starts.size(), 1u);
  EXPECT_THAT(fake.server_starts[0], ElementsAre("--data-dir", "/tmp/x", "--dev", "--help"));
}

TEST(CommandLine, ModuleFilesGoToTheWorker) {
  FakeEnvironment fake;
  fake.worker_result = {.exit_status = 3,
                        .output = R"({"findings": [{"severity": "error", "message": "no memory",)"
                                  R"( "fix": "export it"}]})"};
  EXPECT_EQ(fake.Run({"agent", "validate", "a.wasm"}), 3);
  EXPECT_THAT(fake.worker_calls, ElementsAre(ElementsAre("--validate", "a.wasm")));
  EXPECT_EQ(fake.out(), "error: no memory\n  To fix: export it\n");
  fake.worker_result.output =
      R"({"ok": false, "stages": {"static": {"result": "failed", "duration_ns": 1500000},)"
      R"( "sandbox": {"result": "not run", "note": "not run: the stage static failed"}},)"
      R"( "findings": [], "engine_config": "1616"})";
  EXPECT_EQ(fake.Run({"agent", "validate", "a.wasm"}), 3);
  EXPECT_EQ(fake.out(),
            "ok: false\nstages:\n  static    failed  1.5ms\n"
            "  sandbox   not run: the stage static failed\n");
  fake.worker_result = {.exit_status = 0, .output = R"({"name": "a"})"};
  EXPECT_EQ(fake.Run({"agent", "inspect", "./a.wasm", "--output", "json"}), 0);
  EXPECT_EQ(fake.out(), "{\"name\": \"a\"}\n");
  fake.worker_result = {.exit_status = 128 + 9};
  EXPECT_EQ(fake.Run({"agent", "validate", "a.wasm"}), 3);
}

TEST(CommandLine, CompletionKnowsCommandsAndOptions) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"completion", "bash"}), 0);
  EXPECT_THAT(fake.out(), HasSubstr("\"caxton deployment\") words=\"list show watch"));
  EXPECT_EQ(fake.Run({"completion", "tcsh"}), 2);
}

TEST(CommandLine, MissingModuleIsSaid) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"deploy"}), 2);
  EXPECT_EQ(fake.Run({"deploy", "/no/such.wasm"}), 1);
  EXPECT_THAT(fake.err(), HasSubstr("/no/such.wasm"));
}

TEST(CommandLine, AFolderIsNoFile) {
  const std::string folder = ::testing::TempDir();
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"deploy", folder},
        {"deploy", "/tmp"},
        {"deploy", "/tmp/"},
        {"deploy", "-f", folder},
        {"message", "send", "greeter", "--file", folder},
        {"load", "greeter", "--count", "1", "--ledger", folder}}) {
    FakeEnvironment fake;
    EXPECT_EQ(fake.Run(args), 1) << fake.err();
    EXPECT_THAT(fake.err(), HasSubstr("it is a folder"));
    EXPECT_THAT(fake.err(), HasSubstr("To fix:"));
  }
}

TEST(CommandLine, AnEmptyValueIsNotTheSameAsNone) {
  FakeEnvironment fake;
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"deploy", "a.wasm", "--name", ""},
        {"deploy", "a.wasm", "--name="},
        {"agent", "deploy", "a.wasm", "--version", ""},
        {"load", "greeter", "--ledger", ""},
        {"dlq", "list", "--agent", ""}}) {
    EXPECT_EQ(fake.Run(args), 2) << args.back();
    EXPECT_THAT(fake.err(), HasSubstr("To fix:"));
  }
}

TEST(CommandLine, NumbersThatMakeNoSenseAreUsage) {
  const std::pair<const char*, const char*> bad[] = {
      {"--count", "-1"},           {"--count", "0"},     {"--count", "4294967296"},
      {"--count", "many"},         {"--rate", "-1"},     {"--rate", "0"},
      {"--rate", "nan"},           {"--rate", "inf"},    {"--keys", "-1"},
      {"--keys", "1000001"},       {"--size", "0"},      {"--size", "-1"},
      {"--outstanding", "0"},      {"--duration", "0s"}, {"--outstanding", "-1"},
      {"--outstanding", "1000001"}};
  for (const auto& [flag, value] : bad) {
    FakeEnvironment fake;
    EXPECT_EQ(fake.Run({"load", "greeter", flag, value}), 2) << flag << " " << value;
    EXPECT_THAT(fake.err(), HasSubstr(flag));
  }
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"agent", "logs", "greeter", "--tail", "-1"}), 2);
}

// Runs `args` with stdout at `fd`, which it closes.
int RunTo(int fd, const std::vector<std::string>& args, FakeEnvironment* fake) {
  FdOutput buffer(fd);
  std::ostream out(&buffer);
  fake->environment.out = &out;
  fake->environment.out_error = [&buffer] { return buffer.error(); };
  const int status = fake->Run(args);
  close(fd);
  return status;
}

TEST(CommandLine, WhatCannotBeWrittenIsNoSuccess) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"version"},
                                               {"version", "--output", "json"},
                                               {"version", "--output", "yaml"},
                                               {"completion", "bash"},
                                               {"--version"},
                                               {"deploy", "--help"}}) {
    FakeEnvironment fake;
    EXPECT_EQ(RunTo(open("/dev/full", O_WRONLY), args, &fake), 1) << args[0];
    EXPECT_THAT(fake.err(), HasSubstr("could not be written to stdout: No space left"));
    EXPECT_THAT(fake.err(), HasSubstr("To fix:"));
  }
}

TEST(CommandLine, AReaderThatHasEnoughIsNoFault) {
  const auto before = signal(SIGPIPE, SIG_IGN);
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  close(pipes[0]);
  FakeEnvironment fake;
  EXPECT_EQ(RunTo(pipes[1], {"version"}, &fake), 0);
  EXPECT_EQ(fake.err(), "");
  signal(SIGPIPE, before);
}

}  // namespace
}  // namespace caxton::cli
