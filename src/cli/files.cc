// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <errno.h>
#include <sys/stat.h>

#include <fstream>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/units.h"

namespace caxton::cli {

absl::StatusOr<std::string> ReadStreamUpTo(std::istream& in, size_t limit) {
  std::string text;
  char buffer[64 << 10];
  while (in.read(buffer, sizeof buffer) || in.gcount() > 0) {
    text.append(buffer, static_cast<size_t>(in.gcount()));
    if (text.size() > limit) {
      return absl::OutOfRangeError(
          StrCat("it is larger than ", FormatSize(static_cast<int64_t>(limit))));
    }
  }
  if (in.bad()) return ErrnoStatus(errno, "reading failed");
  return text;
}

absl::StatusOr<std::string> ReadFileUpTo(const std::string& path, size_t limit) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) {
    return WithFix(ErrnoStatus(errno, StrCat("Cannot read ", path)),
                   "check the path; it is taken from the current folder");
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(StrCat("Cannot read ", path, ": it is a folder"));
  }
  if (S_ISREG(info.st_mode) && static_cast<size_t>(info.st_size) > limit) {
    return absl::OutOfRangeError(StrCat(path, " has ", info.st_size, " bytes"));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoStatus(errno, StrCat("Cannot read ", path));
  auto text = ReadStreamUpTo(in, limit);
  if (!text.ok()) return Annotate(text.status(), path);
  return text;
}

}  // namespace caxton::cli
