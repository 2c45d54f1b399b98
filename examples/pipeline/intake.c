// SPDX-License-Identifier: Apache-2.0
//
// First agent of the pipeline: passes each message on to the agent that the setting `next` names,
// content and key unchanged, in the same commit that consumes it. So whatever a client sent here
// arrives there once and in order. A request is answered by the last agent, which finds in two
// headers whom it answers.
#include "caxton.h"

enum { kMaxField = 1024, kMaxAgentName = 64 };

CAXTON_HANDLE_MESSAGE(content) {
  char next[kMaxAgentName], key[kMaxField], sender[kMaxField], reply_with[kMaxField];
  const int32_t message =
      caxton_new(caxton_setting("next", next, sizeof(next), "ledger"), CAXTON_INFORM);
  int32_t result = caxton_set(message, CAXTON_FIELD_CONTENT, content);
  if (result == 0) {
    result =
        caxton_set(message, CAXTON_FIELD_KEY, caxton_field(CAXTON_FIELD_KEY, key, sizeof(key)));
  }
  const caxton_bytes waiting =
      caxton_field(CAXTON_FIELD_REPLY_WITH, reply_with, sizeof(reply_with));
  if (result == 0 && waiting.size != 0) {
    const caxton_bytes asker = caxton_field(CAXTON_FIELD_SENDER, sender, sizeof(sender));
    result = caxton_set_header(message, "answer-to", asker);
    if (result == 0) result = caxton_set_header(message, "answer-with", waiting);
  }
  if (result == 0) result = caxton_message_send(message);
  return result == 0 ? CAXTON_HANDLED : CAXTON_RETRY;
}
