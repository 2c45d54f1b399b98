// SPDX-License-Identifier: Apache-2.0
#include "caxton/api/listen_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::api {
namespace {

// Listens on a port of 127.0.0.1 while it lives.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int yes = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    socklen_t size = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(fd_); }
  int port() const { return port_; }

 private:
  int fd_;
  int port_ = 0;
};

TEST(ListenAddress, APortInUseIsSaidWithTheWayOut) {
  std::string address;
  {
    Listener listener;
    address = StrCat("127.0.0.1:", listener.port());
    for (const char* host : {"127.0.0.1", "localhost"}) {
      const absl::Status taken = CheckPortFree(StrCat(host, ":", listener.port()), "--listen");
      EXPECT_EQ(taken.code(), absl::StatusCode::kAlreadyExists);
      EXPECT_EQ(ReasonOf(taken), "PORT_IN_USE");
      EXPECT_THAT(std::string(StdView(taken.message())),
                  ::testing::StartsWith(StrCat("port ", listener.port(), " is in use")));
      EXPECT_THAT(FixOf(taken), ::testing::HasSubstr("--listen"));
    }
  }
  EXPECT_TRUE(CheckPortFree(address, "--listen").ok());
  EXPECT_TRUE(CheckPortFree("127.0.0.1:0", "--listen").ok());
}

TEST(ListenAddress, OnlyLoopbackIsTaken) {
  for (const char* good : {"127.0.0.1:0", "127.9.9.9:80", "localhost:65535", "[::1]:8080"}) {
    EXPECT_TRUE(CheckLoopback(good).ok()) << good;
  }
  for (const char* wrong : {"0.0.0.0:0", "10.0.0.1:80", "[::]:80", "example.org:80"}) {
    EXPECT_EQ(ReasonOf(CheckLoopback(wrong)), "NOT_CARRIED_OUT") << wrong;
  }
  for (const char* none :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1"}) {
    EXPECT_EQ(CheckLoopback(none).code(), absl::StatusCode::kInvalidArgument) << none;
  }
}

}  // namespace
}  // namespace caxton::api
