// SPDX-License-Identifier: Apache-2.0
//
// How the server starts caxton-worker: argument vectors, inherited descriptors and exit statuses.
// Both sides build and read command lines with this header, so that they cannot differ.
// src/worker/README.md explains the modes. Values; nothing secret is ever in an argument: settings
// travel in the revision's memfd.
//
// Every "fd" is the number that the *child* sees (3 and up; 0-2 are its standard streams). The
// child closes what it has read and relies on the parent to hand down nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace caxton::ipc {

// Exit statuses of caxton-worker. Anything else, and every signal, is a crash.
enum class WorkerExit : int {
  kDone = 0,  // stopped as told; module good; printed
  kFailed =
      1,       // could not do its work (bad descriptor, jail refused, load failed); stderr says why
  kUsage = 2,  // the command line
  kRejected = 3,  // the module was examined and has faults; the report holds them
  kPeerGone = 4,  // the server end of the channel died
};

// Mode run: serves one revision's steps until told to stop.
struct RunCommand {
  int channel_fd = -1;    // the worker's end of the shared-memory channel (caxton/ipc/channel.h)
  int slot_fd = -1;       // the slot file (caxton/ipc/slot.h)
  int code_fd = -1;       // sealed memfd with native code, as CompileCommand wrote it
  int revision_fd = -1;   // memfd with EncodeRevision(): name, limits, settings, traits
  uint32_t prepared = 0;  // instances made ahead; 0: the worker's default
  bool jail = true;       // false only where the host forbids it, and in tests
};

// Mode compile: examines the module in `module_fd`, compiles it and initializes one instance of it.
//   exit 0: code_fd holds the native code, report_fd a report without errors
//   exit 3: report_fd holds a report with at least one error; code_fd is empty
//   else, or a signal: ReportPhase() of report_fd tells what it was doing
struct CompileCommand {
  int module_fd = -1;  // readable at offset 0: the .wasm
  int code_fd = -1;    // empty memfd, sealable; the parent seals and hashes it afterwards
  int report_fd = -1;  // empty memfd: one byte of phase, then EncodeExamineReport()
  int revision_fd =
      -1;  // memfd with EncodeRevision(): name, limits, settings (module and traits unused)
  int64_t data_limit_bytes = 1 << 30;  // RLIMIT_DATA, set by the child on itself
  int64_t cpu_limit_seconds = 30;      // RLIMIT_CPU; SIGXCPU ends the child
  int64_t init_limit_ms = 2000;        // for _initialize and agent_init together
  bool jail = true;
};

// First byte of the report: what the child is, or was, doing.
enum class CompilePhase : uint8_t {
  kStarting = 0,
  kChecking = 1,      // static checks
  kCompiling = 2,     // to native code
  kInitializing = 3,  // the module's own code runs: start, _initialize, agent_init
  kDone = 4,          // the report is complete
};

inline std::string FdArgument(const char* name, int fd) {
  return std::string("--") + name + "-fd=" + std::to_string(fd);
}

// argv[0] is `program`.
inline std::vector<std::string> CommandLine(const std::string& program, const RunCommand& c) {
  std::vector<std::string> argv = {program,
                                   "--run",
                                   FdArgument("channel", c.channel_fd),
                                   FdArgument("slot", c.slot_fd),
                                   FdArgument("code", c.code_fd),
                                   FdArgument("revision", c.revision_fd),
                                   "--prepared=" + std::to_string(c.prepared)};
  if (!c.jail) argv.push_back("--no-jail");
  return argv;
}

inline std::vector<std::string> CommandLine(const std::string& program, const CompileCommand& c) {
  std::vector<std::string> argv = {program,
                                   "--compile",
                                   FdArgument("module", c.module_fd),
                                   FdArgument("code", c.code_fd),
                                   FdArgument("report", c.report_fd),
                                   FdArgument("revision", c.revision_fd),
                                   "--data-limit=" + std::to_string(c.data_limit_bytes),
                                   "--cpu-limit=" + std::to_string(c.cpu_limit_seconds),
                                   "--init-limit-ms=" + std::to_string(c.init_limit_ms)};
  if (!c.jail) argv.push_back("--no-jail");
  return argv;
}

}  // namespace caxton::ipc
