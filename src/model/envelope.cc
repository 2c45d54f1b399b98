// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/envelope.h"

#include <array>

#include "caxton/base/codec.h"
#include "caxton/base/hash.h"
#include "caxton/base/status.h"
#include "caxton/model/limits.h"
#include "caxton/model/names.h"
#include "caxton/model/text.h"

namespace caxton {
namespace {

constexpr std::array<std::string_view, kPerformativeCount> kPerformativeNames = {
    "REQUEST",         "INFORM", "QUERY",  "PROPOSE", "ACCEPT_PROPOSAL",
    "REJECT_PROPOSAL", "AGREE",  "REFUSE", "FAILURE", "NOT_UNDERSTOOD"};
constexpr uint8_t kDeliveryCount = 3;
constexpr size_t kDigestBytes = 16;
constexpr std::string_view kClientPrefix = "client:";

absl::Status CheckText(std::string_view field, std::string_view value, size_t max_bytes) {
  if (value.size() > max_bytes) {
    return absl::InvalidArgumentError(
        StrCat("the message's ", field, " has ", value.size(), " bytes, the limit is ", max_bytes));
  }
  if (!IsUtf8(value)) {
    return absl::InvalidArgumentError(StrCat("the message's ", field, " is not UTF-8 text"));
  }
  return absl::OkStatus();
}

absl::Status CheckHeaders(const std::vector<std::pair<std::string, std::string>>& headers) {
  if (headers.size() > kMaxEnvelopeHeaders) {
    return absl::InvalidArgumentError(
        StrCat("the message has ", headers.size(), " headers, the limit is ", kMaxEnvelopeHeaders));
  }
  for (const auto& [name, value] : headers) {
    if (name.empty()) {
      return absl::InvalidArgumentError("a header of the message has an empty name");
    }
    for (char c : name) {
      if (c <= ' ' || c > '~') {
        return absl::InvalidArgumentError(
            StrCat("the header name ", Quoted(name), " has other than printable ASCII"));
      }
    }
    RETURN_IF_ERROR(CheckText("header name", name, kMaxEnvelopeHeaderNameBytes));
    RETURN_IF_ERROR(
        CheckText(StrCat("header ", Quoted(name)), value, kMaxEnvelopeHeaderValueBytes));
  }
  return absl::OkStatus();
}

absl::Status CheckReceiver(std::string_view receiver) {
  // An agent answers a waiting client by its sender name, which no agent can have (it contains
  // ':').
  if (StartsWith(receiver, kClientPrefix)) {
    return CheckText("receiver", receiver, kMaxEnvelopeFieldBytes);
  }
  return Annotate(ValidateAgentName(receiver), "the message's receiver");
}

}  // namespace

std::string_view PerformativeName(Performative performative) {
  const auto index = static_cast<size_t>(performative);
  return index < kPerformativeNames.size() ? kPerformativeNames[index] : "UNKNOWN";
}

absl::StatusOr<Performative> ParsePerformative(std::string_view name) {
  for (size_t i = 0; i < kPerformativeNames.size(); ++i) {
    if (EqualsIgnoreCase(name, kPerformativeNames[i])) return static_cast<Performative>(i);
  }
  return WithFix(absl::InvalidArgumentError(StrCat(Quoted(name), " is no performative")),
                 "use one of REQUEST INFORM QUERY PROPOSE ACCEPT_PROPOSAL REJECT_PROPOSAL AGREE "
                 "REFUSE FAILURE NOT_UNDERSTOOD");
}

size_t Envelope::ByteSize() const {
  size_t bytes = kEnvelopeOverheadBytes + id.size() + sender.size() + receiver.size() +
                 conversation_id.size() + reply_with.size() + in_reply_to.size() + key.size() +
                 content.size() + content_type.size() + idempotency_key.size() + traceparent.size();
  for (const auto& [name, value] : headers) bytes += name.size() + value.size();
  return bytes;
}

void EncodeEnvelope(const Envelope& envelope, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U8(static_cast<uint8_t>(envelope.performative));
  w.U8(static_cast<uint8_t>(envelope.delivery));
  w.I64(envelope.deadline_ns);
  w.U32(envelope.pinned.value());
  w.Bytes(envelope.id);
  w.Bytes(envelope.sender);
  w.Bytes(envelope.receiver);
  w.Bytes(envelope.conversation_id);
  w.Bytes(envelope.reply_with);
  w.Bytes(envelope.in_reply_to);
  w.Bytes(envelope.key);
  w.Bytes(envelope.content_type);
  w.Bytes(envelope.idempotency_key);
  w.Bytes(envelope.traceparent);
  WritePairs(envelope.headers, w);
  w.Bytes(envelope.content);
}

absl::StatusOr<Envelope> DecodeEnvelope(std::string_view bytes) {
  ByteReader r(bytes);
  Envelope e;
  ReadFormat(r);
  e.performative = ReadEnum<Performative>(r, kPerformativeCount);
  e.delivery = ReadEnum<Delivery>(r, kDeliveryCount);
  e.deadline_ns = r.I64();
  e.pinned = RevisionNumber(r.U32());
  e.id = r.BytesCopy();
  e.sender = r.BytesCopy();
  e.receiver = r.BytesCopy();
  e.conversation_id = r.BytesCopy();
  e.reply_with = r.BytesCopy();
  e.in_reply_to = r.BytesCopy();
  e.key = r.BytesCopy();
  e.content_type = r.BytesCopy();
  e.idempotency_key = r.BytesCopy();
  e.traceparent = r.BytesCopy();
  e.headers = ReadPairs(r);
  e.content = r.BytesCopy();
  RETURN_IF_ERROR(r.Finish("message"));
  return e;
}

std::string EnvelopeDigest(const Envelope& envelope) {
  std::string same;
  ByteWriter w(&same);
  w.Bytes(envelope.receiver);
  w.U8(static_cast<uint8_t>(envelope.performative));
  w.Bytes(envelope.key);
  w.Bytes(envelope.content_type);
  w.Bytes(envelope.content);
  const Digest digest = Sha256(same);
  return std::string(reinterpret_cast<const char*>(digest.bytes.data()), kDigestBytes);
}

absl::Status ValidateEnvelope(const Envelope& envelope, size_t max_content_bytes) {
  RETURN_IF_ERROR(CheckReceiver(envelope.receiver));
  if (static_cast<uint8_t>(envelope.performative) >= kPerformativeCount) {
    return absl::InvalidArgumentError("the message's performative is unknown");
  }
  if (static_cast<uint8_t>(envelope.delivery) >= kDeliveryCount) {
    return absl::InvalidArgumentError("the message's delivery is unknown");
  }
  if (envelope.deadline_ns < 0) {
    return absl::InvalidArgumentError("the message's deadline lies before 1970");
  }
  const std::pair<std::string_view, const std::string*> fields[] = {
      {"id", &envelope.id},
      {"sender", &envelope.sender},
      {"conversation_id", &envelope.conversation_id},
      {"reply_with", &envelope.reply_with},
      {"in_reply_to", &envelope.in_reply_to},
      {"key", &envelope.key},
      {"content_type", &envelope.content_type},
      {"idempotency_key", &envelope.idempotency_key},
      {"traceparent", &envelope.traceparent},
  };
  for (const auto& [name, value] : fields) {
    RETURN_IF_ERROR(CheckText(name, *value, kMaxEnvelopeFieldBytes));
  }
  RETURN_IF_ERROR(CheckHeaders(envelope.headers));
  if (envelope.content.size() > max_content_bytes) {
    return WithFix(
        absl::InvalidArgumentError(StrCat("the message's content has ", envelope.content.size(),
                                          " bytes, the agent takes at most ", max_content_bytes)),
        "send less at once, or raise resources.max_message of the agent (at most 16Mi)");
  }
  return absl::OkStatus();
}

}  // namespace caxton
