// SPDX-License-Identifier: Apache-2.0
#include "last_synced.h"

#include <fcntl.h>

#include "caxton/base/status.h"
#include "caxton/base/wire.h"
#include "caxton/platform/file.h"

namespace caxton::journal {
namespace {
constexpr size_t kFileBytes = 16;
}  // namespace

absl::StatusOr<uint64_t> LastSynced::Read(const std::string& path) {
  if (!platform::PathExists(path)) return 0;
  ASSIGN_OR_RETURN(const std::string bytes, platform::ReadFile(path, kFileBytes));
  if (bytes.find_first_not_of('\0') == std::string::npos) return 0;
  ByteReader r(bytes);
  const uint64_t sequence = r.U64();
  if (r.U64() != ~sequence) r.Fail();
  RETURN_IF_ERROR(r.Finish(path));
  return sequence;
}

absl::StatusOr<std::unique_ptr<LastSynced>> LastSynced::Open(const std::string& path) {
  ASSIGN_OR_RETURN(platform::UniqueFd fd, platform::OpenFile(path, O_WRONLY | O_CREAT | O_CLOEXEC));
  return std::unique_ptr<LastSynced>(new LastSynced(std::move(fd)));
}

absl::Status LastSynced::Record(uint64_t sequence) {
  std::string bytes;
  ByteWriter w(&bytes);
  w.U64(sequence);
  w.U64(~sequence);
  return platform::PwriteAll(fd_.get(), 0, bytes);
}

}  // namespace caxton::journal
