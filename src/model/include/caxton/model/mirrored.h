// SPDX-License-Identifier: Apache-2.0
//
// MirroredStep: one message's live step beside what a shadow made of the same message, with the
// same clock, the same random bytes. Nothing of the shadow's side was committed. Values; what is in
// them comes from guests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/model/envelope.h"
#include "caxton/model/ids.h"
#include "caxton/model/step.h"

namespace caxton {

// One side of the comparison.
struct MirrorSide {
  StepOutcome outcome = StepOutcome::kHandled;
  int32_t agent_code = 0;
  std::optional<Reply> reply;
  std::vector<OutgoingMessage> sends;
  int64_t latency_ns = 0;  // dispatch to result
  int64_t run_ns = 0;      // inside the instance
  uint64_t fuel = 0;
  uint64_t memory_bytes = 0;
  std::string detail;  // why it was not handled
};
// What of a result is compared; takes its reply and sends.
MirrorSide SideOf(StepResult result, int64_t latency_ns);

struct MirroredStep {
  DeploymentId deployment;
  std::string message_id;
  std::string content_type;  // of the message
  MirrorSide live, shadow;
  std::optional<MirrorSide> secondary;  // stable once more, where asked
};

// What became of a message that was to be mirrored.
enum class MirrorFate : uint8_t {
  kCompared = 0,
  kDropped = 1,  // the shadow's queue was full: the live path does not wait
  kLost = 2,     // a worker of the shadow died, or it was stopped
};

}  // namespace caxton
