// SPDX-License-Identifier: Apache-2.0
//
// A step: one agent handling one message. StepInput is all it depends on, StepResult all it may
// cause. The result comes from a worker and is hostile: DecodeStepResult is the check. Values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "caxton/model/envelope.h"
#include "caxton/model/ids.h"

namespace caxton {

struct StepInput {
  Ticket ticket;
  Seq seq;              // marked in the worker's slot while it runs
  int64_t time_ns = 0;  // the guest's clock
  std::array<uint8_t, 32> seed{};
  bool has_key = false;
};

// Message a step sends; leaves with the commit.
struct OutgoingMessage {
  std::string to;
  Performative performative = Performative::kInform;
  std::string conversation_id, reply_with, in_reply_to, key, content_type, content;
  int64_t deadline_ns = 0;
  std::vector<std::pair<std::string, std::string>> headers;
};

enum class StepOutcome : uint8_t {
  kHandled = 0,
  kAgentFailed = 1,    // handle_message returned 1 or an unknown code: try again
  kAgentRejected = 2,  // returned 2: failed for good
  kTrapped = 3,
  kDeadline = 4,  // ran past its deadline and was interrupted
  kOutOfFuel = 5,
  kMemoryLimit = 6,
  kInterrupted = 7,  // the server asked for it (withdrawal): not the step's fault
  kOverLimit = 8,    // messages, bytes, handles or a reply beyond the limits of the ABI
  kInitFailed = 9,   // no instance could be made to run it
};
inline constexpr uint8_t kStepOutcomeCount = 10;
std::string_view StepOutcomeName(StepOutcome outcome);  // "handled", "trapped", ...

struct LogLine {
  uint8_t level = 2;  // 0 error, 1 warn, 2 info, 3 debug
  std::string text;
};

struct StepResult {
  Ticket ticket;
  StepOutcome outcome = StepOutcome::kHandled;
  int32_t agent_code = 0;  // what handle_message returned
  uint64_t fuel = 0;
  uint64_t memory_bytes = 0;  // of the instance, at its end
  int64_t run_ns = 0;         // inside the instance
  std::optional<Reply> reply;
  std::vector<OutgoingMessage> sends;
  std::vector<LogLine> logs;
  uint32_t logs_dropped = 0;
  std::string detail;  // trap message and backtrace, or why; UTF-8, bounded
};

inline constexpr size_t kMaxSendsPerStep = 64;
inline constexpr size_t kMaxStepOutputBytes =
    2 << 20;  // sends, reply and headers together; never less than max_message
inline constexpr size_t kMaxLogBytesPerStep = 16 << 10;
inline constexpr size_t kMaxLogLinesPerStep = 256;  // the decoder counts the rest as dropped
inline constexpr size_t kMaxStepDetailBytes = 8 << 10;

void EncodeStepResult(const StepResult& result, std::string* out);
// Refuses what is malformed or beyond the limits above. Drops reply and sends of a step that was
// not handled, and replaces what is not UTF-8 in logs and detail. The fields of sends are checked
// for size only: the server builds envelopes from them and passes those through ValidateEnvelope.
absl::StatusOr<StepResult> DecodeStepResult(std::string_view bytes, size_t max_output_bytes);

}  // namespace caxton
