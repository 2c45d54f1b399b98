// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/memfd.h"

namespace caxton::platform {
namespace {

constexpr uint32_t kDirectoryMode = 0700;
constexpr size_t kMaxLockFileBytes = 64;

std::string ParentOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status WriteAndSync(const std::string& path, std::string_view content) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC));
  if (absl::Status s = WriteFd(fd.get(), content); !s.ok()) return Annotate(s, path);
  if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, StrCat("syncing ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, uint32_t mode) {
  int fd;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return ErrnoStatus(errno, StrCat("opening ", path));
  return UniqueFd(fd);
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY));
  absl::StatusOr<std::string> content = ReadFd(fd.get(), limit);
  if (!content.ok()) return Annotate(content.status(), path);
  return content;
}

absl::Status WriteFileAtomic(const std::string& path, std::string_view content) {
  const std::string beside = StrCat(path, ".tmp.", ::getpid());
  absl::Status status = WriteAndSync(beside, content);
  if (status.ok() && ::rename(beside.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, StrCat("renaming ", beside, " to ", path));
  }
  if (!status.ok()) {
    ::unlink(beside.c_str());
    return status;
  }
  return SyncDirectory(ParentOf(path));
}

absl::Status WriteControlFile(const std::string& path, std::string_view value) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_WRONLY));
  ssize_t n;
  do {
    n = ::write(fd.get(), value.data(), value.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) return ErrnoStatus(errno, StrCat("writing '", value, "' to ", path));
  return absl::OkStatus();
}

absl::Status PwriteAll(int fd, int64_t offset, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::pwrite(fd, data.data(), data.size(), offset);
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "writing in place");
    }
    data.remove_prefix(static_cast<size_t>(n));
    offset += n;
  }
  return absl::OkStatus();
}

absl::Status MkdirAll(const std::string& path) {
  if (path.empty()) return absl::InvalidArgumentError("creating a directory: its path is empty");
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
      return ErrnoStatus(errno, StrCat("creating directory ", part));
    }
    if (slash == std::string::npos) break;
  }
  struct stat st;
  if (::stat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) {
    return absl::FailedPreconditionError(StrCat(path, " exists and is not a directory"));
  }
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return ErrnoStatus(errno, StrCat("syncing directory ", path));
  return absl::OkStatus();
}

absl::Status RemoveFile(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, StrCat("removing ", path));
  }
  return absl::OkStatus();
}

bool PathExists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  struct Closer {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  std::unique_ptr<DIR, Closer> dir(::opendir(path.c_str()));
  if (dir == nullptr) return ErrnoStatus(errno, StrCat("listing ", path));
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return ErrnoStatus(errno, StrCat("listing ", path));
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<int64_t> FreeBytes(const std::string& path) {
  struct statvfs st;
  if (::statvfs(path.c_str(), &st) != 0) {
    return ErrnoStatus(errno, StrCat("asking for the free space of ", path));
  }
  return static_cast<int64_t>(st.f_bavail) * static_cast<int64_t>(st.f_frsize);
}

absl::StatusOr<std::string> SelfExecutable() {
  char path[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  if (n < 0) return ErrnoStatus(errno, "reading /proc/self/exe");
  return std::string(path, static_cast<size_t>(n));
}

absl::StatusOr<DirectoryLock> DirectoryLock::Acquire(const std::string& directory) {
  const std::string path = directory + "/LOCK";
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDWR | O_CREAT));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoStatus(errno, StrCat("locking ", path));
    absl::StatusOr<std::string> holder = ReadFd(fd.get(), kMaxLockFileBytes);
    const std::string pid = holder.ok() ? std::string(StripWhitespace(*holder)) : std::string();
    return WithFix(
        WithReason(absl::FailedPreconditionError(StrCat(
                       "data directory ", directory, " is in use by ",
                       pid.empty() ? "another server" : StrCat("the server with pid ", pid))),
                   "DATA_DIR_IN_USE"),
        "stop that server, or give this one a directory of its own with --data-dir");
  }
  // The pid is for people; the lock itself is the kernel's.
  if (::ftruncate(fd.get(), 0) != 0) return ErrnoStatus(errno, StrCat("writing ", path));
  if (absl::Status s = PwriteAll(fd.get(), 0, StrCat(::getpid(), "\n")); !s.ok()) {
    return Annotate(s, path);
  }
  return DirectoryLock(std::move(fd));
}

}  // namespace caxton::platform
