// SPDX-License-Identifier: Apache-2.0
#include "disk_reserve.h"

#include "caxton/base/status.h"
#include "caxton/journal/limits.h"

namespace caxton::journal {

DiskReserve::DiskReserve(const Store* store, const Clock* clock, uint64_t reserve_bytes)
    : store_(store), clock_(clock), reserve_bytes_(reserve_bytes), checked_ns_(clock->MonoNanos()) {
  Check();
}

void DiskReserve::Check() {
  checked_ns_.store(clock_->MonoNanos(), std::memory_order_relaxed);
  const absl::StatusOr<uint64_t> free = store_->FreeBytes();
  // A disk that cannot say how full it is will say so again at the next write, which is fatal.
  if (!free.ok()) return;
  free_bytes_.store(*free, std::memory_order_relaxed);
  below_.store(*free < reserve_bytes_, std::memory_order_release);
}

absl::Status DiskReserve::IngressAllowed() {
  int64_t last = checked_ns_.load(std::memory_order_relaxed);
  const int64_t now = clock_->MonoNanos();
  if (now - last >= kDiskCheckNanos && checked_ns_.compare_exchange_strong(last, now)) Check();
  if (below_.load(std::memory_order_acquire)) {
    absl::Status status = absl::ResourceExhaustedError(
        StrCat("the disk of the data directory has ", free_bytes_.load(std::memory_order_relaxed),
               " bytes left, less than the reserve of ", reserve_bytes_,
               "; messages already accepted are still handled, new ones are refused"));
    status = WithFix(std::move(status), "free space on that disk, or lower the disk reserve");
    return WithRetryAfterMs(WithReason(std::move(status), "DISK_RESERVE"),
                            kDiskCheckNanos / kNanosPerMilli);
  }
  if (store_->Stalled()) {
    return WithRetryAfterMs(
        WithReason(absl::ResourceExhaustedError(
                       "the store is catching up with its own writes; new messages are refused"),
                   "STORE_STALLED"),
        kStallRetryMillis);
  }
  return absl::OkStatus();
}

}  // namespace caxton::journal
