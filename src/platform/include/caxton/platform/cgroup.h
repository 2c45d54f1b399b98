// SPDX-License-Identifier: Apache-2.0
//
// Cgroups: limits and accounts for groups of processes, v2 or v1, whichever this machine has
// writable.
//
// OpenCgroups() looks once at start, removes what dead servers left, and makes <own
// group>/caxton-<pid>; each worker gets a group below it. In v2 the server moves itself into the
// leaf <own group>/caxton-<pid>/server, as the kernel wants no processes beside groups. Where
// nothing is writable the manager is a null one: groups exist by name only, and report() says what
// is not enforced, why, and what to do. Lifecycle: the manager outlives its groups; a group is
// removed by Remove() or its destructor (processes in it are killed first). Thread rule:
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/platform/process.h"

namespace caxton::platform {

struct CgroupLimits {
  int64_t memory_bytes = 0;    // 0: no limit. Beyond it the kernel kills the group's processes.
  int64_t cpu_millis = 1000;   // weight against others; 1000 = one share
  int64_t cpu_max_millis = 0;  // quota, 1000 = one core; 0: none
  int32_t pids_max = 0;        // threads and processes; 0: no limit
};

struct CgroupUsage {
  int64_t memory_bytes = 0;
  int64_t peak_memory_bytes = 0;
  int64_t cpu_usec = 0;
  int64_t throttled_usec = 0;
  int64_t oom_kills = 0;  // times the memory limit killed
};

class Cgroup {
 public:
  virtual ~Cgroup() = default;
  // Makes the child of these options start inside this group.
  virtual void Join(SpawnOptions* options) const = 0;
  virtual absl::Status SetLimits(const CgroupLimits& limits) = 0;
  // CgroupLimits::cpu_millis alone. One small write: fit for a busy thread.
  virtual absl::Status SetCpuShare(int64_t cpu_millis) = 0;
  // What no controller accounts for stays 0.
  virtual absl::StatusOr<CgroupUsage> Usage() const = 0;
  virtual absl::Status KillAll() = 0;
  // Kills what is left inside and removes the group.
  virtual absl::Status Remove() = 0;
};

struct CgroupReport {
  int version = 0;  // 2, 1, or 0: none
  bool memory = false, cpu = false, pids = false;
  std::string detail;  // one sentence: where the groups are, or why there are none
  std::string fix;     // what a person can do about what is missing; empty if nothing is
};

class CgroupManager {
 public:
  virtual ~CgroupManager() = default;
  virtual const CgroupReport& report() const = 0;
  // `name`: [a-z0-9.-], unique while it exists.
  virtual absl::StatusOr<std::unique_ptr<Cgroup>> Create(const std::string& name,
                                                         const CgroupLimits& limits) = 0;
};

struct CgroupOptions {
  // Where the kernel tells; replaced in tests.
  std::string mountinfo = "/proc/self/mountinfo";
  std::string self_cgroup = "/proc/self/cgroup";
  std::string proc = "/proc";
  int pid = 0;  // of the server; 0: this process
};

// Never fails: in the worst case the null manager, whose report says why.
std::unique_ptr<CgroupManager> OpenCgroups(const CgroupOptions& options);
// Groups by name only; for tests, and when switched off. `why` becomes report().detail.
std::unique_ptr<CgroupManager> NullCgroups(std::string why);

}  // namespace caxton::platform
