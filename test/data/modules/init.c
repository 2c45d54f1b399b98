// SPDX-License-Identifier: Apache-2.0
//
// Agents whose initialization fails: INIT_FAILS, INIT_TRAPS or INIT_LOOPS.
#include "caxton.h"

CAXTON_INIT() {
#if defined(INIT_TRAPS)
  __builtin_trap();
#elif defined(INIT_LOOPS)
  for (volatile uint32_t i = 0;; ++i) {
  }
#elif defined(INIT_FAILS)
  return 1;
#else
#error "which fault?"
#endif
}

CAXTON_HANDLE_MESSAGE(content) {
  caxton_reply(CAXTON_INFORM, content.data, content.size);
  return CAXTON_HANDLED;
}
