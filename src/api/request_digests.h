// SPDX-License-Identifier: Apache-2.0
//
// What makes a request a repeat of another: a digest of each field that is set, the idempotency key
// apart. Field by field, so that whoever uses a key twice is told in what the requests differ.
#pragma once

#include <google/protobuf/message.h>

#include "caxton/controller/command_book.h"

namespace caxton::api {

controller::RequestDigests DigestsOf(const google::protobuf::Message& request);

}  // namespace caxton::api
