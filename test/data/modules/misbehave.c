// SPDX-License-Identifier: Apache-2.0
//
// Does what the message says, or the setting `mode` where there is one; anything else is answered
// with "ok". The table is in README.md.
#include "caxton.h"

enum {
  kMaxMode = 64,
  kPage = 64 * 1024,
  kLogLine = 1024,
  kLogLines = 100,
  kPart = 512 * 1024,
  kStumbleEvery = 4
};

static int32_t Loop(void) {
  for (volatile uint32_t i = 0;; ++i) {
  }
}

static int32_t Bomb(void) {
  for (;;) {
    char* block = malloc(kPage);
    if (block == NULL) __builtin_trap();
    for (uint32_t i = 0; i < kPage; i += 4096) ((volatile char*)block)[i] = 1;
  }
}

// Each call's frame is used after the next one, so that no compiler makes a loop of it; no frame
// ever holds a 1.
static __attribute__((noinline)) int32_t Recurse(const volatile char* above) {
  volatile char frame[256];
  frame[0] = above[0];
  if (frame[0] == 1) return 0;
  return Recurse(frame) + frame[0];
}

// Nothing of a call lies in memory, so that it is the engine's own stack that overflows; through a
// volatile pointer, so that no compiler makes a loop of it.
static int32_t (*volatile deeper)(int32_t depth);
static int32_t Deeper(int32_t depth) { return deeper(depth + 1) + 1; }
static int32_t RecurseOnTheStack(void) {
  deeper = Deeper;
  return Deeper(0);
}

static int32_t LoopOfCalls(void) {
  for (;;) caxton_now();
}

// Kept where instances are reused: each message makes it larger.
static int32_t Leak(void) {
  char* block = malloc(1u << 20);
  if (block == NULL) abort();
  for (uint32_t i = 0; i < 1u << 20; i += 4096) ((volatile char*)block)[i] = 1;
  caxton_reply_text(CAXTON_INFORM, "ok");
  return CAXTON_HANDLED;
}

// A fault that passes: it is not the message's, so that a retry of it succeeds. Only an instance
// that is kept gets to a fourth message; the trap ends it, and the next one counts anew.
static int32_t Stumble(void) {
  static int handled;
  if (++handled % kStumbleEvery == 0) __builtin_trap();
  caxton_reply_text(CAXTON_INFORM, "ok");
  return CAXTON_HANDLED;
}

static int32_t Divide(void) {
  volatile int32_t dividend = 100, zero = 0;
  return dividend / zero;
}

static int32_t OutOfBounds(void) { return *(volatile int32_t*)0xfffffff0u; }

// The answer is the result of the import: "-4" where the reply was above the limit.
static int32_t BigReply(void) {
  const uint32_t size = 32u << 20;
  char* reply = malloc(size);
  if (reply == NULL) return 21;
  const int32_t result = caxton_reply(CAXTON_INFORM, reply, size);
  if (result == CAXTON_LIMIT) caxton_reply_text(CAXTON_INFORM, "-4");
  return result == CAXTON_LIMIT ? CAXTON_HANDLED : 22;
}

// "064"
static int32_t Answer(uint32_t number) {
  char answer[3];
  answer[0] = (char)('0' + number / 100);
  answer[1] = (char)('0' + number / 10 % 10);
  answer[2] = (char)('0' + number % 10);
  caxton_reply(CAXTON_INFORM, answer, sizeof(answer));
  return CAXTON_HANDLED;
}

// Sends `content` to the agent that the setting `peer` names (default "sink") until the host says
// no, and answers how often.
static int32_t SendUntilRefused(caxton_bytes content) {
  char peer[kMaxMode];
  const caxton_bytes to = caxton_setting("peer", peer, sizeof(peer), "sink");
  uint32_t sent = 0;
  while (sent < 999) {
    const int32_t message = caxton_new(to, CAXTON_INFORM);
    if (caxton_set(message, CAXTON_FIELD_CONTENT, content) != 0) break;
    if (caxton_message_send(message) != 0) break;
    ++sent;
  }
  return Answer(sent);
}

