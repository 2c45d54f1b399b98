// SPDX-License-Identifier: Apache-2.0
//
// WorkerWindow: the steps one worker was given and has not answered, and who may be given to it
// next. A worker runs its steps in order and answers in order, so the next answer is for the front,
// or the worker is broken. Not thread-safe: the owner guards it. Shared by the real supervisor and
// the fake.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "caxton/model/ids.h"
#include "caxton/supervisor/limits.h"

namespace caxton::supervisor {

struct Outstanding {
  Ticket ticket;
  Seq seq;
  int64_t deadline_ns = 0;  // how long it may run
};

class WorkerWindow {
 public:
  // Whether a step may be given to the worker now.
  bool Admits(bool alone, int64_t now_ns) {
    if (alone_running_) return false;
    if (alone) return steps_.empty();
    if (reserved_ && steps_.empty() && now_ns >= reserved_until_ns_) reserved_ = false;
    return !reserved_ && steps_.size() < kWorkerWindow;
  }
  // Keeps everything else away until a step that wants to run alone came, or did not come for
  // kAloneReserveNs after the worker had become empty.
  void Reserve(int64_t now_ns) {
    reserved_ = true;
    reserved_until_ns_ = now_ns + kAloneReserveNs;
  }
  bool reserved() const { return reserved_; }

  void Push(const Outstanding& step, bool alone, int64_t now_ns) {
    if (steps_.empty()) front_since_ns_ = now_ns;
    steps_.push_back(step);
    if (alone) {
      alone_running_ = true;
      reserved_ = false;
    }
  }
  // The answered step, if `ticket` is the one to be answered next.
  std::optional<Outstanding> Pop(Ticket ticket, int64_t now_ns) {
    if (steps_.empty() || steps_.front().ticket != ticket) return std::nullopt;
    const Outstanding step = steps_.front();
    steps_.pop_front();
    front_since_ns_ = now_ns;
    alone_running_ = false;
    if (reserved_ && steps_.empty()) reserved_until_ns_ = now_ns + kAloneReserveNs;
    return step;
  }
  // Everything not answered, in order; the window is as new.
  std::vector<Outstanding> TakeAll() {
    std::vector<Outstanding> all(steps_.begin(), steps_.end());
    *this = WorkerWindow();
    return all;
  }

  // Whether somebody who was refused should try again.
  bool WorthTrying() const {
    if (alone_running_) return false;
    if (reserved_) return steps_.empty();
    return steps_.size() <= kWindowLowWater;
  }
  // Whether the front has had its deadline and kHungGraceNs.
  bool Hung(int64_t now_ns) const {
    return !steps_.empty() && now_ns - front_since_ns_ > steps_.front().deadline_ns + kHungGraceNs;
  }
  // Whether the front has run for more than kLongStepNs.
  bool RunsLong(int64_t now_ns) const {
    return !steps_.empty() && now_ns - front_since_ns_ > kLongStepNs;
  }
  bool Contains(Ticket ticket) const {
    for (const Outstanding& step : steps_) {
      if (step.ticket == ticket) return true;
    }
    return false;
  }
  std::optional<Ticket> Newest() const {
    if (steps_.empty()) return std::nullopt;
    Ticket newest;
    for (const Outstanding& step : steps_) newest = std::max(newest, step.ticket);
    return newest;
  }
  size_t size() const { return steps_.size(); }
  const Outstanding& front() const { return steps_.front(); }

 private:
  std::deque<Outstanding> steps_;
  int64_t front_since_ns_ = 0;  // since when the front could be running
  bool alone_running_ = false;
  bool reserved_ = false;
  int64_t reserved_until_ns_ = 0;  // counts once the worker is empty
};

}  // namespace caxton::supervisor
