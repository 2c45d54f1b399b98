// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "caxton/base/status.h"

namespace caxton::platform {

absl::StatusOr<StopSignals> StopSignals::Block() {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, signal);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return ErrnoStatus(error, "blocking the stop signals");
  }
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return ErrnoStatus(errno, "opening the signal descriptor");
  return StopSignals(std::move(fd));
}

absl::StatusOr<int> StopSignals::Wait(int timeout_ms) {
  pollfd poll_fd{fd_.get(), POLLIN, 0};
  const int ready = ::poll(&poll_fd, 1, timeout_ms);
  if (ready == 0 || (ready < 0 && errno == EINTR)) return 0;
  if (ready < 0) return ErrnoStatus(errno, "waiting for a signal");
  signalfd_siginfo info;
  const ssize_t n = ::read(fd_.get(), &info, sizeof info);
  if (n == static_cast<ssize_t>(sizeof info)) return static_cast<int>(info.ssi_signo);
  if (n < 0 && errno != EAGAIN) return ErrnoStatus(errno, "reading a signal");
  return 0;
}

void IgnoreSigpipe() { ::signal(SIGPIPE, SIG_IGN); }

}  // namespace caxton::platform
