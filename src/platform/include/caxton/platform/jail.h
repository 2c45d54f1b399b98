// SPDX-License-Identifier: Apache-2.0
//
// The jail: what a worker or compiler process does to itself after it started and before it touches
// anything an author supplied. In this order:
//
//   1. EnterJail()            no new privileges, no stray descriptors, own network/IPC/mount
//   namespaces, an empty root,
//                             user nobody or no capabilities
//   2. InstallFilter(kWorkerLoading | kCompiler)   system calls by allow-list; anything else kills
//   the process
//   3. map the native code, start threads
//   4. InstallFilter(kWorkerRunning)   on top of 2: no executable mapping, no open, no thread from
//   now on
//
// What the machine does not permit is skipped and said in JailReport; seccomp and no_new_privs work
// everywhere. Inside the empty root, files are reached through descriptors only: FdPath(n). Thread
// rule: EnterJail before any second thread exists (user namespaces demand it). InstallFilter covers
// all threads of the process (TSYNC).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace caxton::platform {

struct JailOptions {
  int first_closed_fd = 3;  // every descriptor from here on is closed
  bool die_with_parent =
      true;  // SIGKILL when the spawning thread ends; dropping privileges clears Spawn's
};

struct JailReport {
  // "network namespace: Operation not permitted", ...: for the server's log, once. Empty:
  // everything holds.
  std::vector<std::string> not_enforced;
  std::string ToString() const;
};

// Steps that the machine does not permit go into the report; an error means that the process must
// not go on (a half-dropped privilege, no_new_privs refused).
absl::StatusOr<JailReport> EnterJail(const JailOptions& options);

// The path by which this process opens its own descriptor: "/proc/self/fd/N", or "/N" in the empty
// root.
std::string FdPath(int fd);

enum class Filter {
  kWorkerLoading,  // load native code (executable mappings), start threads, open own descriptors
  kWorkerRunning,  // on top: run steps only
  kCompiler,       // as kWorkerLoading, but final: compile, examine, exit
};
// UNIMPLEMENTED where the kernel has no seccomp.
absl::Status InstallFilter(Filter filter);

// The single steps, for tests and doctor.
void CloseFdsFrom(int first);
absl::Status SetNoNewPrivs();
absl::Status EnterNamespaces();
absl::Status EnterEmptyRoot();
absl::Status DropPrivileges();

}  // namespace caxton::platform
