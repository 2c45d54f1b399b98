// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/command_record.h"

#include "caxton/base/status.h"
#include "codec.h"

namespace caxton::journal {

std::string CommandKey(uint64_t number) {
  std::string key;
  ByteWriter(&key).U64BigEndian(number);
  return key;
}

void Encode(const CommandRecord& record, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.Bytes(record.key);
  w.Bytes(record.request);
  w.I64(record.claimed_ns);
  w.U64(record.deployment.value());
  w.Bool(record.made);
  w.U32(record.agent.value());
  w.U64(record.waiting);
  w.U64(record.dead);
  w.U64(record.dropped);
  w.Bool(record.done);
  w.Bytes(record.answer);
}

absl::StatusOr<CommandRecord> DecodeCommand(std::string_view bytes) {
  ByteReader r(bytes);
  CommandRecord c;
  ReadFormat(r);
  c.key = r.BytesCopy();
  c.request = r.BytesCopy();
  c.claimed_ns = r.I64();
  c.deployment = DeploymentId(r.U64());
  c.made = r.Bool();
  c.agent = AgentId(r.U32());
  c.waiting = r.U64();
  c.dead = r.U64();
  c.dropped = r.U64();
  c.done = r.Bool();
  c.answer = r.BytesCopy();
  // A claim has no answer yet.
  if (c.key.empty() || (!c.done && !c.answer.empty())) r.Fail();
  RETURN_IF_ERROR(r.Finish("command record"));
  return c;
}

}  // namespace caxton::journal
