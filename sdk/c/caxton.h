// SPDX-License-Identifier: Apache-2.0
//
// Caxton agents in C: version 1 of the agent ABI (sdk/abi/abi.md) as a header. Also valid C++;
// sdk/cpp is nicer there.
//
//   #include "caxton.h"
//
//   CAXTON_HANDLE_MESSAGE(content) {
//     caxton_reply(CAXTON_INFORM, content.data, content.size);
//     return CAXTON_HANDLED;
//   }
//
// Build: see README.md beside this file. A module has exactly one CAXTON_HANDLE_MESSAGE.
//
// Lifecycle: by default each message gets a fresh instance; statics hold nothing from one message
// to the next. What the handler replies and sends leaves when the step commits, and only if it
// returns CAXTON_HANDLED. Threads: there is one. Text is UTF-8 with a length and carries no NUL.
#ifndef CAXTON_SDK_C_CAXTON_H_
#define CAXTON_SDK_C_CAXTON_H_

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CAXTON_IMPORT(name) __attribute__((import_module("caxton"), import_name(name)))
#define CAXTON_EXPORT(name) __attribute__((export_name(name)))

// What a handler returns. Any other number means CAXTON_RETRY and is shown as the agent's code.
enum {
  CAXTON_HANDLED = 0,
  CAXTON_RETRY = 1,   // failed, try again
  CAXTON_REJECT = 2,  // failed for good: the message becomes a dead letter
};

// Results of imports below 0.
enum {
  CAXTON_ABSENT = -1,
  CAXTON_BAD_POINTER = -2,
  CAXTON_NOT_ALLOWED = -3,  // not in this export
  CAXTON_LIMIT = -4,
  CAXTON_UNKNOWN = -5,  // handle, field, name or performative
  CAXTON_ALREADY_REPLIED = -6,
};

enum {
  CAXTON_REQUEST = 0,
  CAXTON_INFORM = 1,
  CAXTON_QUERY = 2,
  CAXTON_PROPOSE = 3,
  CAXTON_ACCEPT_PROPOSAL = 4,
  CAXTON_REJECT_PROPOSAL = 5,
  CAXTON_AGREE = 6,
  CAXTON_REFUSE = 7,
  CAXTON_FAILURE = 8,
  CAXTON_NOT_UNDERSTOOD = 9,
};

enum {
  CAXTON_FIELD_ID = 0,
  CAXTON_FIELD_SENDER = 1,
  CAXTON_FIELD_RECEIVER = 2,
  CAXTON_FIELD_PERFORMATIVE = 3,  // one byte
  CAXTON_FIELD_CONVERSATION_ID = 4,
  CAXTON_FIELD_REPLY_WITH = 5,
  CAXTON_FIELD_IN_REPLY_TO = 6,
  CAXTON_FIELD_KEY = 7,
  CAXTON_FIELD_CONTENT_TYPE = 8,
  CAXTON_FIELD_CONTENT = 9,
  CAXTON_FIELD_IDEMPOTENCY_KEY = 10,
  CAXTON_FIELD_DEADLINE = 11,  // int64_t, nanoseconds since the Unix epoch
};

enum { CAXTON_ERROR = 0, CAXTON_WARN = 1, CAXTON_INFO = 2, CAXTON_DEBUG = 3 };

// ---- The imports as they are. Results below 0 are errors; a length returned is the full one, also
// where it is above `cap` and only `cap` bytes were copied.

CAXTON_IMPORT("message_get") int32_t caxton_message_get(int32_t field, void* dst, uint32_t cap);
CAXTON_IMPORT("message_header_get")
int32_t caxton_message_header_get(const char* name, uint32_t name_len, void* dst, uint32_t cap);
CAXTON_IMPORT("reply") int32_t caxton_reply(int32_t performative, const void* ptr, uint32_t len);
CAXTON_IMPORT("message_new")
int32_t caxton_message_new(const char* to, uint32_t to_len, int32_t performative);
CAXTON_IMPORT("message_set")
int32_t caxton_message_set(int32_t message, int32_t field, const void* ptr, uint32_t len);
CAXTON_IMPORT("message_header_set")
int32_t caxton_message_header_set(int32_t message, const char* name, uint32_t name_len,
                                  const void* value, uint32_t value_len);
CAXTON_IMPORT("message_send") int32_t caxton_message_send(int32_t message);
CAXTON_IMPORT("config_get")
int32_t caxton_config_get(const char* name, uint32_t name_len, void* dst, uint32_t cap);
CAXTON_IMPORT("now") int64_t caxton_now(void);  // the step's time, the same in every run of it
CAXTON_IMPORT("random") int32_t caxton_random(void* dst, uint32_t len);  // from the step's seed
CAXTON_IMPORT("log") void caxton_log(int32_t level, const char* ptr, uint32_t len);

// ---- Helpers

// Bytes that somebody else owns.
typedef struct {
  const char* data;
  uint32_t size;
} caxton_bytes;

