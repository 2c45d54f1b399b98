// SPDX-License-Identifier: Apache-2.0
//
// W3C trace context: version-traceid-parentid-flags. Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "caxton/base/random.h"

namespace caxton::api {

// The 32 hex digits of the trace, empty where `traceparent` is none or not well formed.
std::string_view TraceIdIn(std::string_view traceparent);
// `bytes` random bytes in hex.
std::string RandomHex(RandomSource* random, size_t bytes);

}  // namespace caxton::api
