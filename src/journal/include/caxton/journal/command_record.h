// SPDX-License-Identifier: Apache-2.0
//
// CommandRecord: one call that changes something and came with an idempotency key (promote, roll
// back, remove, ...; not messages, which have their own, IdemRecord). Written twice: as a claim, in
// the same batch as the command's effect, so that a crash leaves both or neither; then with the
// answer, before anybody is told it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "caxton/model/ids.h"

namespace caxton::journal {

struct CommandRecord {
  std::string key;         // the call and the caller's key
  std::string request;     // digests of what was asked for; the caller's form
  int64_t claimed_ns = 0;  // wall clock
  // What the effect was, so that the answer can be made after a crash that came before it.
  DeploymentId deployment;  // steered or made; the first of a group
  bool made = false;        // `deployment` was made
  AgentId agent;            // removed
  // A removal: the agent's counters when it began.
  uint64_t waiting = 0, dead = 0, dropped = 0;

  bool done = false;
  std::string answer;  // done: what the caller was told, in the caller's form

  friend bool operator==(const CommandRecord&, const CommandRecord&) = default;
};

std::string CommandKey(uint64_t number);  // kCommands
void Encode(const CommandRecord& record, std::string* out);
absl::StatusOr<CommandRecord> DecodeCommand(std::string_view bytes);

}  // namespace caxton::journal
