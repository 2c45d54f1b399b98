// SPDX-License-Identifier: Apache-2.0
//
// v2 against a fake tree (a machine has one version), v1 and v2 against the kernel where something
// is writable.
#include "caxton/platform/cgroup.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <set>

#include "caxton/base/strings.h"
#include "cgroup_tree.h"

namespace caxton::platform {
namespace {

class FakeFs final : public CgroupFs {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) const override {
    auto it = files.find(path);
    if (it == files.end()) return absl::NotFoundError(StrCat("opening ", path));
    return it->second;
  }
  absl::Status Write(const std::string& path, std::string_view value) override {
    if (auto it = refuse_writes.find(path); it != refuse_writes.end()) return it->second;
    files[path] = std::string(value);
    return absl::OkStatus();
  }
  absl::Status Mkdir(const std::string& path) override {
    if (!dirs.insert(path).second) return absl::AlreadyExistsError(path);
    files[path + "/cgroup.procs"] = "";
    for (const std::string& name : new_group_files) files[StrCat(path, "/", name)] = "";
    return absl::OkStatus();
  }
  absl::Status Rmdir(const std::string& path) override {
    dirs.erase(path);
    return absl::OkStatus();
  }
  std::vector<std::string> Subgroups(const std::string& path) const override {
    std::vector<std::string> names;
    for (const std::string& dir : dirs) {
      if (StartsWith(dir, path + "/") && dir.find('/', path.size() + 1) == std::string::npos) {
        names.push_back(dir.substr(path.size() + 1));
      }
    }
    return names;
  }
  bool Exists(const std::string& path) const override {
    return dirs.contains(path) || files.contains(path);
  }
  bool Writable(const std::string& path) const override { return !read_only.contains(path); }
  void KillProcess(int pid) override {
    killed.insert(pid);
    for (auto& [path, text] : files) {
      if (EndsWith(path, "/cgroup.procs")) text.clear();
    }
  }
  void Pause() override {}

