// SPDX-License-Identifier: Apache-2.0
#include "args.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <ostream>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/version.h"
#include "caxton/cli/testing/fake_environment.h"
#include "caxton/model/revision.h"
#include "caxton/v1/deployment.pb.h"
#include "deploy_request.h"
#include "exit_code.h"
#include "fd_output.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace caxton::cli {
namespace {

using ::testing::ElementsAre;
using testing::FakeEnvironment;
using ::testing::HasSubstr;
using ::testing::StartsWith;

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
                                         "    - full: 100%\n"
                                         "  rollback_on: [ error_rate > 1% ]\n"
                                         "settings: { greeting: hello, name: you }\n");
  ASSERT_TRUE(files.ok()) << files.status();
  const auto plan = PlanDeploy(flags, files->at(0), &request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->agent, "greeter");
  EXPECT_EQ(plan->module_path, "conf/greeter.wasm");
  EXPECT_EQ(request.version(), "2.0.0");
  EXPECT_EQ(request.spec().strategy(), v1::CANARY);
  ASSERT_EQ(request.spec().stages_size(), 2);
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
  flags.version = "";
  flags.dry_run = true;
  EXPECT_THAT(FixOf(CheckGroupFlags(flags)), HasSubstr("alone"));  // no file says "dry run"
}

TEST(Plan, WhatIsImpossibleInAFileHasItsPlace) {
  DeployFlags flags;
  flags.deployment_file = "d.yaml";
  flags.module = "a.wasm";
  const std::string text =
      "deployment:\n  strategy: canary\n  history: 2000\n  stages: [{canary: 100%}]\n";
  const auto why = [&](const std::string& file) {
    v1::DeployRequest request;
    return PlanDeploy(flags, ReadDeploymentFiles(flags, file)->at(0), &request).status();
  };
  EXPECT_EQ(ExitCodeFor(why(text)), ExitCode::kUsage);
  EXPECT_THAT(std::string(why(text).message()), HasSubstr("d.yaml:3:12: history is 2000"));
  EXPECT_THAT(std::string(why(text).message()),
              HasSubstr("d.yaml:4:11: the stages do not end with full"));
  flags.stages = "50:0s";  // no place of the file's any more
  EXPECT_THAT(std::string(why(text).message()), HasSubstr("d.yaml: the canary stage of 50%"));
}

