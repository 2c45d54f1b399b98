// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/jail.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_join.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/file.h"
#include "caxton/platform/limits.h"

namespace caxton::platform {
namespace {

// No mount namespace: the empty root below needs no mount, and there is none to hide once a process
// has it.
constexpr int kNamespaces = CLONE_NEWNET | CLONE_NEWIPC;

// Inside a new user namespace: this user alone, known there as nobody.
absl::Status MapSelfToNobody(uid_t uid, gid_t gid) {
  RETURN_IF_ERROR(WriteControlFile("/proc/self/setgroups", "deny"));
  RETURN_IF_ERROR(WriteControlFile("/proc/self/uid_map", StrCat(kNobodyId, " ", uid, " 1\n")));
  return WriteControlFile("/proc/self/gid_map", StrCat(kNobodyId, " ", gid, " 1\n"));
}

absl::Status DropCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capset, &header, none) != 0) return ErrnoStatus(errno, "dropping capabilities");
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL) {
    return ErrnoStatus(errno, "dropping ambient capabilities");
  }
  return absl::OkStatus();
}

absl::Status DieWithParent(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "tying this process to its parent");
  }
  if (::getppid() != parent) return absl::AbortedError("the parent ended while the jail was built");
  return absl::OkStatus();
}

}  // namespace

std::string JailReport::ToString() const {
  if (not_enforced.empty()) return "everything enforced";
  return StrCat("not enforced: ", absl::StrJoin(not_enforced, "; "));
}

void CloseFdsFrom(int first) { ::syscall(SYS_close_range, first, ~0U, 0); }

absl::Status SetNoNewPrivs() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "giving up new privileges");
  }
  return absl::OkStatus();
}

absl::Status EnterNamespaces() {
  if (::unshare(kNamespaces) == 0) return absl::OkStatus();
  if (errno != EPERM) return ErrnoStatus(errno, "network and IPC namespaces");
  // Without the capability, a user namespace of one's own brings it.
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(kNamespaces | CLONE_NEWUSER) != 0) {
    return ErrnoStatus(errno, "user, network and IPC namespaces");
  }
  return MapSelfToNobody(uid, gid);
}

absl::Status EnterEmptyRoot() {
  // This directory holds nothing but the process's own descriptors, needs no mount and no clean-up.
  if (::chroot("/proc/self/fd") != 0) return ErrnoStatus(errno, "empty root directory");
  if (::chdir("/") != 0) return ErrnoStatus(errno, "changing to the empty root directory");
  return absl::OkStatus();
}

absl::Status DropPrivileges() {
  if (::geteuid() == 0) {
    if (::setgroups(0, nullptr) != 0) return ErrnoStatus(errno, "dropping supplementary groups");
    if (::setresgid(kNobodyId, kNobodyId, kNobodyId) != 0) {
      return ErrnoStatus(errno, "becoming group nobody");
    }
    if (::setresuid(kNobodyId, kNobodyId, kNobodyId) != 0) {
      return ErrnoStatus(errno, "becoming user nobody");
    }
    if (::setuid(0) == 0) return absl::InternalError("user nobody could become root again");
  }
  RETURN_IF_ERROR(DropCapabilities());
  // All workers share the user nobody: none may look into another.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return ErrnoStatus(errno, "hiding from debuggers");
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0) return ErrnoStatus(errno, "forbidding core files");
  return absl::OkStatus();
}

absl::StatusOr<JailReport> EnterJail(const JailOptions& options) {
  JailReport report;
  auto optional_step = [&report](const absl::Status& status) {
    if (!status.ok()) report.not_enforced.emplace_back(status.message());
  };
  const pid_t parent = ::getppid();
  RETURN_IF_ERROR(SetNoNewPrivs());
  CloseFdsFrom(options.first_closed_fd);
  optional_step(EnterNamespaces());
  optional_step(EnterEmptyRoot());
  RETURN_IF_ERROR(DropPrivileges());
  if (options.die_with_parent) RETURN_IF_ERROR(DieWithParent(parent));
  return report;
}

std::string FdPath(int fd) {
  const std::string usual = StrCat("/proc/self/fd/", fd);
  return ::access(usual.c_str(), F_OK) == 0 ? usual : StrCat("/", fd);
}

}  // namespace caxton::platform