  std::map<std::string, std::string> files;
  std::set<std::string> dirs, read_only;
  std::map<std::string, absl::Status> refuse_writes;
  std::vector<std::string> new_group_files;
  std::set<int> killed;
};

// Field 22 is the start time.
std::string Stat(int pid, int start) {
  return StrCat(pid, " (a) b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 ", start, " 20");
}

class CgroupV2Test : public ::testing::Test {
 protected:
  void SetUp() override {
    fs_->files["/proc/self/mountinfo"] =
        "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
    fs_->files["/proc/self/cgroup"] = "0::/user.slice/scope\n";
    fs_->files["/proc/7/stat"] = Stat(7, 700);
    fs_->files[own_ + "/cgroup.controllers"] = "cpuset cpu io memory pids\n";
    fs_->new_group_files = {"memory.swap.max", "cgroup.kill"};
  }
  std::unique_ptr<CgroupManager> Open() {
    CgroupOptions options;
    options.pid = 7;
    return OpenCgroupsOn(fs_, options);
  }
  const std::string own_ = "/sys/fs/cgroup/user.slice/scope";
  const std::string dir_ = own_ + "/caxton-7-700";
  std::shared_ptr<FakeFs> fs_ = std::make_shared<FakeFs>();
};

TEST_F(CgroupV2Test, TheServerMovesIntoALeafAndHandsControllersDown) {
  auto manager = Open();
  ASSERT_EQ(manager->report().version, 2) << manager->report().detail;
  EXPECT_TRUE(manager->report().memory && manager->report().cpu && manager->report().pids);
  EXPECT_TRUE(manager->report().fix.empty());
  EXPECT_EQ(fs_->files[dir_ + "/server/cgroup.procs"], "7");
  EXPECT_EQ(fs_->files[own_ + "/cgroup.subtree_control"], "+memory +cpu +pids");
  EXPECT_EQ(fs_->files[dir_ + "/cgroup.subtree_control"], "+memory +cpu +pids");
}

TEST_F(CgroupV2Test, LimitsAreWritten) {
  auto manager = Open();
  auto group = manager->Create(
      "w1", {.memory_bytes = 1000, .cpu_millis = 500, .cpu_max_millis = 500, .pids_max = 9});
  ASSERT_TRUE(group.ok()) << group.status();
  const std::string dir = dir_ + "/w1";
  EXPECT_EQ(fs_->files[dir + "/memory.max"], "1000");
  EXPECT_EQ(fs_->files[dir + "/memory.high"], "900");
  EXPECT_EQ(fs_->files[dir + "/memory.swap.max"], "0");
  EXPECT_EQ(fs_->files[dir + "/cpu.weight"], "50");
  EXPECT_EQ(fs_->files[dir + "/cpu.max"], "2500 5000");
  EXPECT_EQ(fs_->files[dir + "/pids.max"], "9");
  SpawnOptions options;
  (*group)->Join(&options);
  EXPECT_EQ(options.cgroup_procs_files, std::vector<std::string>{dir + "/cgroup.procs"});
  ASSERT_TRUE((*group)->SetCpuShare(200).ok());
  EXPECT_EQ(fs_->files[dir + "/cpu.weight"], "20");
  ASSERT_TRUE((*group)->SetCpuShare(1).ok());
  EXPECT_EQ(fs_->files[dir + "/cpu.weight"], "1");
  ASSERT_TRUE((*group)->SetLimits({}).ok());
  EXPECT_EQ(fs_->files[dir + "/memory.max"], "max");
  EXPECT_EQ(fs_->files[dir + "/cpu.max"], "max 5000");
}

TEST_F(CgroupV2Test, UsageIsRead) {
  auto manager = Open();
  auto group = manager->Create("w1", {});
  const std::string dir = dir_ + "/w1";
  fs_->files[dir + "/memory.current"] = "42\n";
  fs_->files[dir + "/memory.peak"] = "99\n";
  fs_->files[dir + "/memory.events"] = "low 0\noom 3\noom_kill 2\n";
  fs_->files[dir + "/cpu.stat"] = "usage_usec 11\nthrottled_usec 5\n";
  auto usage = (*group)->Usage();
  ASSERT_TRUE(usage.ok());
  EXPECT_EQ(usage->memory_bytes, 42);
  EXPECT_EQ(usage->peak_memory_bytes, 99);
  EXPECT_EQ(usage->oom_kills, 2);
  EXPECT_EQ(usage->cpu_usec, 11);
  EXPECT_EQ(usage->throttled_usec, 5);
}

TEST_F(CgroupV2Test, AGroupSharedWithOthersIsLeftAloneAndExplained) {
  fs_->refuse_writes[own_ + "/cgroup.subtree_control"] =
      absl::UnavailableError("writing: Device or resource busy");
  auto manager = Open();
  EXPECT_EQ(manager->report().version, 0);
  EXPECT_TRUE(StrContains(manager->report().detail, "busy"));
  EXPECT_TRUE(StrContains(manager->report().fix, "Delegate=yes"));
  EXPECT_EQ(fs_->files[own_ + "/cgroup.procs"], "7") << "it moved back";
  EXPECT_TRUE(fs_->dirs.empty());
}

TEST_F(CgroupV2Test, NothingWritableIsANullManagerThatSaysSo) {
  fs_->read_only.insert(own_);
  auto manager = Open();
  EXPECT_EQ(manager->report().version, 0);
  EXPECT_TRUE(StrContains(manager->report().detail, own_));
  auto group = manager->Create("w1", {.memory_bytes = 1});
  ASSERT_TRUE(group.ok());
  SpawnOptions options;
  (*group)->Join(&options);
  EXPECT_TRUE(options.cgroup_procs_files.empty());
}

TEST_F(CgroupV2Test, DeadServersAreRemovedLiveOnesStay) {
  fs_->files["/proc/8/stat"] = Stat(8, 800);
  for (const char* name :
       {"caxton-8-800", "caxton-8-123", "caxton-9-900", "caxton-9-900/w1", "other"}) {
    ASSERT_TRUE(fs_->Mkdir(StrCat(own_, "/", name)).ok());
  }
  fs_->files[own_ + "/caxton-9-900/w1/cgroup.procs"] = "4711\n";
  auto manager = Open();
  EXPECT_EQ(fs_->Subgroups(own_),
            (std::vector<std::string>{"caxton-7-700", "caxton-8-800", "other"}));
  EXPECT_EQ(fs_->killed, std::set<int>{4711});
}

TEST_F(CgroupV2Test, TwoManagersOfOneProcessDoNotMeet) {
  auto first = Open();
  auto second = Open();
  EXPECT_EQ(second->report().version, 2);
  EXPECT_TRUE(fs_->dirs.contains(dir_ + ".2"));
}

TEST(FindHierarchies, ReadsHybridAndContainers) {
  const auto found = FindHierarchies(
      "1 0 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "2 0 0:2 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "3 0 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
      "4 0 0:4 / /proc rw - proc proc rw\nnonsense\n",
      "3:memory:/docker/x/sub\n2:cpu,cpuacct:/a\n0::/b\n");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].own_dir, "/sys/fs/cgroup/cpu,cpuacct/a");
  EXPECT_TRUE(found[0].Has("cpu") && found[0].Has("cpuacct"));
  EXPECT_EQ(found[1].own_dir, "/sys/fs/cgroup/memory/sub");
  EXPECT_TRUE(found[2].v2);
  EXPECT_EQ(found[2].own_dir, "/sys/fs/cgroup/unified/b");
}

