// SPDX-License-Identifier: Apache-2.0
//
// InterruptScope: what Ctrl-C (SIGINT, SIGTERM) does while a command waits.
// Lifecycle: from construction to destruction, one at a time; the former handlers come back after
// it. Thread rule: `on_interrupt` runs once, on a thread of the scope's own. A second signal ends
// the program.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace caxton::cli {

class InterruptScope final {
 public:
  explicit InterruptScope(std::function<void()> on_interrupt);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  bool interrupted() const { return interrupted_.load(); }

 private:
  int pipe_[2] = {-1, -1};
  std::atomic<bool> interrupted_{false};
  std::thread thread_;
};

}  // namespace caxton::cli
