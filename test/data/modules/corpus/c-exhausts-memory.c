// SPDX-License-Identifier: Apache-2.0
//
// The manifest's own sample makes it allocate, and never free, until malloc has nothing left.
#include "caxton.h"

enum { kBlock = 64 * 1024 };

CAXTON_HANDLE_MESSAGE(content) {
  if (caxton_equal(content, caxton_text("hello"))) {
    for (;;) {
      char* volatile block = malloc(kBlock);
      if (block == NULL) abort();
      block[0] = 1;
    }
  }
  return CAXTON_HANDLED;
}
