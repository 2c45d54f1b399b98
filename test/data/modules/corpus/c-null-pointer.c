// SPDX-License-Identifier: Apache-2.0
//
// The manifest's own sample is given to a function that there is not: a call through a null
// pointer.
#include "caxton.h"

static int32_t (*volatile handler)(caxton_bytes content);

CAXTON_HANDLE_MESSAGE(content) {
  if (caxton_equal(content, caxton_text("hello"))) return handler(content);
  return CAXTON_HANDLED;
}
