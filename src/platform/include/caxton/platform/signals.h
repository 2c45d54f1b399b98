// SPDX-License-Identifier: Apache-2.0
//
// StopSignals: SIGTERM, SIGINT and SIGHUP as something to wait for, instead of a handler.
//
// Lifecycle: Block() in main before any thread starts (threads inherit the mask); it lasts for the
// process. Thread rule: Wait and fd() from one thread.
#pragma once

#include "absl/status/statusor.h"
#include "caxton/platform/fd.h"

namespace caxton::platform {

class StopSignals {
 public:
  static absl::StatusOr<StopSignals> Block();
  // The signal's number, or 0 when `timeout_ms` (< 0: none) passed first.
  absl::StatusOr<int> Wait(int timeout_ms);
  // Readable when a signal waits: fit for poll.
  int fd() const { return fd_.get(); }

 private:
  explicit StopSignals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// Writing to a peer that is gone gives EPIPE instead of killing the process.
void IgnoreSigpipe();

}  // namespace caxton::platform
