// SPDX-License-Identifier: Apache-2.0
//
// v2: one tree. A group whose controllers are handed down may hold no processes, so the server
// moves itself into a leaf first.
#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/limits.h"
#include "cgroup_tree.h"

namespace caxton::platform {
namespace {

constexpr int64_t kMinWeight = 1;
constexpr int64_t kMaxWeight = 10'000;
constexpr int64_t kMillisPerWeight = 10;  // weight 100, the kernel's default, is 1000 millicores

class GroupV2 final : public Cgroup {
 public:
  GroupV2(std::shared_ptr<CgroupFs> fs, std::string dir, CgroupReport report)
      : fs_(std::move(fs)), dir_(std::move(dir)), report_(std::move(report)) {}
  ~GroupV2() override { Remove().IgnoreError(); }

  void Join(SpawnOptions* options) const override {
    options->cgroup_procs_files.push_back(dir_ + "/cgroup.procs");
  }

  absl::Status SetLimits(const CgroupLimits& limits) override {
    if (report_.memory) RETURN_IF_ERROR(SetMemory(limits.memory_bytes));
    if (report_.cpu) RETURN_IF_ERROR(SetCpu(limits));
    if (!report_.pids) return absl::OkStatus();
    return fs_->Write(dir_ + "/pids.max", limits.pids_max > 0 ? StrCat(limits.pids_max) : "max");
  }

  absl::Status SetCpuShare(int64_t cpu_millis) override {
    if (!report_.cpu) return absl::OkStatus();
    const int64_t weight = std::clamp(cpu_millis / kMillisPerWeight, kMinWeight, kMaxWeight);
    return fs_->Write(dir_ + "/cpu.weight", StrCat(weight));
  }

  absl::StatusOr<CgroupUsage> Usage() const override {
    CgroupUsage usage;
    if (report_.memory) {
      usage.memory_bytes = FileNumber(*fs_, dir_ + "/memory.current", 0);
      usage.peak_memory_bytes = FileNumber(*fs_, dir_ + "/memory.peak", usage.memory_bytes);
      ASSIGN_OR_RETURN(const std::string events, fs_->Read(dir_ + "/memory.events"));
      usage.oom_kills = KeyedNumber(events, "oom_kill", 0);
    }
    ASSIGN_OR_RETURN(const std::string stat, fs_->Read(dir_ + "/cpu.stat"));
    usage.cpu_usec = KeyedNumber(stat, "usage_usec", 0);
    usage.throttled_usec = KeyedNumber(stat, "throttled_usec", 0);
    return usage;
  }

  absl::Status KillAll() override {
    // Older kernels have no switch; then one by one.
    if (fs_->Exists(dir_ + "/cgroup.kill") && fs_->Write(dir_ + "/cgroup.kill", "1").ok()) {
      return absl::OkStatus();
    }
    return KillTree(fs_.get(), dir_);
  }

  absl::Status Remove() override { return RemoveTree(fs_.get(), dir_); }

 private:
  absl::Status SetMemory(int64_t bytes) {
    const bool limited = bytes > 0;
    RETURN_IF_ERROR(fs_->Write(dir_ + "/memory.high",
                               limited ? StrCat(bytes / 100 * kMemoryHighPercent) : "max"));
    RETURN_IF_ERROR(fs_->Write(dir_ + "/memory.max", limited ? StrCat(bytes) : "max"));
    // A limit that swaps is none. Kernels without swap accounting have no such file.
    const std::string swap = dir_ + "/memory.swap.max";
    return fs_->Exists(swap) ? fs_->Write(swap, limited ? "0" : "max") : absl::OkStatus();
  }

  absl::Status SetCpu(const CgroupLimits& limits) {
    RETURN_IF_ERROR(SetCpuShare(limits.cpu_millis));
    const int64_t quota =
        std::max(kMinCpuQuotaUsec, kCpuQuotaPeriodUsec * limits.cpu_max_millis / 1000);
    return fs_->Write(dir_ + "/cpu.max", StrCat(limits.cpu_max_millis > 0 ? StrCat(quota) : "max",
                                                " ", kCpuQuotaPeriodUsec));
  }

  std::shared_ptr<CgroupFs> fs_;
  std::string dir_;
  CgroupReport report_;
};

class ManagerV2 final : public CgroupManager {
 public:
  // `dir` empty: nothing to remove at the end.
  ManagerV2(std::shared_ptr<CgroupFs> fs, std::string dir, CgroupReport report)
      : fs_(std::move(fs)), dir_(std::move(dir)), report_(std::move(report)) {}

