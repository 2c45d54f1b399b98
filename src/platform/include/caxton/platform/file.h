// SPDX-License-Identifier: Apache-2.0
//
// Files: whole reads with a limit, atomic durable replacement, the lock of a data directory.
// Every error names the path. Thread rule: thread-safe, except that a DirectoryLock has one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/platform/fd.h"

namespace caxton::platform {

// The whole file; RESOURCE_EXHAUSTED if it holds more than `limit` bytes, NOT_FOUND if there is
// none.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t limit);

// Replaces `path` by `content`: after OK the new content survives a power cut, before it the old
// one does. Writes beside it, fsyncs, renames, fsyncs the directory.
absl::Status WriteFileAtomic(const std::string& path, std::string_view content);

// Writes `value` into an existing control file (/proc, cgroup) in one write.
absl::Status WriteControlFile(const std::string& path, std::string_view value);

// One pwrite of all of `data`; no fsync.
absl::Status PwriteAll(int fd, int64_t offset, std::string_view data);

absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, uint32_t mode = 0600);
// Creates what is missing of `path`, mode 0700.
absl::Status MkdirAll(const std::string& path);
absl::Status SyncDirectory(const std::string& path);
absl::Status RemoveFile(const std::string& path);  // a missing file is fine
bool PathExists(const std::string& path);
// Names in a directory, sorted, without "." and "..".
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);
// Bytes an unprivileged writer may still use on the file system of `path`.
absl::StatusOr<int64_t> FreeBytes(const std::string& path);
// The running program's own path, and the directory it lies in.
absl::StatusOr<std::string> SelfExecutable();

// Exclusive lock on `directory`, held through its file LOCK for the life of the object; the kernel
// releases it when the process dies, however it dies. FAILED_PRECONDITION, reason DATA_DIR_IN_USE,
// names the holder's pid.
class DirectoryLock {
 public:
  static absl::StatusOr<DirectoryLock> Acquire(const std::string& directory);

 private:
  explicit DirectoryLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace caxton::platform
