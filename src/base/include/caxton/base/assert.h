// SPDX-License-Identifier: Apache-2.0
//
// CAXTON_ASSERT: checks what only our own code can break. On in every build, release included: a
// broken invariant in a server that promises exactly-once must stop it, not let it write on. What a
// guest, worker, client or disk can cause is never asserted; it is handled as an absl::Status.
#pragma once

#include <string_view>

namespace caxton {

// Prints `expression` with its place on stderr and aborts.
[[noreturn]] void AssertionFailed(const char* expression, const char* file, int line,
                                  std::string_view why);

}  // namespace caxton

#define CAXTON_ASSERT(condition, why)                                   \
  do {                                                                  \
    if (__builtin_expect(!(condition), 0)) {                            \
      ::caxton::AssertionFailed(#condition, __FILE__, __LINE__, (why)); \
    }                                                                   \
  } while (false)