TEST(Plan, WhatIsNotCarriedOutIsRefusedByName) {
  DeployFlags flags;
  for (const char* text : {"deployment: { strategy: canary, baseline: fresh }",
                           "resources: { isolation: shared }", "state: { on_rollback: keep }"}) {
    const absl::Status status = ReadDeploymentFiles(flags, text).status();
    EXPECT_EQ(ExitCodeFor(status), ExitCode::kRefused) << text;
    EXPECT_EQ(ReasonOf(status), "NOT_CARRIED_OUT") << text;
  }
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

// A file that is there while it lives.
class File final {
 public:
  explicit File(const std::string& name) : path(StrCat(::testing::TempDir(), getpid(), name)) {
    std::ofstream(path) << "x";
  }
  ~File() { unlink(path.c_str()); }
  const std::string path;
};

TEST(CommandLine, WhatTheWorkerComplainsOfIsSaidAsOurs) {
  FakeEnvironment fake;
  const File module("a.wasm"), manifest("m.json");
  const std::vector<std::string> package = {"agent",      "package",     module.path,
                                            "--manifest", manifest.path, "-o"};
  auto to = [&package](const std::string& out) {
    std::vector<std::string> args = package;
    args.push_back(out);
    return args;
  };
  fake.worker_result = {.exit_status = 3, .errors = "caxton-worker: line 1: no\nTo fix: do\n"};
  EXPECT_EQ(fake.Run(to("out.wasm")), 3);
  EXPECT_EQ(fake.err(), "Error: line 1: no\nReason: VALIDATION_FAILED\nTo fix: do\n");
  fake.worker_result = {.exit_status = 1, .errors = "caxton-worker: the disk is full\n"};
  EXPECT_EQ(fake.Run({"agent", "inspect", module.path}), 1);
  EXPECT_THAT(fake.err(), StartsWith("Error: the disk is full\nTo fix: "));
  fake.worker_calls.clear();
  EXPECT_EQ(fake.Run(to("-")), 2);
  EXPECT_THAT(fake.err(), HasSubstr("not to stdout\nTo fix: name the file"));
  for (const char* command : {"inspect", "validate"}) {
    EXPECT_EQ(fake.Run({"agent", command, "/no/such.wasm"}), 1);
    EXPECT_THAT(fake.err(), StartsWith("Error: Cannot read /no/such.wasm"));
    EXPECT_THAT(fake.err(), HasSubstr("To fix: check the path"));
  }
  EXPECT_TRUE(fake.worker_calls.empty());
}

TEST(CommandLine, ModuleFilesGoToTheWorker) {
  FakeEnvironment fake;
  const File module("a.wasm");
  fake.worker_result = {.exit_status = 3,
                        .output = R"({"findings": [{"severity": "error", "message": "no memory",)"
                                  R"( "fix": "export it"}]})"};
  EXPECT_EQ(fake.Run({"agent", "validate", module.path}), 3);
  EXPECT_THAT(fake.worker_calls, ElementsAre(ElementsAre("--validate", module.path)));
  EXPECT_EQ(fake.out(), "error: no memory\n  To fix: export it\n");
  fake.worker_result.output =
      R"({"ok": false, "stages": {"static": {"result": "failed", "duration_ns": 1500000},)"
      R"( "sandbox": {"result": "not run", "note": "not run: the stage static failed"}},)"
      R"( "findings": [], "engine_config": "1616"})";
  EXPECT_EQ(fake.Run({"agent", "validate", module.path}), 3);
  EXPECT_EQ(fake.out(),
            "ok: false\nstages:\n  static    failed  1.5ms\n"
            "  sandbox   not run: the stage static failed\n");
  fake.worker_result.output =
      R"({"findings": [{"severity": "error", "place": "sample x", "message": "trapped\n  0: f",)"
      R"( "fix": "end\nit"}, {"severity": "note", "message": "so it is"}]})";
  EXPECT_EQ(fake.Run({"agent", "validate", module.path}), 3);
  EXPECT_EQ(fake.out(),
            "error: sample x: trapped\n    0: f\n  To fix: end\n    it\nnote: so it is\n");
  fake.worker_result = {.exit_status = 0, .output = R"({"name": "a"})"};
  EXPECT_EQ(fake.Run({"agent", "inspect", module.path, "--output", "json"}), 0);
  EXPECT_EQ(fake.out(), "{\"name\": \"a\"}\n");
  fake.worker_result = {.exit_status = 128 + 9};
  EXPECT_EQ(fake.Run({"agent", "validate", module.path}), 3);
}

TEST(CommandLine, ValidateTellsTheWorkerWhatADeployWouldBeTold) {
  FakeEnvironment fake;
  const File module("a.wasm"), file("a.yaml");
  std::ofstream(file.path) << "agent: shop\nmodule: " << module.path
                           << "\nresources: { deadline: 3s, memory: 8Mi }\n"
                           << "settings: { a: file, b: file }\n";
  std::vector<std::string> told;
  absl::StatusOr<Revision> revision = absl::UnknownError("none");
  fake.environment.run_worker = [&](const std::vector<std::string>& args) {
    told = args;
    revision = absl::UnknownError("none");
    if (args.size() == 4) {
      std::ifstream in(args[3], std::ios::binary);
      revision = DecodeRevision(std::string(std::istreambuf_iterator<char>(in), {}));
    }
    return ToolResult{.output = "{}"};
  };
  EXPECT_EQ(fake.Run({"agent", "validate", module.path, "--memory", "125Mi", "--cpu", "500m",
                      "--set", "secret=x"}),
            0)
      << fake.err();
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[2], "--revision");
  for (const std::string& word : told) EXPECT_EQ(word.find("secret"), std::string::npos);
  ASSERT_TRUE(revision.ok()) << revision.status();
  EXPECT_EQ(revision->limits.memory_bytes, 125 << 20);
  EXPECT_EQ(revision->limits.cpu_millis, 500);
  EXPECT_EQ(revision->settings.at("secret"), "x");
  EXPECT_EQ(revision->agent, "");

  EXPECT_EQ(fake.Run({"agent", "validate", "-f", file.path, "--set", "a=flag"}), 0) << fake.err();
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[1], module.path);
  ASSERT_TRUE(revision.ok()) << revision.status();
  EXPECT_EQ(revision->agent, "shop");
  EXPECT_EQ(revision->limits.deadline_ns, 3 * kNanosPerSecond);
  EXPECT_EQ(revision->limits.memory_bytes, 8 << 20);
  EXPECT_EQ(revision->settings.at("a"), "flag");
  EXPECT_EQ(revision->settings.at("b"), "file");

  told.clear();
  EXPECT_EQ(fake.Run({"agent", "validate", module.path, "--memory", "much"}), 2);
  EXPECT_EQ(fake.Run({"agent", "validate", module.path, "--memory", "1Ki"}), 2);
  EXPECT_THAT(fake.err(), HasSubstr("To fix: set memory to "));
  EXPECT_EQ(fake.Run({"agent", "validate"}), 2);
  std::ofstream(file.path) << "- { agent: a, module: a.wasm }\n- { agent: b, module: b.wasm }\n";
  EXPECT_EQ(fake.Run({"agent", "validate", "-f", file.path}), 2);
  EXPECT_THAT(fake.err(), HasSubstr("has several agents"));
  EXPECT_TRUE(told.empty());
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
        {"dlq", "list", "--agent", ""},
        {"agent", "validate", "a.wasm", "--against", ""},
        {"agent", "validate", "a.wasm", "--against="},
        {"agent", "validate", "--against=", "a.wasm"},
        {"message", "request", "greeter", "--idempotency-key", ""},
        {"message", "send", "greeter", "--key", ""},
        {"message", "send", ""},
        {"agent", "set", "greeter", "--version", "", "--memory", "64Mi"},
        {"rollback", "greeter", "--reason", ""},
        {"deployment", "list", ""},
        {"agent", "list", "--server", ""},
        {"agent", "list", "--timeout", ""},
        {"agent", "list", "--timeout=", "--output", "json"}}) {
    EXPECT_EQ(fake.Run(args), 2) << args.back();
    EXPECT_THAT(fake.err(), HasSubstr(" takes a value, not ''\nTo fix: give ")) << args.back();
  }
  EXPECT_TRUE(fake.worker_calls.empty());
}

