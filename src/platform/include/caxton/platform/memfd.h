// SPDX-License-Identifier: Apache-2.0
//
// Anonymous shared memory: memfds, seals and mappings.
//
// A memfd is made at its final size and sealed before it is given away, so that a peer can never
// shrink it under our mapping (SIGBUS). Whoever receives one checks seals and size before mapping.
// Thread rule: the functions are thread-safe; a Mapping is owned by one thread at a time, its bytes
// are not guarded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/platform/fd.h"

namespace caxton::platform {

enum class Seal {
  kSize,     // neither grows nor shrinks; no further seals
  kContent,  // nor is it ever written again. Fails while somebody has it mapped writable.
};

// A memfd of `size` zero bytes, close-on-exec. `name` is seen in /proc only.
absl::StatusOr<UniqueFd> CreateMemfd(const std::string& name, size_t size);
absl::Status SealMemfd(int fd, Seal seal);
// A memfd holding exactly `content`, sealed kContent.
absl::StatusOr<UniqueFd> MemfdWithContent(const std::string& name, std::string_view content);
// Whether `fd` is sealed at least as said; FAILED_PRECONDITION otherwise.
absl::Status CheckSealed(int fd, Seal seal);
// Size of what `fd` refers to, bytes.
absl::StatusOr<size_t> FdSize(int fd);

// Everything in `fd` from offset 0, by pread; RESOURCE_EXHAUSTED beyond `limit` bytes.
absl::StatusOr<std::string> ReadFd(int fd, size_t limit);
// Writes all of `data` at the descriptor's position.
absl::Status WriteFd(int fd, std::string_view data);

// A MAP_SHARED mapping of a whole file or memfd; unmaps when it goes. Move-only.
class Mapping {
 public:
  enum class Access { kRead, kReadWrite };
  static absl::StatusOr<Mapping> Map(int fd, size_t size, Access access);

  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  Mapping(std::byte* data, size_t size) : data_(data), size_(size) {}
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace caxton::platform
