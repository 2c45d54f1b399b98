// SPDX-License-Identifier: Apache-2.0
//
// The side file `last-synced`: one number and its complement, overwritten in place, never synced.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "caxton/platform/fd.h"

namespace caxton::journal {

class LastSynced final {
 public:
  // 0 where the file is missing, empty or all zeros (a power cut right after it was made).
  static absl::StatusOr<uint64_t> Read(const std::string& path);

  static absl::StatusOr<std::unique_ptr<LastSynced>> Open(const std::string& path);
  absl::Status Record(uint64_t sequence);

 private:
  explicit LastSynced(platform::UniqueFd fd) : fd_(std::move(fd)) {}
  platform::UniqueFd fd_;
};

}  // namespace caxton::journal