TEST(CommandLine, ArgumentsAreUtf8) {
  FakeEnvironment fake;
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"message", "send", "greeter", "--key", "a\xff"},
        {"message", "send", "greeter", "--header", "a=\xff"},
        {"message", "send", "gr\xc3"},
        {"agent", "set", "greeter", "--set", "a=\xff"},
        {"rollback", "greeter", "--reason", "\xff"},
        {"load", "\xff"},
        {"agent", "list", "--server", "\xff:1"}}) {
    EXPECT_EQ(fake.Run(args), 2) << args.back();
    EXPECT_THAT(fake.err(), HasSubstr("is not UTF-8\nTo fix: "));
    EXPECT_THAT(fake.err(), HasSubstr("\\x"));
  }
  EXPECT_EQ(fake.Run({"deploy", "/no/such\xff.wasm"}), 1);  // a file's name may be any bytes
}

TEST(CommandLine, AServerHasAPortInRange) {
  FakeEnvironment fake;
  for (const char* address : {"127.0.0.1:102845", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1", ":1",
                              "127.0.0.1:-1", "127.0.0.1:99999999999"}) {
    EXPECT_EQ(fake.Run({"agent", "list", "--server", address}), 2) << address;
    EXPECT_THAT(fake.err(), HasSubstr("is no address of a server"));
    EXPECT_THAT(fake.err(), HasSubstr("To fix: write HOST:PORT"));
    fake.variables["CAXTON_SERVER"] = address;
    EXPECT_EQ(fake.Run({"agent", "list"}), 2) << address;
    EXPECT_EQ(fake.Run({"version"}), 0) << "it needs no server";
    fake.variables.clear();
  }
  for (const char* address : {"127.0.0.1:65535", "[::1]:1", "unix:/run/caxton", "dns:///host:1"}) {
    EXPECT_TRUE(CheckServerAddress(address).ok()) << address;
  }
}

TEST(CommandLine, WhatIsNoNumberIsSaidInPlainWords) {
  FakeEnvironment fake;
  EXPECT_EQ(fake.Run({"deploy", "a.wasm", "--history", "5x"}), 2);
  EXPECT_THAT(fake.err(), HasSubstr("Error: --history takes a number, not '5x'\nTo fix: "));
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
