// SPDX-License-Identifier: Apache-2.0
//
// Last agent of the pipeline. What it handles can be tailed and held against the client's own
// ledger: nothing may be missing, double or out of order within a key. If somebody waits for it
// (see intake.c), it answers "recorded CONTENT".
#include "caxton.h"

enum { kMaxField = 1024, kMaxAnswer = 4096 };

static const char kRecorded[] = "recorded ";
enum { kRecordedSize = sizeof(kRecorded) - 1 };

CAXTON_HANDLE_MESSAGE(content) {
  char to[kMaxField], with[kMaxField], answer[kRecordedSize + kMaxAnswer];
  const caxton_bytes asker = caxton_header("answer-to", to, sizeof(to));
  if (asker.size == 0) return CAXTON_HANDLED;

  const uint32_t shown = content.size < kMaxAnswer ? content.size : kMaxAnswer;
  memcpy(answer, kRecorded, kRecordedSize);
  memcpy(answer + kRecordedSize, content.data, shown);
  const caxton_bytes text = {answer, kRecordedSize + shown};

  const int32_t message = caxton_new(asker, CAXTON_INFORM);
  caxton_set(message, CAXTON_FIELD_IN_REPLY_TO, caxton_header("answer-with", with, sizeof(with)));
  caxton_set(message, CAXTON_FIELD_CONTENT, text);
  return caxton_message_send(message) == 0 ? CAXTON_HANDLED : CAXTON_RETRY;
}
