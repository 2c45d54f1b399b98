// SPDX-License-Identifier: Apache-2.0
//
// An agent in C as the SDK means it; nothing is wrong with it.
#include "caxton.h"

CAXTON_HANDLE_MESSAGE(content) {
  caxton_reply(CAXTON_INFORM, content.data, content.size);
  return CAXTON_HANDLED;
}
