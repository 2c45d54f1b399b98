// SPDX-License-Identifier: Apache-2.0
#include "caxton/api/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::api {
namespace {

struct Address {
  std::string host;
  int port = 0;
  // One of these, unless the host is no address.
  std::optional<in_addr> v4;
  std::optional<in6_addr> v6;
};

absl::StatusOr<Address> Parse(const std::string& listen) {
  Address address;
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos || !ParseInt(listen.substr(colon + 1), &address.port) ||
      address.port < 0 || address.port > 65535) {
    return WithFix(absl::InvalidArgumentError(StrCat(
                       "'", listen, "' is no address",
                       colon == std::string::npos ? "" : ": a port is a number from 0 to 65535")),
                   "write HOST:PORT, for example 127.0.0.1:50051 (port 0 picks a free one)");
  }
  std::string& host = address.host;
  host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  const std::string numeric = host == "localhost" ? "127.0.0.1" : host;
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, numeric.c_str(), &v4) == 1) address.v4 = v4;
  if (inet_pton(AF_INET6, numeric.c_str(), &v6) == 1) address.v6 = v6;
  return address;
}

// errno of binding a socket there, as the servers do; 0: it can be bound.
int TryToBind(const Address& address) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (address.v4.has_value()) {
    auto* to = reinterpret_cast<sockaddr_in*>(&storage);
    to->sin_family = AF_INET;
    to->sin_port = htons(static_cast<uint16_t>(address.port));
    to->sin_addr = *address.v4;
    size = sizeof *to;
  } else if (address.v6.has_value()) {
    auto* to = reinterpret_cast<sockaddr_in6*>(&storage);
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(static_cast<uint16_t>(address.port));
    to->sin6_addr = *address.v6;
    size = sizeof *to;
  } else {
    return EINVAL;
  }
  const int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  // Connections of a server that has just stopped are no obstacle; one that listens is.
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const int bound = bind(fd, reinterpret_cast<sockaddr*>(&storage), size);
  const int error = bound == 0 ? 0 : errno;
  close(fd);
  return error;
}

}  // namespace

absl::Status CheckLoopback(const std::string& listen) {
  ASSIGN_OR_RETURN(const Address address, Parse(listen));
  const bool loopback = (address.v4.has_value() && (ntohl(address.v4->s_addr) >> 24) == 127) ||
                        (address.v6.has_value() && IN6_IS_ADDR_LOOPBACK(&*address.v6));
  if (loopback) return absl::OkStatus();
  return WithFix(WithReason(absl::UnimplementedError(StrCat(
                                "'", address.host,
                                "' is not a loopback address: without TLS and tokens, which this "
                                "release does not have, the server listens on loopback only")),
                            "NOT_CARRIED_OUT"),
                 "listen on 127.0.0.1");
}

absl::Status CheckPortFree(const std::string& listen, std::string_view flag) {
  ASSIGN_OR_RETURN(const Address address, Parse(listen));
  if (address.port == 0) return absl::OkStatus();
  const int error = TryToBind(address);
  if (error == 0) return absl::OkStatus();
  if (error != EADDRINUSE) {
    return WithFix(
        WithReason(ErrnoStatus(error, StrCat("cannot listen on ", listen)), "CANNOT_LISTEN"),
        StrCat("choose another address with ", flag, " (port 0 picks a free one)"));
  }
  return WithFix(
      WithReason(absl::AlreadyExistsError(
                     StrCat("port ", address.port, " is in use: cannot listen on ", listen)),
                 "PORT_IN_USE"),
      StrCat("stop what listens there (`ss -ltnp 'sport = :", address.port,
             "'` shows it), or choose another with ", flag, " (port 0 picks a free one)"));
}

}  // namespace caxton::api
