// SPDX-License-Identifier: Apache-2.0
//
// The service manager's notification socket (systemd's sd_notify protocol): one datagram to
// $NOTIFY_SOCKET.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace caxton::platform {

inline constexpr std::string_view kNotifyReady = "READY=1";
inline constexpr std::string_view kNotifyStopping = "STOPPING=1";

// `socket`: the value of NOTIFY_SOCKET; empty: nobody listens, OK.
absl::Status NotifyServiceManager(const std::string& socket, std::string_view state);

}  // namespace caxton::platform
