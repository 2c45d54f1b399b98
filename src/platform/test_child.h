// SPDX-License-Identifier: Apache-2.0
//
// For tests: runs a function in a forked process and tells how that ended. Only from
// single-threaded tests.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "caxton/platform/process.h"

namespace caxton::platform {

// `body` returns the exit code.
inline ExitStatus RunInChild(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  ExitStatus result;
  result.exited = WIFEXITED(status);
  if (result.exited) {
    result.code = WEXITSTATUS(status);
  } else {
    result.signal = WTERMSIG(status);
  }
  return result;
}

}  // namespace caxton::platform
