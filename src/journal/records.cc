// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/records.h"

#include "caxton/base/status.h"
#include "caxton/journal/limits.h"
#include "caxton/model/limits.h"
#include "caxton/model/text.h"
#include "codec.h"

namespace caxton::journal {
namespace {

constexpr uint32_t kWholePpm = 1'000'000;
constexpr size_t kMinAttemptBytes = 4 + 1 + 4 + 8 + 4;

void WriteAttempts(const std::vector<Attempt>& attempts, std::string* out) {
  ByteWriter w(out);
  // The newest are kept: the oldest say least about why the message still fails.
  const size_t skip = attempts.size() > kMaxAttemptsKept ? attempts.size() - kMaxAttemptsKept : 0;
  w.U32(static_cast<uint32_t>(attempts.size() - skip));
  for (size_t i = skip; i < attempts.size(); ++i) {
    const Attempt& a = attempts[i];
    w.U32(a.revision.value());
    w.U8(static_cast<uint8_t>(a.outcome));
    w.I32(a.agent_code);
    w.I64(a.at_ns);
    w.Bytes(a.detail);
  }
}

std::vector<Attempt> ReadAttempts(ByteReader& r) {
  std::vector<Attempt> attempts;
  const uint32_t count = ReadBoundedCount(r, kMinAttemptBytes, kMaxAttemptsKept);
  attempts.reserve(count);
  for (uint32_t i = 0; i < count && r.ok(); ++i) {
    Attempt a;
    a.revision = RevisionNumber(r.U32());
    a.outcome = ReadEnum<StepOutcome>(r, kStepOutcomeCount);
    a.agent_code = r.I32();
    a.at_ns = r.I64();
    a.detail = r.BytesCopy();
    attempts.push_back(std::move(a));
  }
  return attempts;
}

void WriteEnvelope(const Envelope& envelope, std::string* out) {
  WriteNested(out, [&](std::string* to) { EncodeEnvelope(envelope, to); });
}

// Fails the reader if the nested message is malformed.
Envelope ReadEnvelope(ByteReader& r) {
  const std::string_view bytes = r.Bytes();
  if (!r.ok()) return {};
  absl::StatusOr<Envelope> envelope = DecodeEnvelope(bytes);
  if (envelope.ok()) return *std::move(envelope);
  r.Fail();
  return {};
}

void WriteReply(const std::optional<Reply>& reply, std::string* out) {
  ByteWriter w(out);
  w.Bool(reply.has_value());
  if (!reply.has_value()) return;
  w.U8(static_cast<uint8_t>(reply->performative));
  w.Bytes(reply->content);
}

std::optional<Reply> ReadReply(ByteReader& r) {
  if (!r.Bool()) return std::nullopt;
  Reply reply;
  reply.performative = ReadEnum<Performative>(r, kPerformativeCount);
  reply.content = r.BytesCopy();
  return reply;
}

}  // namespace

std::string AgentKey(AgentId agent) {
  std::string key;
  ByteWriter(&key).U32BigEndian(agent.value());
  return key;
}

std::string RevisionKey(const RevisionRef& revision) {
  std::string key = AgentKey(revision.agent);
  ByteWriter(&key).U32BigEndian(revision.number.value());
  return key;
}

std::string MessageKey(AgentId agent, Seq seq) {
  std::string key = AgentKey(agent);
  ByteWriter(&key).U64BigEndian(seq.value());
  return key;
}

std::string DeploymentKey(DeploymentId deployment) {
  std::string key;
  ByteWriter(&key).U64BigEndian(deployment.value());
  return key;
}

std::string HistoryKey(DeploymentId deployment) { return DeploymentKey(deployment) + "h"; }

std::string EvidenceKey(DeploymentId deployment, uint64_t n) {
  std::string key;
  key.reserve(16);
  ByteWriter w(&key);
  w.U64BigEndian(deployment.value());
  w.U64BigEndian(n);
  return key;
}

std::string RetainedKey(AgentId agent, uint64_t n) {
  std::string key = AgentKey(agent);
  ByteWriter(&key).U64BigEndian(n);
  return key;
}

std::string IdemKey(uint32_t hour_bucket, AgentId agent, std::string_view key) {
  std::string out;
  out.reserve(8 + key.size());
  ByteWriter w(&out);
  w.U32BigEndian(hour_bucket);
  w.U32BigEndian(agent.value());
  w.Tail(key);
  return out;
}

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return EndOfTable();
  end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  return end;
}

