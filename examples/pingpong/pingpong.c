// SPDX-License-Identifier: Apache-2.0
//
// Two agents of this module, `ping` and `pong`, pass a message to and fro: "1000" makes a thousand
// hops, "999" next, down to "0". What follows the number is carried along. A request is answered
// with "done" at the last hop. Keyed messages keep their key, so as many chains run side by side as
// there are keys.
#include "caxton.h"

enum { kMaxField = 1024, kMaxNumber = 20 };

// Whom to send to: the setting `peer`, else the other one of ping and pong.
static caxton_bytes Peer(char* buffer, uint32_t cap) {
  const caxton_bytes self = caxton_field(CAXTON_FIELD_RECEIVER, buffer, cap);
  const char* other = caxton_equal(self, caxton_text("ping")) ? "pong" : "ping";
  return caxton_setting("peer", buffer, cap, other);
}

static uint32_t PrintNumber(uint64_t number, char* out) {
  char digits[kMaxNumber];
  uint32_t count = 0;
  do {
    digits[count++] = (char)('0' + number % 10);
    number /= 10;
  } while (number != 0);
  for (uint32_t i = 0; i < count; ++i) out[i] = digits[count - 1 - i];
  return count;
}

// Whoever asked first, from the headers that the first hop set, or from the message itself where
// this is the first.
static caxton_bytes Asker(char* buffer) {
  const caxton_bytes asker = caxton_header("answer-to", buffer, kMaxField);
  return asker.size != 0 ? asker : caxton_field(CAXTON_FIELD_SENDER, buffer, kMaxField);
}

static caxton_bytes AnswerWith(char* buffer) {
  const caxton_bytes with = caxton_header("answer-with", buffer, kMaxField);
  return with.size != 0 ? with : caxton_field(CAXTON_FIELD_REPLY_WITH, buffer, kMaxField);
}

static int32_t Answer(caxton_bytes asker, caxton_bytes with) {
  const int32_t message = caxton_new(asker, CAXTON_INFORM);
  caxton_set(message, CAXTON_FIELD_IN_REPLY_TO, with);
  caxton_set(message, CAXTON_FIELD_CONTENT, caxton_text("done"));
  return caxton_message_send(message);
}

CAXTON_HANDLE_MESSAGE(content) {
  char to[kMaxField], with[kMaxField], key[kMaxField], name[kMaxField];
  uint64_t hops = 0;
  uint32_t digits = 0;
  while (digits < content.size && digits < kMaxNumber - 1 && content.data[digits] >= '0' &&
         content.data[digits] <= '9') {
    hops = hops * 10 + (uint64_t)(content.data[digits++] - '0');
  }
  if (digits == 0) return CAXTON_REJECT;

  const caxton_bytes waiting = AnswerWith(with);
  if (hops == 0) {
    if (waiting.size == 0) return CAXTON_HANDLED;
    return Answer(Asker(to), waiting) == 0 ? CAXTON_HANDLED : CAXTON_RETRY;
  }

  const uint32_t rest = content.size - digits;
  char* next = malloc(kMaxNumber + rest);
  if (next == NULL) return CAXTON_RETRY;
  const uint32_t size = PrintNumber(hops - 1, next);
  memcpy(next + size, content.data + digits, rest);
  const caxton_bytes text = {next, size + rest};

  const int32_t message = caxton_new(Peer(name, sizeof(name)), CAXTON_INFORM);
  caxton_set(message, CAXTON_FIELD_CONTENT, text);
  caxton_set(message, CAXTON_FIELD_KEY, caxton_field(CAXTON_FIELD_KEY, key, sizeof(key)));
  if (waiting.size != 0) {
    caxton_set_header(message, "answer-to", Asker(to));
    caxton_set_header(message, "answer-with", waiting);
  }
  const int32_t result = caxton_message_send(message);
  free(next);
  return result == 0 ? CAXTON_HANDLED : CAXTON_RETRY;
}
