// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/sd_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/fd.h"

namespace caxton::platform {

absl::Status NotifyServiceManager(const std::string& socket, std::string_view state) {
  if (socket.empty()) return absl::OkStatus();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if ((socket[0] != '/' && socket[0] != '@') || socket.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(StrCat(
        "NOTIFY_SOCKET is '", socket, "': an absolute path or an @abstract name is expected"));
  }
  std::memcpy(address.sun_path, socket.data(), socket.size());
  if (socket[0] == '@') address.sun_path[0] = '\0';  // the abstract name space starts with NUL
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "opening the notification socket");
  if (::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    return ErrnoStatus(errno, StrCat("notifying the service manager at ", socket));
  }
  return absl::OkStatus();
}

}  // namespace caxton::platform
