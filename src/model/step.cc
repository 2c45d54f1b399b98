// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/step.h"

#include <algorithm>
#include <array>

#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "caxton/model/text.h"

namespace caxton {
namespace {

constexpr std::array<std::string_view, kStepOutcomeCount> kOutcomeNames = {
    "handled",     "failed",       "rejected",    "trapped",      "deadline exceeded",
    "out of fuel", "memory limit", "interrupted", "over a limit", "init failed"};
constexpr uint8_t kMaxLogLevel = 3;
constexpr size_t kMinSendBytes = 1 + 8 + 8 * 4;  // every field empty
constexpr size_t kMinLogBytes = 5;

void WriteSend(const OutgoingMessage& m, ByteWriter& w) {
  w.U8(static_cast<uint8_t>(m.performative));
  w.I64(m.deadline_ns);
  w.Bytes(m.to);
  w.Bytes(m.conversation_id);
  w.Bytes(m.reply_with);
  w.Bytes(m.in_reply_to);
  w.Bytes(m.key);
  w.Bytes(m.content_type);
  WritePairs(m.headers, w);
  w.Bytes(m.content);
}

OutgoingMessage ReadSend(ByteReader& r) {
  OutgoingMessage m;
  m.performative = ReadEnum<Performative>(r, kPerformativeCount);
  m.deadline_ns = r.I64();
  m.to = r.BytesCopy();
  m.conversation_id = r.BytesCopy();
  m.reply_with = r.BytesCopy();
  m.in_reply_to = r.BytesCopy();
  m.key = r.BytesCopy();
  m.content_type = r.BytesCopy();
  m.headers = ReadPairs(r);
  m.content = r.BytesCopy();
  return m;
}

size_t SendBytes(const OutgoingMessage& m) {
  size_t bytes = m.to.size() + m.conversation_id.size() + m.reply_with.size() +
                 m.in_reply_to.size() + m.key.size() + m.content_type.size() + m.content.size();
  for (const auto& [name, value] : m.headers) bytes += name.size() + value.size();
  return bytes;
}

absl::Status TooMuch(std::string_view what, size_t has, size_t limit) {
  return absl::InvalidArgumentError(
      StrCat("step result: ", what, ": ", has, ", the limit is ", limit));
}

// The host's functions let nothing else in: a worker that sends it is no longer the one we started.
absl::Status CheckText(std::string_view text) {
  if (IsUtf8(text)) return absl::OkStatus();
  return absl::InvalidArgumentError("step result: a field of a message is not UTF-8");
}

absl::Status CheckSend(const OutgoingMessage& m) {
  for (const std::string* field :
       {&m.to, &m.conversation_id, &m.reply_with, &m.in_reply_to, &m.key, &m.content_type}) {
    if (field->size() > kMaxEnvelopeFieldBytes) {
      return TooMuch("bytes of a field", field->size(), kMaxEnvelopeFieldBytes);
    }
    RETURN_IF_ERROR(CheckText(*field));
  }
  if (m.headers.size() > kMaxEnvelopeHeaders) {
    return TooMuch("headers of a message", m.headers.size(), kMaxEnvelopeHeaders);
  }
  for (const auto& [name, value] : m.headers) {
    if (name.size() > kMaxEnvelopeHeaderNameBytes) {
      return TooMuch("bytes of a header's name", name.size(), kMaxEnvelopeHeaderNameBytes);
    }
    if (value.size() > kMaxEnvelopeHeaderValueBytes) {
      return TooMuch("bytes of a header", value.size(), kMaxEnvelopeHeaderValueBytes);
    }
    RETURN_IF_ERROR(CheckText(name));
    RETURN_IF_ERROR(CheckText(value));
  }
  return absl::OkStatus();
}

absl::Status CheckLimits(const StepResult& result, size_t max_output_bytes) {
  if (result.sends.size() > kMaxSendsPerStep) {
    return TooMuch("messages", result.sends.size(), kMaxSendsPerStep);
  }
  size_t output = result.reply.has_value() ? result.reply->content.size() : 0;
  for (const OutgoingMessage& m : result.sends) {
    RETURN_IF_ERROR(CheckSend(m));
    output += SendBytes(m);
  }
  if (output > max_output_bytes) return TooMuch("bytes of output", output, max_output_bytes);
  size_t logs = 0;
  for (const LogLine& line : result.logs) logs += line.text.size();
  if (logs > kMaxLogBytesPerStep) return TooMuch("bytes of log", logs, kMaxLogBytesPerStep);
  if (result.detail.size() > kMaxStepDetailBytes) {
    return TooMuch("bytes of detail", result.detail.size(), kMaxStepDetailBytes);
  }
  return absl::OkStatus();
}

// What a worker says goes to logs and terminals as UTF-8, and a step that was not handled has no
// effects.
void Sanitize(StepResult* result) {
  for (LogLine& line : result->logs) line.text = SanitizeUtf8(line.text);
  result->detail = SanitizeUtf8(result->detail);
  if (result->outcome != StepOutcome::kHandled) {
    result->reply.reset();
    result->sends.clear();
  }
}

}  // namespace

std::string_view StepOutcomeName(StepOutcome outcome) {
  const auto index = static_cast<size_t>(outcome);
  return index < kOutcomeNames.size() ? kOutcomeNames[index] : "unknown";
}

void EncodeStepResult(const StepResult& result, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U64(result.ticket.value());
  w.U8(static_cast<uint8_t>(result.outcome));
  w.I32(result.agent_code);
  w.U64(result.fuel);
  w.U64(result.memory_bytes);
  w.I64(result.run_ns);
  w.Bool(result.reply.has_value());
  if (result.reply.has_value()) {
    w.U8(static_cast<uint8_t>(result.reply->performative));
    w.Bytes(result.reply->content);
  }
  w.U32(static_cast<uint32_t>(result.sends.size()));
  for (const OutgoingMessage& m : result.sends) WriteSend(m, w);
  w.U32(static_cast<uint32_t>(result.logs.size()));
  for (const LogLine& line : result.logs) {
    w.U8(line.level);
    w.Bytes(line.text);
  }
  w.U32(result.logs_dropped);
  w.Bytes(result.detail);
}

absl::StatusOr<StepResult> DecodeStepResult(std::string_view bytes, size_t max_output_bytes) {
  ByteReader r(bytes);
  StepResult v;
  ReadFormat(r);
  v.ticket = Ticket(r.U64());
  v.outcome = ReadEnum<StepOutcome>(r, kStepOutcomeCount);
  v.agent_code = r.I32();
  v.fuel = r.U64();
  v.memory_bytes = r.U64();
  v.run_ns = r.I64();
  if (r.Bool()) {
    Reply reply;
    reply.performative = ReadEnum<Performative>(r, kPerformativeCount);
    reply.content = r.BytesCopy();
    v.reply = std::move(reply);
  }
  const uint32_t sends = ReadCount(r, kMinSendBytes);
  // Checked before the messages are built: a short frame can claim many of them.
  if (sends > kMaxSendsPerStep) return TooMuch("messages", sends, kMaxSendsPerStep);
  for (uint32_t i = 0; i < sends && r.ok(); ++i) v.sends.push_back(ReadSend(r));
  const uint32_t logs = ReadCount(r, kMinLogBytes);
  for (uint32_t i = 0; i < logs && r.ok(); ++i) {
    LogLine line;
    line.level = r.U8();
    if (line.level > kMaxLogLevel) r.Fail();
    const std::string_view text = r.Bytes();
    if (i >= kMaxLogLinesPerStep) continue;
    line.text = std::string(text);
    v.logs.push_back(std::move(line));
  }
  v.logs_dropped = r.U32();
  if (logs > kMaxLogLinesPerStep) v.logs_dropped += logs - kMaxLogLinesPerStep;
  v.detail = r.BytesCopy();
  if (v.run_ns < 0) r.Fail();
  RETURN_IF_ERROR(r.Finish("step result"));
  RETURN_IF_ERROR(CheckLimits(v, max_output_bytes));
  Sanitize(&v);
  return v;
}

}  // namespace caxton
