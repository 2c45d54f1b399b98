// SPDX-License-Identifier: Apache-2.0
//
// Answers each message with its own content.
#include "caxton.h"

CAXTON_HANDLE_MESSAGE(content) {
  return caxton_reply(CAXTON_INFORM, content.data, content.size) < 0 ? CAXTON_RETRY
                                                                     : CAXTON_HANDLED;
}
