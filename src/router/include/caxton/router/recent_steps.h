// SPDX-License-Identifier: Apache-2.0
//
// RecentSteps: how many steps of a revision succeeded and failed within about the last minute. For
// people: two threads that meet at a slot's turn may lose a count. Thread-safe, without locks.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace caxton::router {

inline constexpr int64_t kRecentSlotNs = 10'000'000'000;
inline constexpr size_t kRecentSlots = 6;  // a minute

class RecentSteps {
 public:
  // `now_ns`: monotonic.
  void Note(bool handled, int64_t now_ns) {
    Slot& slot = At(now_ns);
    (handled ? slot.handled : slot.failed).fetch_add(1, std::memory_order_relaxed);
  }
  // failed / all, 0..1; 0 where there were none.
  double ErrorRate(int64_t now_ns) const {
    uint64_t handled = 0;
    uint64_t failed = 0;
    const int64_t turn = now_ns / kRecentSlotNs;
    for (const Slot& slot : slots_) {
      const int64_t age = turn - slot.turn.load(std::memory_order_relaxed);
      if (age < 0 || age >= static_cast<int64_t>(kRecentSlots)) continue;
      handled += slot.handled.load(std::memory_order_relaxed);
      failed += slot.failed.load(std::memory_order_relaxed);
    }
    return handled + failed == 0
               ? 0
               : static_cast<double>(failed) / static_cast<double>(handled + failed);
  }

 private:
  struct Slot {
    std::atomic<int64_t> turn{-1};
    std::atomic<uint64_t> handled{0}, failed{0};
  };
  Slot& At(int64_t now_ns) {
    const int64_t turn = now_ns / kRecentSlotNs;
    Slot& slot = slots_[static_cast<size_t>(turn) % kRecentSlots];
    int64_t old = slot.turn.load(std::memory_order_relaxed);
    if (old != turn && slot.turn.compare_exchange_strong(old, turn)) {
      slot.handled.store(0, std::memory_order_relaxed);
      slot.failed.store(0, std::memory_order_relaxed);
    }
    return slot;
  }
  std::array<Slot, kRecentSlots> slots_;
};

}  // namespace caxton::router
