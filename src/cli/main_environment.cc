// SPDX-License-Identifier: Apache-2.0
//
// Main(): the real terminal, clock, network and caxton-worker.
#include <errno.h>
#include <grpc/support/log.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"
#include "client.h"
#include "environment.h"
#include "fd_output.h"

extern char** environ;

namespace caxton::cli {
namespace {

int TerminalColumns() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 100;
  return size.ws_col;
}

absl::StatusOr<std::string> WorkerProgram() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto worker = self.parent_path() / "caxton-worker";
  if (error || access(worker.c_str(), X_OK) != 0) {
    return WithFix(absl::NotFoundError(StrCat("No program ", worker.string())),
                   "install caxton-worker into the folder of caxton");
  }
  return worker.string();
}

absl::Status ReadAll(int fd, std::string* out) {
  char buffer[16 << 10];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count == 0) return absl::OkStatus();
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "Cannot read caxton-worker's report");
    out->append(buffer, static_cast<size_t>(count));
    if (out->size() > kMaxToolOutputBytes) {
      return absl::ResourceExhaustedError("caxton-worker's report is too large");
    }
  }
}

// What was written to a memfd, from its beginning.
absl::StatusOr<std::string> ReadBack(int fd) {
  if (lseek(fd, 0, SEEK_SET) < 0) return ErrnoStatus(errno, "Cannot read caxton-worker's errors");
  std::string text;
  RETURN_IF_ERROR(ReadAll(fd, &text));
  return text;
}

absl::StatusOr<ToolResult> RunWorker(const std::vector<std::string>& args) {
  ASSIGN_OR_RETURN(const std::string program, WorkerProgram());
  std::vector<std::string> words = {program};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  // A file, so that nobody has to read it while the report comes.
  const int errors = memfd_create("caxton-worker stderr", MFD_CLOEXEC);
  if (errors < 0) return ErrnoStatus(errno, "Cannot make a memory file");
  const absl::Cleanup close_errors = [errors] { close(errors); };
  int pipes[2];
  if (pipe(pipes) != 0) return ErrnoStatus(errno, "Cannot make a pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  posix_spawn_file_actions_addclose(&actions, pipes[0]);
  posix_spawn_file_actions_addclose(&actions, pipes[1]);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipes[1]);
  absl::Cleanup close_pipe = [fd = pipes[0]] { close(fd); };
  if (failed != 0) return ErrnoStatus(failed, StrCat("Cannot run ", program));

  ToolResult result;
  const absl::Status read = ReadAll(pipes[0], &result.output);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  RETURN_IF_ERROR(read);
  ASSIGN_OR_RETURN(result.errors, ReadBack(errors));
  result.exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

}  // namespace

int Main(int argc, char** argv, Hooks hooks) {
  // gRPC's own complaints about a server that is not there are said better by ours.
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  std::ios::sync_with_stdio(false);
  SystemClock clock;
  OsRandom random;
  Environment environment;
  FdOutput stdout_buffer(STDOUT_FILENO);
  std::ostream out(&stdout_buffer);
  environment.out = &out;
  environment.out_error = [&stdout_buffer] { return stdout_buffer.error(); };
  environment.err = &std::cerr;
  environment.in = &std::cin;
  environment.out_tty = isatty(STDOUT_FILENO) == 1;
  environment.err_tty = isatty(STDERR_FILENO) == 1;
  environment.in_tty = isatty(STDIN_FILENO) == 1;
  environment.columns = TerminalColumns();
  environment.clock = &clock;
  environment.random = &random;
  environment.sleep = [](int64_t nanoseconds) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(nanoseconds));
  };
  environment.getenv = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  environment.connect = ConnectTo;
  environment.run_worker = RunWorker;
  environment.hooks.start_server = [&hooks](const std::vector<std::string>& args) {
    gpr_set_log_function(nullptr);  // gRPC's default again
    return hooks.start_server(args);
  };
  return Run(std::vector<std::string>(argv + 1, argv + argc), environment);
}

}  // namespace caxton::cli
