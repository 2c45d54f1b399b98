// SPDX-License-Identifier: Apache-2.0
//
// DiskReserve: says whether new messages may come in, from the free bytes of the store's disk.
// Looked at every kDiskCheckRounds rounds or kDiskCheckNanos, so that a refusal ends by itself when
// space is back.
//
// Thread rule: any thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "caxton/base/clock.h"
#include "caxton/journal/store.h"

namespace caxton::journal {

class DiskReserve final {
 public:
  DiskReserve(const Store* store, const Clock* clock, uint64_t reserve_bytes);

  // Looks at once. Called by the committer every kDiskCheckRounds rounds.
  void Check();
  // Looks if the last look is old. Ok, or RESOURCE_EXHAUSTED with reason DISK_RESERVE or
  // STORE_STALLED.
  absl::Status IngressAllowed();

 private:
  const Store* store_;
  const Clock* clock_;
  const uint64_t reserve_bytes_;
  std::atomic<int64_t> checked_ns_;
  std::atomic<uint64_t> free_bytes_{0};
  std::atomic<bool> below_{false};
};

}  // namespace caxton::journal
