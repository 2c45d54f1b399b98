// SPDX-License-Identifier: Apache-2.0
#include "trace_context.h"

#include <vector>

#include "caxton/base/hash.h"

namespace caxton::api {

std::string_view TraceIdIn(std::string_view traceparent) {
  if (traceparent.size() != 55 || traceparent[2] != '-' || traceparent[35] != '-') return {};
  const std::string_view id = traceparent.substr(3, 32);
  return id.find_first_not_of("0123456789abcdef") == std::string_view::npos ? id
                                                                            : std::string_view();
}

std::string RandomHex(RandomSource* random, size_t bytes) {
  std::vector<uint8_t> drawn(bytes);
  random->Fill(drawn);
  return HexEncode({reinterpret_cast<const char*>(drawn.data()), drawn.size()});
}

}  // namespace caxton::api
