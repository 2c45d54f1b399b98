// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/frames.h"

#include <algorithm>
#include <cstring>

#include "caxton/base/wire.h"
#include "caxton/ipc/limits.h"
#include "caxton/model/text.h"

namespace caxton::ipc {
namespace {

constexpr size_t kSeedBytes = 32;
constexpr uint8_t kMaxLogLevel = 3;

// Texts are cut at their limit when written, refused beyond it when read.
std::string_view Clip(std::string_view text) { return TruncateUtf8(text, kMaxTextBytes); }

std::string Text(ByteReader& in, size_t limit = kMaxTextBytes) {
  const std::string_view text = in.Bytes();
  if (text.size() > limit) in.Fail();
  return in.ok() ? std::string(text) : std::string();
}

// A worker's text goes to logs and terminals, as UTF-8.
std::string WorkersText(ByteReader& in) { return SanitizeUtf8(Text(in)); }

void PutSeed(ByteWriter& out, const std::array<uint8_t, kSeedBytes>& seed) {
  out.Bytes({reinterpret_cast<const char*>(seed.data()), seed.size()});
}

void GetSeed(ByteReader& in, std::array<uint8_t, kSeedBytes>* seed) {
  const std::string_view bytes = in.Bytes();
  if (bytes.size() != kSeedBytes) return in.Fail();
  std::memcpy(seed->data(), bytes.data(), kSeedBytes);
}

// A duration or size that cannot be negative.
int64_t NotNegative(ByteReader& in) {
  const int64_t value = in.I64();
  if (value < 0) in.Fail();
  return value;
}

void PutLimits(ByteWriter& out, const ResourceLimits& limits) {
  out.I64(limits.memory_bytes);
  out.I64(limits.cpu_millis);
  out.I64(limits.cpu_max_millis);
  out.I64(limits.deadline_ns);
  out.I64(limits.max_message_bytes);
  out.I32(limits.instances);
}

ResourceLimits GetLimits(ByteReader& in) {
  ResourceLimits limits;
  limits.memory_bytes = in.I64();
  limits.cpu_millis = in.I64();
  limits.cpu_max_millis = in.I64();
  limits.deadline_ns = in.I64();
  limits.max_message_bytes = in.I64();
  limits.instances = in.I32();
  return limits;
}

std::map<std::string, std::string> GetSettings(ByteReader& in) {
  std::map<std::string, std::string> settings;
  const uint32_t count = in.U32();
  if (count > kMaxSettings) in.Fail();
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    std::string name = Text(in, kMaxSettingNameBytes);
    std::string value = Text(in, kMaxSettingValueBytes);
    if (in.ok() && !settings.emplace(std::move(name), std::move(value)).second) in.Fail();
  }
  return settings;
}

DispatchHead GetDispatchHead(ByteReader& in) {
  DispatchHead head;
  head.input.ticket = Ticket(in.U64());
  head.input.seq = Seq(in.U64());
  head.input.time_ns = in.I64();
  GetSeed(in, &head.input.seed);
  head.input.has_key = in.Bool();
  head.deadline_ns = NotNegative(in);
  if (!head.input.ticket.valid()) in.Fail();
  return head;
}

}  // namespace

void EncodeConfigure(const Configure& configure, std::string* out) {
  out->clear();
  ByteWriter w(out);
  w.Bytes(configure.agent);
  w.Bytes(configure.revision);
  PutLimits(w, configure.limits);
  w.U32(static_cast<uint32_t>(configure.settings.size()));
  for (const auto& [name, value] : configure.settings) {
    w.Bytes(name);
    w.Bytes(value);
  }
  w.Bool(configure.reused_instances);
  w.U32(configure.pool_size);
  PutSeed(w, configure.init_seed);
  w.I64(configure.init_time_ns);
  w.I64(configure.init_deadline_ns);
  w.U64(configure.fuel_per_step);
}

absl::StatusOr<Configure> DecodeConfigure(std::string_view bytes) {
  ByteReader in(bytes);
  Configure configure;
  configure.agent = Text(in, kMaxAgentNameBytes);
  configure.revision = Text(in);
  configure.limits = GetLimits(in);
  configure.settings = GetSettings(in);
  configure.reused_instances = in.Bool();
  configure.pool_size = in.U32();
  if (configure.pool_size == 0 || configure.pool_size > kMaxPoolSize) in.Fail();
  GetSeed(in, &configure.init_seed);
  configure.init_time_ns = in.I64();
  configure.init_deadline_ns = NotNegative(in);
  configure.fuel_per_step = in.U64();
  if (absl::Status s = in.Finish("configure frame"); !s.ok()) return s;
  return configure;
}