  // The server itself still sits in its leaf; the next server removes what remains.
  ~ManagerV2() override = default;

  const CgroupReport& report() const override { return report_; }

  absl::StatusOr<std::unique_ptr<Cgroup>> Create(const std::string& name,
                                                 const CgroupLimits& limits) override {
    const std::string dir = StrCat(dir_, "/", name);
    RETURN_IF_ERROR(fs_->Mkdir(dir));
    auto group = std::make_unique<GroupV2>(fs_, dir, report_);
    RETURN_IF_ERROR(group->SetLimits(limits));
    return group;
  }

 private:
  std::shared_ptr<CgroupFs> fs_;
  std::string dir_;
  CgroupReport report_;
};

bool HasWord(std::string_view text, std::string_view word) {
  const std::vector<std::string_view> words = Split(text, " \n");
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Hands `controllers` down to the groups below `dir`.
absl::Status Delegate(CgroupFs* fs, const std::string& dir,
                      const std::vector<std::string>& controllers) {
  return fs->Write(dir + "/cgroup.subtree_control", StrCat("+", absl::StrJoin(controllers, " +")));
}

absl::StatusOr<std::string> Setup(CgroupFs* fs, const CgroupHierarchy& hierarchy,
                                  const std::vector<std::string>& controllers,
                                  const CgroupOptions& options) {
  RemoveDeadServers(fs, options.proc, hierarchy.own_dir);
  ASSIGN_OR_RETURN(
      const std::string dir,
      MakeServerGroup(fs, hierarchy.own_dir, ServerGroupName(*fs, options.proc, options.pid)));
  const std::string leaf = dir + "/server";
  absl::Status status = fs->Mkdir(leaf);
  if (status.ok()) status = fs->Write(leaf + "/cgroup.procs", StrCat(options.pid));
  if (status.ok()) {
    status = Delegate(fs, hierarchy.own_dir, controllers);
    if (status.ok()) status = Delegate(fs, dir, controllers);
    if (!status.ok()) {
      // Back to where it was: other processes sit beside it there.
      fs->Write(hierarchy.own_dir + "/cgroup.procs", StrCat(options.pid)).IgnoreError();
    }
  }
  if (!status.ok()) {
    fs->Rmdir(leaf).IgnoreError();
    fs->Rmdir(dir).IgnoreError();
    return status;
  }
  return dir;
}

}  // namespace

std::unique_ptr<CgroupManager> OpenCgroupsV2(std::shared_ptr<CgroupFs> fs,
                                             const CgroupHierarchy& hierarchy,
                                             const CgroupOptions& options) {
  CgroupReport report;
  auto refuse = [&fs, &report](std::string why) {
    report = CgroupReport{};
    report.detail = std::move(why);
    return std::make_unique<ManagerV2>(fs, "", report);
  };
  absl::StatusOr<std::string> offered = fs->Read(hierarchy.own_dir + "/cgroup.controllers");
  if (!offered.ok()) return refuse(std::string(offered.status().message()));
  report.memory = HasWord(*offered, "memory");
  report.cpu = HasWord(*offered, "cpu");
  report.pids = HasWord(*offered, "pids");
  std::vector<std::string> controllers;
  if (report.memory) controllers.push_back("memory");
  if (report.cpu) controllers.push_back("cpu");
  if (report.pids) controllers.push_back("pids");
  if (!report.memory && !report.cpu) {
    return refuse(StrCat("cgroup v2 at ", hierarchy.own_dir,
                         " has neither the memory nor the cpu controller"));
  }
  if (!fs->Writable(hierarchy.own_dir)) {
    return refuse(StrCat(hierarchy.own_dir, " may not be written by this user"));
  }
  absl::StatusOr<std::string> dir = Setup(fs.get(), hierarchy, controllers, options);
  if (!dir.ok()) return refuse(std::string(dir.status().message()));
  report.version = 2;
  report.detail = StrCat("cgroup v2 groups in ", *dir, " with ", absl::StrJoin(controllers, ", "));
  if (!report.memory || !report.cpu || !report.pids) {
    report.fix = "have the memory, cpu and pids controllers delegated to the server's cgroup";
  }
  return std::make_unique<ManagerV2>(std::move(fs), *std::move(dir), std::move(report));
}

}  // namespace caxton::platform
