// SPDX-License-Identifier: Apache-2.0
//
// Observation: what one message's first run tells the judge (judgement.md, "What is counted").
// Written to the journal in the batch that settles the message's first run, and refolded from there
// after a crash. A value.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "caxton/model/ids.h"

namespace caxton {

enum class Arm : uint8_t { kStable = 0, kCandidate = 1 };

enum class RunVerdict : uint8_t {
  kGood = 0,
  kBad = 1,     // attributed to this arm
  kShared = 2,  // failed on stable too: shown, counted for neither
};

struct Observation {
  DeploymentId deployment;
  Arm arm = Arm::kStable;
  RunVerdict verdict = RunVerdict::kGood;
  uint32_t weight_ppm = 0;  // the candidate's, when the message was routed
  uint64_t key_hash = 0;    // of the key, or of the message id where there is none
  int64_t at_ms = 0;        // of the deployment's traffic clock (downtime excluded)
  int64_t latency_ns = 0;   // dispatch to result
  uint64_t fuel = 0;
  uint64_t memory_bytes = 0;  // of the instance, at the step's end
  int64_t run_ns = 0;         // inside the instance: what the step took of a processor
  friend bool operator==(const Observation&, const Observation&) = default;
};

void EncodeObservation(const Observation& observation, std::string* out);
absl::StatusOr<Observation> DecodeObservation(std::string_view bytes);

}  // namespace caxton
