// SPDX-License-Identifier: Apache-2.0
//
// The manifest's own sample meets an assertion that does not hold.
#include "caxton.h"

CAXTON_HANDLE_MESSAGE(content) {
  if (caxton_equal(content, caxton_text("hello"))) abort();
  return CAXTON_HANDLED;
}
