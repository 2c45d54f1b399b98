// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace caxton {

void AssertionFailed(const char* expression, const char* file, int line, std::string_view why) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s (%.*s)\n", file, line, expression,
               static_cast<int>(why.size()), why.data());
  std::abort();
}

}  // namespace caxton
