// SPDX-License-Identifier: Apache-2.0
#include "interrupt.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "caxton/base/assert.h"

namespace caxton::cli {
namespace {

constexpr int kExitInterrupted = 130;

// A signal handler has no argument to find its scope by: the two words below are its whole context.
std::atomic<int> signal_pipe{-1};
std::atomic<int> signal_count{0};

void OnSignal(int) {
  if (signal_count.fetch_add(1) > 0) _exit(kExitInterrupted);
  const char byte = 'i';
  const int fd = signal_pipe.load();
  if (fd >= 0) (void)!write(fd, &byte, 1);
}

void SetHandlers(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptScope::InterruptScope(std::function<void()> on_interrupt) {
  CAXTON_ASSERT(signal_pipe.load() < 0, "one InterruptScope at a time");
  if (pipe2(pipe_, O_CLOEXEC) != 0) return;  // no descriptors left: signals end the program
  signal_count = 0;
  signal_pipe = pipe_[1];
  thread_ = std::thread([this, on_interrupt = std::move(on_interrupt), fd = pipe_[0]] {
    char byte = 0;
    while (read(fd, &byte, 1) == 1 && byte == 'i') {
      interrupted_ = true;
      on_interrupt();
    }
  });
  SetHandlers(OnSignal);
}

InterruptScope::~InterruptScope() {
  if (!thread_.joinable()) return;
  SetHandlers(SIG_DFL);
  const char byte = 'q';
  (void)!write(pipe_[1], &byte, 1);
  thread_.join();
  signal_pipe = -1;
  close(pipe_[0]);
  close(pipe_[1]);
}

}  // namespace caxton::cli
