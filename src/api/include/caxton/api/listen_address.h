// SPDX-License-Identifier: Apache-2.0
//
// What is checked of an address ("127.0.0.1:50051", "localhost:0", "[::1]:8080") before a server
// listens there. Any thread.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace caxton::api {

// Refuses addresses that are not loopback.
absl::Status CheckLoopback(const std::string& listen);

// ALREADY_EXISTS, PORT_IN_USE where somebody listens there; `flag` is what chooses another. Port 0
// is always free. Somebody else may still be faster.
absl::Status CheckPortFree(const std::string& listen, std::string_view flag);

}  // namespace caxton::api
