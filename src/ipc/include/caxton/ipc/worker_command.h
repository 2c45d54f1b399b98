// SPDX-License-Identifier: Apache-2.0
//
// How the server starts caxton-worker: argument vectors, inherited descriptors and exit statuses.
// Both sides build and read command lines with this header, so that they cannot differ.
// src/worker/README.md explains the modes. Values; nothing secret is ever in an argument: settings
// travel in Configure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "caxton/ipc/limits.h"
#include "caxton/model/limits.h"

namespace caxton::ipc {

// Exit statuses of caxton-worker. Anything else, and every signal, is a crash.
enum class WorkerExit : int {
  kDone = 0,      // stopped as told; module good; printed
  kFailed = 1,    // could not do its work (bad descriptor, jail refused); stderr says why
  kUsage = 2,     // the command line
  kRejected = 3,  // the module was examined and has faults; the report holds them
  kPeerGone = 4,  // the server's end of the channel died
};

// Mode run: serves one revision's steps until told to stop.
// Descriptors: ServerChannel::ChildFds() (kControlFd..kSlotFd) and the sealed native code as
// kCodeFd. First frame: Configure; the answer is Ready, also where the module cannot be run.
struct RunCommand {
  int64_t max_message_bytes = kDefaultMaxMessageBytes;  // as in ChannelOptions
  bool jail = true;  // false only where the host forbids it, and in tests
};

// Mode compile: examines the module, compiles it and initializes one instance of it.
//   exit 0: kCompileCodeFd holds the native code, kCompileReportFd a report without errors
//   exit 3: the report has at least one error; there is no native code
//   else, or a signal: the report tells what it was doing, and what was known by then; in
//   kTryingRecent all but what the messages showed, and the code is there
inline constexpr int kCompileModuleFd = 3;  // the .wasm, readable from offset 0
inline constexpr int kCompileConfigFd = 4;  // EncodeCompileRequest()
inline constexpr int kCompileCodeFd = 5;    // empty memfd, not sealed; the parent seals and hashes
inline constexpr int kCompileReportFd = 6;  // empty memfd: see caxton/ipc/compile_end.h
inline constexpr int kCompileRecentFd = 7;  // EncodeRecentMessages()
inline constexpr int kCompileLastFd = kCompileRecentFd;
struct CompileCommand {
  int64_t data_limit_bytes = 1 << 30;  // RLIMIT_DATA, set by the child on itself
  int64_t cpu_limit_seconds = 30;      // RLIMIT_CPU; SIGXCPU ends the child
  bool jail = true;
};

// What the child is, or was, doing.
enum class CompilePhase : uint8_t {
  kStarting = 0,
  kChecking = 1,      // static checks
  kCompiling = 2,     // to native code
  kInitializing = 3,  // the module's own code runs: start, _initialize, agent_init
  kSampling = 4,      // it handles sample messages: the stage sandbox
  kComparing = 5,     // the stage contracts
  kWeighing = 6,      // the stage resources
  kTryingRecent = 7,  // recent messages of the agent; the module has passed, its code is there
  kDone = 8,          // the report is complete
};

// argv[0] is `program`.
inline std::vector<std::string> CommandLine(const std::string& program, const RunCommand& c) {
  std::vector<std::string> argv = {program, "--run",
                                   "--max-message=" + std::to_string(c.max_message_bytes)};
  if (!c.jail) argv.push_back("--no-jail");
  return argv;
}

inline std::vector<std::string> CommandLine(const std::string& program, const CompileCommand& c) {
  std::vector<std::string> argv = {program, "--compile",
                                   "--data-limit=" + std::to_string(c.data_limit_bytes),
                                   "--cpu-limit=" + std::to_string(c.cpu_limit_seconds)};
  if (!c.jail) argv.push_back("--no-jail");
  return argv;
}

}  // namespace caxton::ipc
