// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "caxton/base/strings.h"
#include "caxton/platform/sd_notify.h"
#include "test_child.h"

namespace caxton::platform {
namespace {

TEST(StopSignals, AreWaitedForInsteadOfKilling) {
  const ExitStatus status = RunInChild([] {
    auto signals = StopSignals::Block();
    if (!signals.ok()) return 1;
    if (*signals->Wait(0) != 0) return 2;
    ::kill(::getpid(), SIGTERM);
    if (*signals->Wait(-1) != SIGTERM) return 3;
    ::kill(::getpid(), SIGINT);
    if (*signals->Wait(-1) != SIGINT) return 4;
    return *signals->Wait(0) == 0 ? 0 : 5;
  });
  EXPECT_TRUE(status.success()) << status.ToString();
}

TEST(SdNotify, SendsTheStateAsOneDatagram) {
  const std::string name = StrCat("caxton-notify-test-", ::getpid());
  UniqueFd listener(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())),
            0);
  ASSERT_TRUE(NotifyServiceManager("@" + name, kNotifyReady).ok());
  char text[64];
  const ssize_t n = ::recv(listener.get(), text, sizeof text, 0);
  EXPECT_EQ(std::string(text, static_cast<size_t>(n)), "READY=1");
}

TEST(SdNotify, NobodyListeningIsFineANonsenseNameIsNot) {
  EXPECT_TRUE(NotifyServiceManager("", kNotifyStopping).ok());
  EXPECT_EQ(NotifyServiceManager("relative", kNotifyReady).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(NotifyServiceManager("/nowhere/socket", kNotifyReady).ok());
}

}  // namespace
}  // namespace caxton::platform