static int32_t Spam(void) { return SendUntilRefused(caxton_text("spam")); }

static int32_t SendMuch(void) {
  static char part[kPart];
  memset(part, 'x', sizeof(part));
  const caxton_bytes content = {part, sizeof(part)};
  return SendUntilRefused(content);
}

// Begins messages, and sends none of them, until the host says no.
static int32_t BeginUntilRefused(void) {
  uint32_t open = 0;
  while (open < 999 && caxton_new(caxton_text("sink"), CAXTON_INFORM) > 0) ++open;
  return Answer(open);
}

static int32_t LogSpam(void) {
  static char line[kLogLine];
  memset(line, 'x', sizeof(line));
  for (int i = 0; i < kLogLines; ++i) caxton_log(CAXTON_INFO, line, sizeof(line));
  caxton_reply_text(CAXTON_INFORM, "ok");
  return CAXTON_HANDLED;
}

// What a failed step did must not be seen anywhere.
static int32_t HalfDone(void) {
  char peer[kMaxMode];
  const int32_t message =
      caxton_new(caxton_setting("peer", peer, sizeof(peer), "sink"), CAXTON_INFORM);
  caxton_set(message, CAXTON_FIELD_CONTENT, caxton_text("must not arrive"));
  caxton_message_send(message);
  caxton_reply_text(CAXTON_INFORM, "must not be seen");
  __builtin_trap();
}

CAXTON_HANDLE_MESSAGE(content) {
  char setting[kMaxMode];
  caxton_bytes mode = caxton_setting("mode", setting, sizeof(setting), "");
  // An empty message is answered whatever the setting says: validation wants one that is handled.
  if (content.size == 0) mode = caxton_text("");
  if (mode.size == 0) mode = content;
  if (caxton_equal(mode, caxton_text("loop"))) return Loop();
  if (caxton_equal(mode, caxton_text("bomb"))) return Bomb();
  if (caxton_equal(mode, caxton_text("loop-of-calls"))) return LoopOfCalls();
  if (caxton_equal(mode, caxton_text("leak"))) return Leak();
  if (caxton_equal(mode, caxton_text("stumble"))) return Stumble();
  if (caxton_equal(mode, caxton_text("recurse"))) return Recurse("");
  if (caxton_equal(mode, caxton_text("recurse-on-the-stack"))) return RecurseOnTheStack();
  if (caxton_equal(mode, caxton_text("trap"))) __builtin_trap();
  if (caxton_equal(mode, caxton_text("divide"))) return Divide();
  if (caxton_equal(mode, caxton_text("bounds"))) return OutOfBounds();
  if (caxton_equal(mode, caxton_text("retry"))) return CAXTON_RETRY;
  if (caxton_equal(mode, caxton_text("reject"))) return CAXTON_REJECT;
  if (caxton_equal(mode, caxton_text("code7"))) return 7;
  if (caxton_equal(mode, caxton_text("abort"))) abort();
  if (caxton_equal(mode, caxton_text("exit"))) exit(3);
  if (caxton_equal(mode, caxton_text("big-reply"))) return BigReply();
  if (caxton_equal(mode, caxton_text("spam"))) return Spam();
  if (caxton_equal(mode, caxton_text("send-much"))) return SendMuch();
  if (caxton_equal(mode, caxton_text("open"))) return BeginUntilRefused();
  if (caxton_equal(mode, caxton_text("log-spam"))) return LogSpam();
  if (caxton_equal(mode, caxton_text("half-done"))) return HalfDone();
  if (caxton_equal(mode, caxton_text("failure"))) {
    caxton_reply_text(CAXTON_FAILURE, "as you asked");
    return CAXTON_HANDLED;
  }
  caxton_reply_text(CAXTON_INFORM, "ok");
  return CAXTON_HANDLED;
}
