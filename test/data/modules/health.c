// SPDX-License-Identifier: Apache-2.0
//
// Echoes, and is ill from the time on that its setting "ill_from" names (Unix time, ns).
#include "caxton.h"

CAXTON_HEALTH_CHECK() {
  return (uint64_t)caxton_now() >= caxton_setting_number("ill_from", UINT64_MAX) ? 7 : 0;
}

CAXTON_HANDLE_MESSAGE(content) {
  caxton_reply(CAXTON_INFORM, content.data, content.size);
  return CAXTON_HANDLED;
}