// The kernel's own, as far as this machine lets us.
class RealCgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    manager_ = OpenCgroups({});
    if (manager_->report().version == 0) GTEST_SKIP() << manager_->report().detail;
  }
  ExitStatus RunIn(const Cgroup& group, const std::string& script) {
    SpawnOptions options;
    options.path = "/bin/sh";
    options.argv = {"sh", "-c", script};
    group.Join(&options);
    auto child = Spawn(options);
    EXPECT_TRUE(child.ok()) << child.status();
    if (!child.ok()) return {};
    return **WaitChild(*child, -1);
  }
  std::unique_ptr<CgroupManager> manager_;
};

TEST_F(RealCgroupTest, TheMemoryLimitKillsAHog) {
  if (!manager_->report().memory) GTEST_SKIP() << manager_->report().detail;
  auto group = manager_->Create("hog", {.memory_bytes = 32 << 20});
  ASSERT_TRUE(group.ok()) << group.status();
  // tail keeps the last line, which has no end, in memory.
  EXPECT_EQ(RunIn(**group, "exec tail /dev/zero").signal, SIGKILL);
  auto usage = (*group)->Usage();
  ASSERT_TRUE(usage.ok()) << usage.status();
  EXPECT_GE(usage->oom_kills, 1);
  EXPECT_GT(usage->peak_memory_bytes, 16 << 20);
  EXPECT_LE(usage->peak_memory_bytes, 33 << 20);
  EXPECT_TRUE((*group)->Remove().ok());
}

TEST_F(RealCgroupTest, LimitsMayBeRaisedAndLowered) {
  auto group = manager_->Create("adjust", {.memory_bytes = 32 << 20, .cpu_max_millis = 500});
  ASSERT_TRUE(group.ok()) << group.status();
  for (int64_t memory : {64 << 20, 16 << 20, 0}) {
    const absl::Status status = (*group)->SetLimits({.memory_bytes = memory, .cpu_millis = 2000});
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_F(RealCgroupTest, TheNumberOfProcessesIsLimited) {
  if (!manager_->report().pids) GTEST_SKIP() << manager_->report().detail;
  auto group = manager_->Create("pids", {.pids_max = 1});
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_FALSE(RunIn(**group, "/bin/true; exit 0").success() &&
               RunIn(**group, "(/bin/true) || exit 1").success());
}

TEST_F(RealCgroupTest, RemoveKillsWhatIsLeftAndUsageIsCounted) {
  auto group = manager_->Create("busy", {});
  ASSERT_TRUE(group.ok()) << group.status();
  SpawnOptions options;
  options.path = "/bin/sleep";
  options.argv = {"sleep", "1000"};
  (*group)->Join(&options);
  auto child = Spawn(options);
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_TRUE((*group)->Usage().ok());
  ASSERT_TRUE((*group)->KillAll().ok());
  EXPECT_EQ((*WaitChild(*child, -1))->signal, SIGKILL);
  EXPECT_TRUE((*group)->Remove().ok());
}

}  // namespace
}  // namespace caxton::platform
