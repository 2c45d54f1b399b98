// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/cgroup.h"

#include <unistd.h>

#include <utility>

#include "caxton/base/strings.h"
#include "cgroup_tree.h"

namespace caxton::platform {
namespace {

constexpr std::string_view kFix =
    "give the server a cgroup of its own: in a login session start it with "
    "`systemd-run --user --scope -p Delegate=yes caxton server start`, as a systemd service set "
    "Delegate=yes, in a container mount /sys/fs/cgroup writable";

class NullCgroup final : public Cgroup {
 public:
  void Join(SpawnOptions*) const override {}
  absl::Status SetLimits(const CgroupLimits&) override { return absl::OkStatus(); }
  absl::Status SetCpuShare(int64_t) override { return absl::OkStatus(); }
  absl::StatusOr<CgroupUsage> Usage() const override { return CgroupUsage{}; }
  absl::Status KillAll() override { return absl::OkStatus(); }
  absl::Status Remove() override { return absl::OkStatus(); }
};

class NullManager final : public CgroupManager {
 public:
  explicit NullManager(CgroupReport report) : report_(std::move(report)) {}
  const CgroupReport& report() const override { return report_; }
  absl::StatusOr<std::unique_ptr<Cgroup>> Create(const std::string&, const CgroupLimits&) override {
    return std::make_unique<NullCgroup>();
  }

 private:
  CgroupReport report_;
};

}  // namespace

std::unique_ptr<CgroupManager> NullCgroups(std::string why) {
  CgroupReport report;
  report.detail = std::move(why);
  return std::make_unique<NullManager>(std::move(report));
}

std::unique_ptr<CgroupManager> OpenCgroupsOn(std::shared_ptr<CgroupFs> fs,
                                             const CgroupOptions& asked) {
  CgroupOptions options = asked;
  if (options.pid == 0) options.pid = ::getpid();
  absl::StatusOr<std::string> mounts = fs->Read(options.mountinfo);
  absl::StatusOr<std::string> self = fs->Read(options.self_cgroup);
  CgroupReport nothing;
  nothing.fix = kFix;
  if (!mounts.ok() || !self.ok()) {
    nothing.detail = "memory and CPU limits are not enforced: this system shows no cgroups";
    return std::make_unique<NullManager>(std::move(nothing));
  }
  std::string tried;
  std::vector<CgroupHierarchy> v1;
  for (CgroupHierarchy& hierarchy : FindHierarchies(*mounts, *self)) {
    if (!hierarchy.v2) {
      v1.push_back(std::move(hierarchy));
      continue;
    }
    std::unique_ptr<CgroupManager> manager = OpenCgroupsV2(fs, hierarchy, options);
    if (manager->report().version == 2) return manager;
    tried = manager->report().detail;
  }
  if (!v1.empty()) {
    std::unique_ptr<CgroupManager> manager = OpenCgroupsV1(fs, v1, options);
    if (manager->report().version == 1) return manager;
    StrAppend(&tried, tried.empty() ? "" : "; ", manager->report().detail);
  }
  nothing.detail = StrCat("memory and CPU limits are not enforced: ",
                          tried.empty() ? "no cgroup hierarchy is mounted" : tried);
  return std::make_unique<NullManager>(std::move(nothing));
}

std::unique_ptr<CgroupManager> OpenCgroups(const CgroupOptions& options) {
  return OpenCgroupsOn(std::make_shared<KernelCgroupFs>(), options);
}

}  // namespace caxton::platform
