// SPDX-License-Identifier: Apache-2.0
//
// Where this process's cgroups are, and what v1 and v2 groups have in common.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/platform/cgroup.h"
#include "cgroup_fs.h"

namespace caxton::platform {

// One mounted hierarchy and this process's own directory in it.
struct CgroupHierarchy {
  bool v2 = false;
  std::vector<std::string> controllers;  // v1 only: "memory", "cpu", ...
  std::string own_dir;
  bool at_root = false;  // own_dir is the top of the hierarchy

  bool Has(std::string_view controller) const;
};

// From the texts of /proc/self/mountinfo and /proc/self/cgroup.
std::vector<CgroupHierarchy> FindHierarchies(std::string_view mountinfo,
                                             std::string_view self_cgroup);

// "caxton-<pid>-<start time of that process>": tells a live server's groups from a dead one's, pids
// being reused.
std::string ServerGroupName(const CgroupFs& fs, const std::string& proc, int pid);
// Kills and removes the groups in `own_dir` of servers that are no more. Best effort.
void RemoveDeadServers(CgroupFs* fs, const std::string& proc, const std::string& own_dir);
// Creates `own_dir`/`name`, or with .2, .3, ... behind where it is taken; returns its path.
absl::StatusOr<std::string> MakeServerGroup(CgroupFs* fs, const std::string& own_dir,
                                            const std::string& name);

// Kills every process in `dir` and below, until none is left (bounded by kMaxRemoveAttempts).
absl::Status KillTree(CgroupFs* fs, const std::string& dir);
absl::Status RemoveTree(CgroupFs* fs, const std::string& dir);

// The non-empty pieces of `text` between any of the characters `separators`.
std::vector<std::string_view> Split(std::string_view text, std::string_view separators);
// What is before and behind the first `separator`; all of it and nothing if there is none.
std::pair<std::string_view, std::string_view> SplitOnce(std::string_view text,
                                                        std::string_view separator);
// The number after `key` and a space on a line of its own; `fallback` where there is none.
int64_t KeyedNumber(std::string_view text, std::string_view key, int64_t fallback);
// The number that the control file holds; `fallback` where it cannot be read ("max" too).
int64_t FileNumber(const CgroupFs& fs, const std::string& path, int64_t fallback);

// Both take ownership of the server group, and remove it at the end.
std::unique_ptr<CgroupManager> OpenCgroupsV2(std::shared_ptr<CgroupFs> fs,
                                             const CgroupHierarchy& hierarchy,
                                             const CgroupOptions& options);
std::unique_ptr<CgroupManager> OpenCgroupsV1(std::shared_ptr<CgroupFs> fs,
                                             const std::vector<CgroupHierarchy>& hierarchies,
                                             const CgroupOptions& options);
// OpenCgroups over any file system.
std::unique_ptr<CgroupManager> OpenCgroupsOn(std::shared_ptr<CgroupFs> fs,
                                             const CgroupOptions& options);

}  // namespace caxton::platform
