// SPDX-License-Identifier: Apache-2.0
#include "message.h"

#include "caxton/base/hash.h"
#include "caxton/base/wire.h"

namespace caxton::router {

std::string EffectId(AgentId agent, Seq seq, uint32_t ordinal) {
  std::string name;
  ByteWriter writer(&name);
  writer.U32(agent.value());
  writer.U64(seq.value());
  writer.U32(ordinal);
  const Digest digest = Sha256(name);
  return HexEncode({reinterpret_cast<const char*>(digest.bytes.data()), 16});
}

std::string KeyedMessageId(AgentId agent, std::string_view idempotency_key) {
  std::string name;
  ByteWriter writer(&name);
  writer.U32(agent.value());
  writer.Bytes("idem");
  writer.Tail(idempotency_key);
  const Digest digest = Sha256(name);
  return HexEncode({reinterpret_cast<const char*>(digest.bytes.data()), 16});
}

std::array<uint8_t, 32> StepSeed(AgentId agent, std::string_view message_id) {
  std::string name;
  ByteWriter writer(&name);
  writer.U32(agent.value());
  writer.Tail(message_id);
  return Sha256(name).bytes;
}

}  // namespace caxton::router
