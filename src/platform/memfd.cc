// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::platform {
namespace {

int SealBits(Seal seal) {
  constexpr int kSizeBits = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  return seal == Seal::kSize ? kSizeBits : kSizeBits | F_SEAL_WRITE;
}

constexpr size_t kReadChunkBytes = 64 << 10;

}  // namespace

absl::StatusOr<UniqueFd> CreateMemfd(const std::string& name, size_t size) {
  UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid()) return ErrnoStatus(errno, StrCat("creating shared memory '", name, "'"));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
    return ErrnoStatus(errno, StrCat("sizing shared memory '", name, "' to ", size, " bytes"));
  }
  return fd;
}

absl::Status SealMemfd(int fd, Seal seal) {
  if (::fcntl(fd, F_ADD_SEALS, SealBits(seal)) != 0) {
    return ErrnoStatus(errno, "sealing shared memory");
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> MemfdWithContent(const std::string& name, std::string_view content) {
  ASSIGN_OR_RETURN(UniqueFd fd, CreateMemfd(name, 0));
  RETURN_IF_ERROR(WriteFd(fd.get(), content));
  RETURN_IF_ERROR(SealMemfd(fd.get(), Seal::kContent));
  return fd;
}

absl::Status CheckSealed(int fd, Seal seal) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return ErrnoStatus(errno, "reading the seals of shared memory");
  const int wanted = SealBits(seal);
  if ((seals & wanted) != wanted) {
    return absl::FailedPreconditionError(
        StrCat("shared memory is not sealed as agreed: seals ", seals, ", want ", wanted));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> FdSize(int fd) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return ErrnoStatus(errno, "reading the size of a descriptor");
  return static_cast<size_t>(st.st_size);
}

absl::StatusOr<std::string> ReadFd(int fd, size_t limit) {
  std::string content;
  if (absl::StatusOr<size_t> size = FdSize(fd); size.ok()) {
    content.reserve(std::min(*size, limit) + 1);
  }
  while (true) {
    // One byte beyond the limit is asked for, to tell "exactly" from "more".
    const size_t had = content.size();
    const size_t want = std::min(kReadChunkBytes, limit + 1 - had);
    content.resize(had + want);
    const ssize_t n = ::pread(fd, content.data() + had, want, static_cast<off_t>(had));
    if (n < 0 && errno != EINTR) return ErrnoStatus(errno, "reading");
    content.resize(had + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return content;
    if (content.size() > limit) {
      return absl::ResourceExhaustedError(StrCat("holds more than ", limit, " bytes"));
    }
  }
}

absl::Status WriteFd(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, "writing");
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::StatusOr<Mapping> Mapping::Map(int fd, size_t size, Access access) {
  const int protection = access == Access::kRead ? PROT_READ : PROT_READ | PROT_WRITE;
  void* data = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) {
    return ErrnoStatus(errno, StrCat("mapping ", size, " bytes of shared memory"));
  }
  return Mapping(static_cast<std::byte*>(data), size);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace caxton::platform
