// SPDX-License-Identifier: Apache-2.0
#include "cgroup_tree.h"

#include <algorithm>
#include <map>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/limits.h"

namespace caxton::platform {
namespace {

constexpr std::string_view kGroupPrefix = "caxton-";
constexpr int kMaxSameNames = 64;

// Field 22 of /proc/PID/stat, counted behind the last ')' (the name may hold anything); empty: no
// such process.
std::string StartTime(const CgroupFs& fs, const std::string& proc, int pid) {
  constexpr size_t kStartTimeBehindName = 19;
  absl::StatusOr<std::string> stat = fs.Read(StrCat(proc, "/", pid, "/stat"));
  if (!stat.ok()) return "";
  const size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos) return "";
  const std::vector<std::string_view> fields =
      Split(std::string_view(*stat).substr(name_end + 1), " ");
  return fields.size() > kStartTimeBehindName ? std::string(fields[kStartTimeBehindName]) : "";
}

std::string Join(std::string_view dir, std::string_view below) {
  while (StartsWith(below, "/")) below.remove_prefix(1);
  return below.empty() ? std::string(dir) : StrCat(dir, "/", below);
}

// `path` as seen inside a mount that shows the hierarchy from `root` on.
std::string OwnDir(const std::string& mount_point, std::string_view root, std::string_view path) {
  if (root == "/" || root.empty()) return Join(mount_point, path);
  if (path == root || StartsWith(path, StrCat(root, "/"))) {
    return Join(mount_point, path.substr(root.size()));
  }
  return mount_point;  // a container that sees its own group as the top
}

// controllers ("" for v2) -> path
std::map<std::string, std::string> ParseSelfCgroup(std::string_view text) {
  std::map<std::string, std::string> paths;
  for (std::string_view line : Split(text, "\n")) {
    // number:controllers:path
    const auto [controllers, path] = SplitOnce(SplitOnce(line, ":").second, ":");
    if (path.empty()) continue;
    if (controllers.empty()) paths[""] = std::string(path);
    for (std::string_view controller : Split(controllers, ",")) {
      paths[std::string(controller)] = std::string(path);
    }
  }
  return paths;
}

}  // namespace

std::vector<std::string_view> Split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t start = text.find_first_not_of(separators);
    if (start == std::string_view::npos) return words;
    const size_t end = std::min(text.find_first_of(separators, start), text.size());
    words.push_back(text.substr(start, end - start));
    text.remove_prefix(end);
  }
}

std::pair<std::string_view, std::string_view> SplitOnce(std::string_view text,
                                                        std::string_view separator) {
  const size_t at = text.find(separator);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + separator.size())};
}

bool CgroupHierarchy::Has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::vector<CgroupHierarchy> FindHierarchies(std::string_view mountinfo,
                                             std::string_view self_cgroup) {
  const std::map<std::string, std::string> paths = ParseSelfCgroup(self_cgroup);
  std::vector<CgroupHierarchy> found;
  for (std::string_view line : Split(mountinfo, "\n")) {
    // id parent device root mount-point options [optional...] - type source super-options
    const auto [before, behind] = SplitOnce(line, " - ");
    const std::vector<std::string_view> mount = Split(before, " ");
    const std::vector<std::string_view> type = Split(behind, " ");
    if (mount.size() < 5 || type.size() < 3) continue;
    CgroupHierarchy hierarchy;
    std::string path = "/";
    if (type[0] == "cgroup2") {
      hierarchy.v2 = true;
      if (auto it = paths.find(""); it != paths.end()) path = it->second;
    } else if (type[0] == "cgroup") {
      for (std::string_view option : Split(type[2], ",")) {
        auto it = paths.find(std::string(option));
        if (it == paths.end()) continue;
        hierarchy.controllers.emplace_back(option);
        path = it->second;
      }
      if (hierarchy.controllers.empty()) continue;
    } else {
      continue;
    }
    hierarchy.own_dir = OwnDir(std::string(mount[4]), mount[3], path);
    hierarchy.at_root = hierarchy.own_dir == mount[4];
    found.push_back(std::move(hierarchy));
  }
  return found;
}

std::string ServerGroupName(const CgroupFs& fs, const std::string& proc, int pid) {
  return StrCat(kGroupPrefix, pid, "-", StartTime(fs, proc, pid));
}

void RemoveDeadServers(CgroupFs* fs, const std::string& proc, const std::string& own_dir) {
  for (const std::string& name : fs->Subgroups(own_dir)) {
    if (!StartsWith(name, kGroupPrefix)) continue;
    const std::vector<std::string_view> parts =
        Split(std::string_view(name).substr(kGroupPrefix.size()), "-.");
    int pid = 0;
    if (parts.size() < 2 || !ParseInt(parts[0], &pid)) continue;
    if (StartTime(*fs, proc, pid) == parts[1]) continue;
    RemoveTree(fs, StrCat(own_dir, "/", name)).IgnoreError();
  }
}

absl::StatusOr<std::string> MakeServerGroup(CgroupFs* fs, const std::string& own_dir,
                                            const std::string& name) {
  const std::string wanted = StrCat(own_dir, "/", name);
  absl::Status status = fs->Mkdir(wanted);
  if (status.ok()) return wanted;
  for (int n = 2; n <= kMaxSameNames && absl::IsAlreadyExists(status); ++n) {
    const std::string other = StrCat(wanted, ".", n);
    status = fs->Mkdir(other);
    if (status.ok()) return other;
  }
  return status;
}

absl::Status KillTree(CgroupFs* fs, const std::string& dir) {
  for (const std::string& name : fs->Subgroups(dir)) {
    RETURN_IF_ERROR(KillTree(fs, StrCat(dir, "/", name)));
  }
  if (!fs->Exists(dir)) return absl::OkStatus();
  for (int attempt = 0; attempt < kMaxRemoveAttempts; ++attempt) {
    ASSIGN_OR_RETURN(const std::string procs, fs->Read(StrCat(dir, "/cgroup.procs")));
    bool empty = true;
    for (std::string_view line : Split(procs, "\n")) {
      int pid = 0;
      if (!ParseInt(line, &pid) || pid <= 0) continue;
      empty = false;
      fs->KillProcess(pid);
    }
    if (empty) return absl::OkStatus();
    fs->Pause();
  }
  return absl::DeadlineExceededError(StrCat("processes in ", dir, " do not end"));
}

absl::Status RemoveTree(CgroupFs* fs, const std::string& dir) {
  RETURN_IF_ERROR(KillTree(fs, dir));
  for (const std::string& name : fs->Subgroups(dir)) {
    RETURN_IF_ERROR(RemoveTree(fs, StrCat(dir, "/", name)));
  }
  absl::Status status;
  for (int attempt = 0; attempt < kMaxRemoveAttempts; ++attempt) {
    status = fs->Rmdir(dir);
    if (status.ok()) return status;
    fs->Pause();  // zombies keep their group until they are reaped
  }
  return status;
}

int64_t KeyedNumber(std::string_view text, std::string_view key, int64_t fallback) {
  for (std::string_view line : Split(text, "\n")) {
    const auto [name, number] = SplitOnce(line, " ");
    int64_t value = 0;
    if (name == key && ParseInt(number, &value)) return value;
  }
  return fallback;
}

int64_t FileNumber(const CgroupFs& fs, const std::string& path, int64_t fallback) {
  int64_t value = 0;
  absl::StatusOr<std::string> text = fs.Read(path);
  if (!text.ok() || !ParseInt(StripWhitespace(*text), &value)) return fallback;
  return value;
}

}  // namespace caxton::platform
