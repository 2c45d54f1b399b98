// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/fd.h"

#include <unistd.h>

namespace caxton::platform {

void UniqueFd::reset(int fd) {
  // On Linux the descriptor is gone whatever close answers; repeating it could close somebody
  // else's.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace caxton::platform