static inline caxton_bytes caxton_text(const char* text) {
  caxton_bytes bytes = {text, (uint32_t)strlen(text)};
  return bytes;
}

// `result` of one of the reading imports as a view of `buffer`: empty where it was an error, cut at
// `cap`.
static inline caxton_bytes caxton_view(const char* buffer, uint32_t cap, int32_t result) {
  uint32_t size = result < 0 ? 0 : (uint32_t)result;
  caxton_bytes bytes = {buffer, size < cap ? size : cap};
  return bytes;
}

// A field of the message being handled, in the caller's buffer. Text fields have at most 1024
// bytes.
static inline caxton_bytes caxton_field(int32_t field, char* buffer, uint32_t cap) {
  return caxton_view(buffer, cap, caxton_message_get(field, buffer, cap));
}

static inline int32_t caxton_performative(void) {
  uint8_t performative = CAXTON_NOT_UNDERSTOOD;
  caxton_message_get(CAXTON_FIELD_PERFORMATIVE, &performative, 1);
  return performative;
}

static inline caxton_bytes caxton_header(const char* name, char* buffer, uint32_t cap) {
  return caxton_view(buffer, cap,
                     caxton_message_header_get(name, (uint32_t)strlen(name), buffer, cap));
}

// A setting or secret of the agent; `fallback` where there is none.
static inline caxton_bytes caxton_setting(const char* name, char* buffer, uint32_t cap,
                                          const char* fallback) {
  int32_t result = caxton_config_get(name, (uint32_t)strlen(name), buffer, cap);
  return result == CAXTON_ABSENT ? caxton_text(fallback) : caxton_view(buffer, cap, result);
}

// A setting as a decimal number without sign; `fallback` where there is none, or where it is
// something else.
static inline uint64_t caxton_setting_number(const char* name, uint64_t fallback) {
  char buffer[20];
  int32_t size = caxton_config_get(name, (uint32_t)strlen(name), buffer, sizeof(buffer));
  if (size <= 0 || size >= (int32_t)sizeof(buffer)) return fallback;
  uint64_t number = 0;
  for (int32_t i = 0; i < size; ++i) {
    if (buffer[i] < '0' || buffer[i] > '9') return fallback;
    number = number * 10 + (uint64_t)(buffer[i] - '0');
  }
  return number;
}

static inline int caxton_equal(caxton_bytes a, caxton_bytes b) {
  return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static inline int32_t caxton_reply_text(int32_t performative, const char* text) {
  return caxton_reply(performative, text, (uint32_t)strlen(text));
}

static inline void caxton_log_text(int32_t level, const char* text) {
  caxton_log(level, text, (uint32_t)strlen(text));
}

// A message to be built: caxton_new, then any caxton_set, then caxton_message_send. The handle is
// below 0 where it could not be made; setting and sending such a one answers CAXTON_UNKNOWN, so
// checking the send is enough.
static inline int32_t caxton_new(caxton_bytes to, int32_t performative) {
  return caxton_message_new(to.data, to.size, performative);
}

// Leaves the field alone where `value` is empty.
static inline int32_t caxton_set(int32_t message, int32_t field, caxton_bytes value) {
  return value.size == 0 ? 0 : caxton_message_set(message, field, value.data, value.size);
}

static inline int32_t caxton_set_header(int32_t message, const char* name, caxton_bytes value) {
  return caxton_message_header_set(message, name, (uint32_t)strlen(name), value.data, value.size);
}

// Opens the definition of the handler: a function of one caxton_bytes, named by the argument and
// valid until it returns, that answers CAXTON_HANDLED, CAXTON_RETRY or CAXTON_REJECT.
#define CAXTON_HANDLE_MESSAGE(content)                                                     \
  static int32_t caxton_user_handler(caxton_bytes content);                                \
  CAXTON_EXPORT("agent_alloc") void* caxton_agent_alloc(uint32_t size) {                   \
    return size == 0 ? NULL : malloc(size);                                                \
  }                                                                                        \
  CAXTON_EXPORT("handle_message") int32_t caxton_handle_message(char* ptr, uint32_t len) { \
    caxton_bytes bytes = {ptr, len};                                                       \
    int32_t result = caxton_user_handler(bytes);                                           \
    if (len != 0) free(ptr); /* an instance may be reused */                               \
    return result;                                                                         \
  }                                                                                        \
  static int32_t caxton_user_handler(caxton_bytes content)

// Opens the definition of a function () -> int32_t that is run once in each instance, ahead of
// traffic; 0 = ready. Only settings, log, clock and random values are there.
#define CAXTON_INIT() CAXTON_EXPORT("agent_init") int32_t caxton_agent_init(void)

// Opens the definition of a function () -> int32_t that is asked now and then; 0 = well.
#define CAXTON_HEALTH_CHECK() CAXTON_EXPORT("health_check") int32_t caxton_health_check(void)

#ifdef __cplusplus
}
#endif

#endif  // CAXTON_SDK_C_CAXTON_H_
