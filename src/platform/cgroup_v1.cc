// SPDX-License-Identifier: Apache-2.0
//
// v1: one directory per controller; a group is the same name in each. No memory.high, no kill
// switch.
#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/limits.h"
#include "cgroup_tree.h"

namespace caxton::platform {
namespace {

constexpr int64_t kSharesPerCore = 1024;
constexpr int64_t kMinShares = 2;

// The directory of a group in each controller; empty where there is no such controller.
struct Dirs {
  std::string memory, cpu, cpuacct, pids;

  // Each once (cpu and cpuacct are often one).
  std::vector<std::string> All() const {
    std::vector<std::string> all;
    for (const std::string* dir : {&memory, &cpu, &cpuacct, &pids}) {
      if (!dir->empty() && std::find(all.begin(), all.end(), *dir) == all.end()) {
        all.push_back(*dir);
      }
    }
    return all;
  }

  Dirs Below(const std::string& name) const {
    auto below = [&name](const std::string& dir) {
      return dir.empty() ? dir : StrCat(dir, "/", name);
    };
    return Dirs{below(memory), below(cpu), below(cpuacct), below(pids)};
  }
};

class GroupV1 final : public Cgroup {
 public:
  GroupV1(std::shared_ptr<CgroupFs> fs, Dirs dirs) : fs_(std::move(fs)), dirs_(std::move(dirs)) {}
  ~GroupV1() override { Remove().IgnoreError(); }

  void Join(SpawnOptions* options) const override {
    for (const std::string& dir : dirs_.All()) {
      options->cgroup_procs_files.push_back(StrCat(dir, "/cgroup.procs"));
    }
  }

  absl::Status SetLimits(const CgroupLimits& limits) override {
    RETURN_IF_ERROR(SetMemory(limits));
    RETURN_IF_ERROR(SetCpu(limits));
    if (dirs_.pids.empty()) return absl::OkStatus();
    return fs_->Write(dirs_.pids + "/pids.max",
                      limits.pids_max > 0 ? StrCat(limits.pids_max) : "max");
  }

  absl::Status SetCpuShare(int64_t cpu_millis) override {
    if (dirs_.cpu.empty()) return absl::OkStatus();
    const int64_t shares = std::max(kMinShares, kSharesPerCore * cpu_millis / 1000);
    return fs_->Write(dirs_.cpu + "/cpu.shares", StrCat(shares));
  }

  absl::StatusOr<CgroupUsage> Usage() const override {
    CgroupUsage usage;
    if (!dirs_.memory.empty()) {
      usage.memory_bytes = FileNumber(*fs_, dirs_.memory + "/memory.usage_in_bytes", 0);
      usage.peak_memory_bytes = FileNumber(*fs_, dirs_.memory + "/memory.max_usage_in_bytes", 0);
      ASSIGN_OR_RETURN(const std::string oom, fs_->Read(dirs_.memory + "/memory.oom_control"));
      usage.oom_kills = KeyedNumber(oom, "oom_kill", 0);
    }
    if (!dirs_.cpuacct.empty()) {
      usage.cpu_usec = FileNumber(*fs_, dirs_.cpuacct + "/cpuacct.usage", 0) / kNanosPerMicro;
    }
    if (!dirs_.cpu.empty()) {
      ASSIGN_OR_RETURN(const std::string stat, fs_->Read(dirs_.cpu + "/cpu.stat"));
      usage.throttled_usec = KeyedNumber(stat, "throttled_time", 0) / kNanosPerMicro;
    }
    return usage;
  }

  absl::Status KillAll() override {
    for (const std::string& dir : dirs_.All()) RETURN_IF_ERROR(KillTree(fs_.get(), dir));
    return absl::OkStatus();
  }

  absl::Status Remove() override {
    for (const std::string& dir : dirs_.All()) RETURN_IF_ERROR(RemoveTree(fs_.get(), dir));
    return absl::OkStatus();
  }

 private:
  absl::Status SetMemory(const CgroupLimits& limits) {
    if (dirs_.memory.empty()) return absl::OkStatus();
    const std::string value = limits.memory_bytes > 0 ? StrCat(limits.memory_bytes) : "-1";
    const std::string memory = dirs_.memory + "/memory.limit_in_bytes";
    const std::string with_swap = dirs_.memory + "/memory.memsw.limit_in_bytes";
    // Memory may never exceed memory+swap: which one goes first depends on the direction. Swap
    // accounting may be off; then its file is not there.
    absl::Status status = fs_->Write(memory, value);
    if (!status.ok() && fs_->Exists(with_swap)) {
      RETURN_IF_ERROR(fs_->Write(with_swap, value));
      status = fs_->Write(memory, value);
    } else if (status.ok() && fs_->Exists(with_swap)) {
      status = fs_->Write(with_swap, value);
    }
    return status;
  }

