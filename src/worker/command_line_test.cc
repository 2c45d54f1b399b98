// SPDX-License-Identifier: Apache-2.0
#include "caxton/worker/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace caxton::worker {
namespace {

// What the server writes, without the program's name.
template <typename C>
std::vector<std::string> ArgumentsOf(const C& command) {
  std::vector<std::string> argv = ipc::CommandLine("caxton-worker", command);
  argv.erase(argv.begin());
  return argv;
}

TEST(CommandLineTest, ReadsWhatTheServerWrites) {
  ipc::RunCommand run;
  run.max_message_bytes = 12345;
  run.jail = false;
  const auto read_run = ParseCommandLine(ArgumentsOf(run));
  ASSERT_TRUE(read_run.ok());
  EXPECT_EQ(std::get<ipc::RunCommand>(*read_run).max_message_bytes, 12345);
  EXPECT_FALSE(std::get<ipc::RunCommand>(*read_run).jail);

  ipc::CompileCommand compile;
  compile.data_limit_bytes = 77;
  compile.cpu_limit_seconds = 3;
  const auto read_compile = ParseCommandLine(ArgumentsOf(compile));
  ASSERT_TRUE(read_compile.ok());
  EXPECT_EQ(std::get<ipc::CompileCommand>(*read_compile).data_limit_bytes, 77);
  EXPECT_EQ(std::get<ipc::CompileCommand>(*read_compile).cpu_limit_seconds, 3);
  EXPECT_TRUE(std::get<ipc::CompileCommand>(*read_compile).jail);
}

TEST(CommandLineTest, FileModes) {
  const auto inspect = ParseCommandLine({"--inspect", "a.wasm"});
  ASSERT_TRUE(inspect.ok());
  EXPECT_EQ(std::get<InspectCommand>(*inspect).path, "a.wasm");
  EXPECT_EQ(std::get<ValidateCommand>(*ParseCommandLine({"--validate", "a.wasm"})).path, "a.wasm");
  const auto validate = ParseCommandLine({"--validate", "a.wasm", "--revision", "r"});
  ASSERT_TRUE(validate.ok());
  EXPECT_EQ(std::get<ValidateCommand>(*validate).path, "a.wasm");
  EXPECT_EQ(std::get<ValidateCommand>(*validate).revision_path, "r");
  const auto package =
      ParseCommandLine({"--package", "a.wasm", "--manifest", "m.json", "-o", "b.wasm"});
  ASSERT_TRUE(package.ok());
  EXPECT_EQ(std::get<PackageCommand>(*package).out_path, "b.wasm");
}

TEST(CommandLineTest, MistakesNameTheArgument) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"--dance"},
                                             {"--run", "--max-message=much"},
                                             {"--run", "--max-message=-1"},
                                             {"--run", "--max-message=99999999999"},
                                             {"--run", "extra"},
                                             {"--inspect"},
                                             {"--inspect", "a", "b"},
                                             {"--inspect", "a", "--revision", "r"},
                                             {"--package", "a.wasm", "-o", "b.wasm"},
                                             {"--version", "x"}}) {
    const auto command = ParseCommandLine(arguments);
    ASSERT_FALSE(command.ok());
    if (arguments.size() > 1 && arguments[0] != "--package") {
      EXPECT_THAT(std::string(command.status().message()),
                  ::testing::HasSubstr(arguments.back().substr(0, 13)));
    }
  }
}

}  // namespace
}  // namespace caxton::worker
