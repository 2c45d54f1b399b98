// SPDX-License-Identifier: Apache-2.0
#include "files.h"

#include <errno.h>
#include <sys/stat.h>

#include <fstream>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/units.h"

namespace caxton::cli {
namespace {

// From errno. A file of this machine is no refusal of the server's: always exit status 1.
absl::Status CannotRead(const std::string& path, std::string_view fix) {
  const absl::Status why = ErrnoStatus(errno, StrCat("Cannot read ", path));
  return WithFix(absl::UnknownError(why.message()), fix);
}

}  // namespace

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
    return CannotRead(path, "check the path; it is taken from the current folder");
  }
  if (S_ISDIR(info.st_mode)) {
    return WithFix(absl::UnknownError(StrCat("Cannot read ", path, ": it is a folder")),
                   "name the file in it");
  }
  if (S_ISREG(info.st_mode) && static_cast<size_t>(info.st_size) > limit) {
    return absl::OutOfRangeError(StrCat(path, " has ", info.st_size, " bytes"));
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return CannotRead(path, "check its permissions");
  auto text = ReadStreamUpTo(in, limit);
  if (!text.ok()) return Annotate(text.status(), path);
  return text;
}

}  // namespace caxton::cli
