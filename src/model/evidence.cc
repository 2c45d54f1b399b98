// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/evidence.h"

#include "caxton/base/codec.h"
#include "caxton/base/status.h"
#include "caxton/model/limits.h"

namespace caxton {

void EncodeObservation(const Observation& observation, std::string* out) {
  ByteWriter w(out);
  w.U8(kRecordFormat);
  w.U64(observation.deployment.value());
  w.U8(static_cast<uint8_t>(observation.arm));
  w.U8(static_cast<uint8_t>(observation.verdict));
  w.U32(observation.weight_ppm);
  w.U64(observation.key_hash);
  w.I64(observation.at_ms);
  w.I64(observation.latency_ns);
  w.U64(observation.fuel);
  w.U64(observation.memory_bytes);
  w.I64(observation.run_ns);
}

absl::StatusOr<Observation> DecodeObservation(std::string_view bytes) {
  ByteReader r(bytes);
  Observation o;
  ReadFormat(r);
  o.deployment = DeploymentId(r.U64());
  o.arm = ReadEnum<Arm>(r, 2);
  o.verdict = ReadEnum<RunVerdict>(r, 3);
  o.weight_ppm = r.U32();
  o.key_hash = r.U64();
  o.at_ms = r.I64();
  o.latency_ns = r.I64();
  o.fuel = r.U64();
  o.memory_bytes = r.U64();
  o.run_ns = r.I64();
  if (o.weight_ppm > kFullWeightPpm || o.at_ms < 0 || o.latency_ns < 0 || o.run_ns < 0) r.Fail();
  RETURN_IF_ERROR(r.Finish("evidence"));
  return o;
}

}  // namespace caxton
