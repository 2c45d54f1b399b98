// SPDX-License-Identifier: Apache-2.0
//
// Child processes: Spawn, wait and kill by pidfd.
//
// Spawn clones with CLONE_VM | CLONE_VFORK: nothing of the server's memory is copied, other threads
// run on, and only the calling thread waits until the child has exec'd (about a millisecond). An
// error of any step in the child comes back as a status that names the step. The child starts with
// an empty signal mask, default dispositions, no descriptors but the listed ones, and an empty
// environment unless one is given. Thread rule: all functions are thread-safe. `die_with_parent`
// follows the *thread* that spawned: the kernel sends the signal when that thread ends, so spawn
// from one that lives as long as the children.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/platform/fd.h"

namespace caxton::platform {

// `fd` of this process becomes `child_fd` there. Owned by the caller.
struct PassedFd {
  int fd = -1;
  int child_fd = -1;
};

struct ResourceLimit {
  int resource = 0;  // RLIMIT_*
  uint64_t soft = 0, hard = 0;
};

struct SpawnOptions {
  std::string path;               // absolute; never searched
  std::vector<std::string> argv;  // argv[0] included
  std::vector<std::string> env;   // NAME=value
  std::vector<PassedFd>
      fds;  // 0-2 that are not listed are /dev/null, except stderr: this process's own
  std::vector<std::string>
      cgroup_procs_files;  // the child writes itself into each before exec (v1 and v2)
  std::vector<ResourceLimit> rlimits;
  bool no_new_privs = true;
  bool die_with_parent = true;  // SIGKILL; see the thread rule
};

struct Child {
  pid_t pid = -1;
  UniqueFd pidfd;  // becomes readable when the child has ended: fit for poll
};

// How a child ended.
struct ExitStatus {
  bool exited = false;  // by itself, with `code`; else killed by `signal`
  int code = 0;
  int signal = 0;

  bool success() const { return exited && code == 0; }
  // "exited with code 3", "was killed by SIGKILL (out of memory, or killed by someone)", ...
  std::string ToString() const;
};

absl::StatusOr<Child> Spawn(const SpawnOptions& options);

// Waits until the child has ended and reaps it; nullopt when `timeout_ms` (< 0: no limit) passed
// first. May be called once more after a nullopt, not after an answer.
absl::StatusOr<std::optional<ExitStatus>> WaitChild(const Child& child, int timeout_ms);

// OK also if the child has ended already.
absl::Status KillChild(const Child& child, int signal);

// Kills and reaps; for clean-up paths. Waits without limit, but SIGKILL ends everything that is not
// stuck in the kernel.
void KillAndReap(const Child& child);

}  // namespace caxton::platform