void EncodeDispatchHead(const DispatchHead& head, std::string* out) {
  out->clear();
  ByteWriter w(out);
  w.U64(head.input.ticket.value());
  w.U64(head.input.seq.value());
  w.I64(head.input.time_ns);
  PutSeed(w, head.input.seed);
  w.Bool(head.input.has_key);
  w.I64(head.deadline_ns);
}

absl::StatusOr<DispatchView> DecodeDispatch(std::string_view bytes) {
  ByteReader in(bytes);
  DispatchView dispatch;
  dispatch.head = GetDispatchHead(in);
  dispatch.envelope = in.Tail();
  if (absl::Status s = in.Finish("dispatch frame"); !s.ok()) return s;
  return dispatch;
}

absl::StatusOr<bool> TryWriteDispatch(RingWriter& writer, const DispatchHead& head,
                                      std::string_view envelope, std::string* scratch) {
  EncodeDispatchHead(head, scratch);
  const std::string_view parts[] = {*scratch, envelope};
  return writer.TryWrite(static_cast<uint32_t>(FrameType::kDispatch), parts);
}

void EncodeReady(const Ready& ready, std::string* out) {
  out->clear();
  ByteWriter w(out);
  w.Bool(ready.ok);
  w.Bytes(Clip(ready.detail));
  w.Bytes(Clip(ready.engine));
  w.Bytes(Clip(ready.config_hash));
  w.U64(ready.memory_bytes);
  const size_t notes = std::min(ready.not_enforced.size(), kMaxReadyNotes);
  w.U32(static_cast<uint32_t>(notes));
  for (size_t i = 0; i < notes; ++i) w.Bytes(Clip(ready.not_enforced[i]));
}

absl::StatusOr<Ready> DecodeReady(std::string_view bytes) {
  ByteReader in(bytes);
  Ready ready;
  ready.ok = in.Bool();
  ready.detail = WorkersText(in);
  ready.engine = WorkersText(in);
  ready.config_hash = WorkersText(in);
  ready.memory_bytes = in.U64();
  const uint32_t notes = in.U32();
  if (notes > kMaxReadyNotes) in.Fail();
  for (uint32_t i = 0; i < notes && in.ok(); ++i) ready.not_enforced.push_back(WorkersText(in));
  if (absl::Status s = in.Finish("ready frame"); !s.ok()) return s;
  return ready;
}

void EncodeHealthRequest(const HealthRequest& request, std::string* out) {
  out->clear();
  ByteWriter(out).U64(request.nonce);
}

absl::StatusOr<HealthRequest> DecodeHealthRequest(std::string_view bytes) {
  ByteReader in(bytes);
  HealthRequest request;
  request.nonce = in.U64();
  if (absl::Status s = in.Finish("health request frame"); !s.ok()) return s;
  return request;
}

void EncodeHealthAnswer(const HealthAnswer& answer, std::string* out) {
  out->clear();
  ByteWriter w(out);
  w.U64(answer.nonce);
  w.Bool(answer.ok);
  w.I32(answer.code);
  w.Bytes(Clip(answer.detail));
}

absl::StatusOr<HealthAnswer> DecodeHealthAnswer(std::string_view bytes) {
  ByteReader in(bytes);
  HealthAnswer answer;
  answer.nonce = in.U64();
  answer.ok = in.Bool();
  answer.code = in.I32();
  answer.detail = WorkersText(in);
  if (absl::Status s = in.Finish("health answer frame"); !s.ok()) return s;
  return answer;
}

void EncodeLogLine(const LogLine& line, std::string* out) {
  out->clear();
  ByteWriter w(out);
  w.U8(line.level);
  w.Bytes(Clip(line.text));
}

absl::StatusOr<LogLine> DecodeLogLine(std::string_view bytes) {
  ByteReader in(bytes);
  LogLine line;
  line.level = in.U8();
  if (line.level > kMaxLogLevel) in.Fail();
  line.text = WorkersText(in);
  if (absl::Status s = in.Finish("log line frame"); !s.ok()) return s;
  return line;
}

}  // namespace caxton::ipc
