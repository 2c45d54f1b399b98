// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/channel.h>

#include <memory>

#include "caxton/api/connect.h"
#include "caxton/base/random.h"

namespace caxton::api {

// `channel` leads to the server whose calls these are; `random` is thread-safe and outlives it.
std::unique_ptr<ConnectFront> MakeConnectFront(std::shared_ptr<grpc::Channel> channel,
                                               RandomSource* random);

}  // namespace caxton::api
