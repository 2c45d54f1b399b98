// SPDX-License-Identifier: Apache-2.0
#include "cgroup_fs.h"

#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/file.h"
#include "caxton/platform/limits.h"

namespace caxton::platform {

absl::StatusOr<std::string> KernelCgroupFs::Read(const std::string& path) const {
  return ReadFile(path, kMaxControlFileBytes);
}

absl::Status KernelCgroupFs::Write(const std::string& path, std::string_view value) {
  return WriteControlFile(path, value);
}

absl::Status KernelCgroupFs::Mkdir(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0) {
    return ErrnoStatus(errno, StrCat("creating cgroup ", path));
  }
  return absl::OkStatus();
}

absl::Status KernelCgroupFs::Rmdir(const std::string& path) {
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, StrCat("removing cgroup ", path));
  }
  return absl::OkStatus();
}

std::vector<std::string> KernelCgroupFs::Subgroups(const std::string& path) const {
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(path);
  std::vector<std::string> groups;
  if (!names.ok()) return groups;
  for (const std::string& name : *names) {
    struct stat st;
    if (::stat(StrCat(path, "/", name).c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
      groups.push_back(name);
    }
  }
  return groups;
}

bool KernelCgroupFs::Exists(const std::string& path) const { return PathExists(path); }

bool KernelCgroupFs::Writable(const std::string& path) const {
  return ::access(path.c_str(), W_OK) == 0;
}

void KernelCgroupFs::KillProcess(int pid) { ::kill(pid, SIGKILL); }

void KernelCgroupFs::Pause() {
  const timespec pause{0, 2'000'000};
  ::nanosleep(&pause, nullptr);
}

}  // namespace caxton::platform