// One byte longer than the longest key that could consist of 0xff alone.
std::string EndOfTable() { return std::string(32, '\xff'); }

absl::StatusOr<std::pair<AgentId, Seq>> ParseMessageKey(std::string_view key) {
  ByteReader r(key);
  const AgentId agent(r.U32BigEndian());
  const Seq seq(r.U64BigEndian());
  if (!agent.valid() || !seq.valid()) r.Fail();
  RETURN_IF_ERROR(r.Finish("message key"));
  return std::pair(agent, seq);
}

void Encode(const AgentRecord& record, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U32(record.id.value());
  w.Bytes(record.name);
  w.U32(record.next_revision);
  w.Bool(record.removed);
  w.Bool(record.retain);
  w.I64(record.created_ns);
  w.U8(record.removing);
}

absl::StatusOr<AgentRecord> DecodeAgent(std::string_view bytes) {
  ByteReader r(bytes);
  AgentRecord a;
  ReadFormat(r);
  a.id = AgentId(r.U32());
  a.name = r.BytesCopy();
  a.next_revision = r.U32();
  a.removed = r.Bool();
  a.retain = r.Bool();
  a.created_ns = r.I64();
  a.removing = r.U8();
  if (!a.id.valid() || a.removing > kMaxRemovalMode || a.name.size() > kMaxAgentNameBytes ||
      a.next_revision == 0)
    r.Fail();
  RETURN_IF_ERROR(r.Finish("agent record"));
  return a;
}

void Encode(const CounterRow& record, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U64(record.accepted);
  w.U64(record.completed);
  w.U64(record.dead);
  w.U64(record.dropped);
  w.U64(record.waiting);
  w.U64(record.retries);
}

absl::StatusOr<CounterRow> DecodeCounters(std::string_view bytes) {
  ByteReader r(bytes);
  CounterRow c;
  ReadFormat(r);
  c.accepted = r.U64();
  c.completed = r.U64();
  c.dead = r.U64();
  c.dropped = r.U64();
  c.waiting = r.U64();
  c.retries = r.U64();
  RETURN_IF_ERROR(r.Finish("counters"));
  if (c.accepted != c.completed + c.dead + c.dropped + c.waiting) {
    return absl::DataLossError("counters: accepted is not the sum of what became of it");
  }
  return c;
}

void Encode(const RouteRecord& record, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U32(record.agent.value());
  w.U32(record.stable.value());
  w.U32(record.candidate.value());
  w.U32(record.weight_ppm);
  w.Tail({reinterpret_cast<const char*>(record.salt.data()), record.salt.size()});
  w.U64(record.deployment.value());
  w.Bool(record.stick_to_message);
  w.Bool(record.shadow);
  w.U32(record.mirror_ppm);
  w.Bool(record.secondary);
  const auto& gone = record.withdrawn;
  const size_t skip = gone.size() > kMaxWithdrawnKept ? gone.size() - kMaxWithdrawnKept : 0;
  w.U32(static_cast<uint32_t>(gone.size() - skip));
  for (size_t i = skip; i < gone.size(); ++i) w.U32(gone[i].value());
}