  absl::Status SetCpu(const CgroupLimits& limits) {
    if (dirs_.cpu.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(SetCpuShare(limits.cpu_millis));
    if (!fs_->Exists(dirs_.cpu + "/cpu.cfs_quota_us")) return absl::OkStatus();
    if (limits.cpu_max_millis <= 0) return fs_->Write(dirs_.cpu + "/cpu.cfs_quota_us", "-1");
    const int64_t quota =
        std::max(kMinCpuQuotaUsec, kCpuQuotaPeriodUsec * limits.cpu_max_millis / 1000);
    RETURN_IF_ERROR(fs_->Write(dirs_.cpu + "/cpu.cfs_period_us", StrCat(kCpuQuotaPeriodUsec)));
    return fs_->Write(dirs_.cpu + "/cpu.cfs_quota_us", StrCat(quota));
  }

  std::shared_ptr<CgroupFs> fs_;
  Dirs dirs_;
};

class ManagerV1 final : public CgroupManager {
 public:
  ManagerV1(std::shared_ptr<CgroupFs> fs, Dirs dirs, CgroupReport report)
      : fs_(std::move(fs)), dirs_(std::move(dirs)), report_(std::move(report)) {}
  ~ManagerV1() override {
    for (const std::string& dir : dirs_.All()) RemoveTree(fs_.get(), dir).IgnoreError();
  }

  const CgroupReport& report() const override { return report_; }

  absl::StatusOr<std::unique_ptr<Cgroup>> Create(const std::string& name,
                                                 const CgroupLimits& limits) override {
    const Dirs below = dirs_.Below(name);
    // The destructor takes back what was made when a later step fails.
    auto group = std::make_unique<GroupV1>(fs_, below);
    for (const std::string& dir : below.All()) RETURN_IF_ERROR(fs_->Mkdir(dir));
    RETURN_IF_ERROR(group->SetLimits(limits));
    return group;
  }

 private:
  std::shared_ptr<CgroupFs> fs_;
  Dirs dirs_;
  CgroupReport report_;
};

struct Opened {
  std::string dir;    // empty: not there
  std::string fault;  // why not
};

Opened OpenController(CgroupFs* fs, const std::vector<CgroupHierarchy>& hierarchies,
                      std::string_view controller, const CgroupOptions& options) {
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (!hierarchy.Has(controller)) continue;
    if (!fs->Writable(hierarchy.own_dir)) {
      return {"", StrCat(hierarchy.own_dir, " may not be written")};
    }
    RemoveDeadServers(fs, options.proc, hierarchy.own_dir);
    absl::StatusOr<std::string> dir =
        MakeServerGroup(fs, hierarchy.own_dir, ServerGroupName(*fs, options.proc, options.pid));
    if (!dir.ok()) return {"", std::string(dir.status().message())};
    return {*std::move(dir), ""};
  }
  return {"", StrCat("no v1 controller '", controller, "'")};
}

// The hierarchy that holds both cpu and cpuacct has been opened for cpu already.
bool ShareHierarchy(const std::vector<CgroupHierarchy>& hierarchies) {
  return std::any_of(hierarchies.begin(), hierarchies.end(),
                     [](const CgroupHierarchy& h) { return h.Has("cpu") && h.Has("cpuacct"); });
}

}  // namespace

std::unique_ptr<CgroupManager> OpenCgroupsV1(std::shared_ptr<CgroupFs> fs,
                                             const std::vector<CgroupHierarchy>& hierarchies,
                                             const CgroupOptions& options) {
  const Opened memory = OpenController(fs.get(), hierarchies, "memory", options);
  const Opened cpu = OpenController(fs.get(), hierarchies, "cpu", options);
  const Opened pids = OpenController(fs.get(), hierarchies, "pids", options);
  const Opened cpuacct =
      ShareHierarchy(hierarchies) ? cpu : OpenController(fs.get(), hierarchies, "cpuacct", options);
  const Dirs dirs{memory.dir, cpu.dir, cpuacct.dir, pids.dir};
  CgroupReport report;
  report.memory = !memory.dir.empty();
  report.cpu = !cpu.dir.empty();
  report.pids = !pids.dir.empty();
  std::vector<std::string> faults;
  for (const Opened* opened : {&memory, &cpu, &pids}) {
    if (!opened->fault.empty()) faults.push_back(opened->fault);
  }
  if (!report.memory && !report.cpu) {
    report.detail = absl::StrJoin(faults, ", ");
    return std::make_unique<ManagerV1>(std::move(fs), dirs, std::move(report));
  }
  report.version = 1;
  report.detail = StrCat("cgroup v1 groups in ", absl::StrJoin(dirs.All(), ", "));
  if (!faults.empty()) {
    StrAppend(&report.detail, "; not enforced: ", absl::StrJoin(faults, ", "));
    report.fix = "make these directories writable for the server's user";
  }
  return std::make_unique<ManagerV1>(std::move(fs), dirs, std::move(report));
}

}  // namespace caxton::platform