absl::StatusOr<RouteRecord> DecodeRoute(std::string_view bytes) {
  ByteReader r(bytes);
  RouteRecord route;
  ReadFormat(r);
  route.agent = AgentId(r.U32());
  route.stable = RevisionNumber(r.U32());
  route.candidate = RevisionNumber(r.U32());
  route.weight_ppm = r.U32();
  for (uint8_t& byte : route.salt) byte = r.U8();
  route.deployment = DeploymentId(r.U64());
  route.stick_to_message = r.Bool();
  route.shadow = r.Bool();
  route.mirror_ppm = r.U32();
  route.secondary = r.Bool();
  const uint32_t count = ReadBoundedCount(r, sizeof(uint32_t), kMaxWithdrawnKept);
  for (uint32_t i = 0; i < count && r.ok(); ++i) {
    route.withdrawn.push_back(RevisionNumber(r.U32()));
  }
  if (!route.agent.valid() || route.weight_ppm > kWholePpm || route.mirror_ppm > kWholePpm) {
    r.Fail();
  }
  RETURN_IF_ERROR(r.Finish("route record"));
  return route;
}

void Encode(const HeldRecord& record, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.I64(record.first_dispatch_ns);
  w.I64(record.next_try_ns);
  w.U32(record.charged);
  w.Bool(record.stable_only);
  WriteAttempts(record.attempts, out);
  WriteEnvelope(record.envelope, out);
}

absl::StatusOr<HeldRecord> DecodeHeld(std::string_view bytes) {
  ByteReader r(bytes);
  HeldRecord h;
  ReadFormat(r);
  h.first_dispatch_ns = r.I64();
  h.next_try_ns = r.I64();
  h.charged = r.U32();
  h.stable_only = r.Bool();
  h.attempts = ReadAttempts(r);
  h.envelope = ReadEnvelope(r);
  RETURN_IF_ERROR(r.Finish("held message"));
  return h;
}

void Encode(const DeadLetterRecord& record, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.Bytes(record.cause);
  w.U32(record.revision.value());
  w.I64(record.at_ns);
  WriteAttempts(record.attempts, out);
  WriteEnvelope(record.envelope, out);
}

absl::StatusOr<DeadLetterRecord> DecodeDeadLetter(std::string_view bytes) {
  ByteReader r(bytes);
  DeadLetterRecord d;
  ReadFormat(r);
  d.cause = r.BytesCopy();
  d.revision = RevisionNumber(r.U32());
  d.at_ns = r.I64();
  d.attempts = ReadAttempts(r);
  d.envelope = ReadEnvelope(r);
  RETURN_IF_ERROR(r.Finish("dead letter"));
  return d;
}

void Encode(const IdemRecord& record, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.Bool(record.done);
  w.U64(record.seq.value());
  w.Bytes(record.digest);
  w.Bool(record.dead_lettered);
  if (record.dead_lettered) {
    w.Bytes(TruncateUtf8(record.reason, kMaxIdemTextBytes));
    w.Bytes(TruncateUtf8(record.why, kMaxIdemTextBytes));
  }
  WriteReply(record.reply, out);
}

absl::StatusOr<IdemRecord> DecodeIdem(std::string_view bytes) {
  ByteReader r(bytes);
  IdemRecord i;
  ReadFormat(r);
  i.done = r.Bool();
  i.seq = Seq(r.U64());
  i.digest = r.BytesCopy();
  i.dead_lettered = r.Bool();
  if (i.dead_lettered) {
    i.reason = r.BytesCopy();
    i.why = r.BytesCopy();
  }
  i.reply = ReadReply(r);
  // A claim that is not settled has no answer yet.
  if (!i.done && (i.dead_lettered || i.reply.has_value())) r.Fail();
  RETURN_IF_ERROR(r.Finish("idempotency record"));
  return i;
}

void Encode(const RetainedRecord& record, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U64(record.seq.value());
  w.U32(record.revision.value());
  w.I64(record.at_ns);
  WriteReply(record.reply, out);
  WriteEnvelope(record.envelope, out);
}

absl::StatusOr<RetainedRecord> DecodeRetained(std::string_view bytes) {
  ByteReader r(bytes);
  RetainedRecord k;
  ReadFormat(r);
  k.seq = Seq(r.U64());
  k.revision = RevisionNumber(r.U32());
  k.at_ns = r.I64();
  k.reply = ReadReply(r);
  k.envelope = ReadEnvelope(r);
  RETURN_IF_ERROR(r.Finish("retained message"));
  return k;
}

}  // namespace caxton::journal
