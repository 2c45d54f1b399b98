// SPDX-License-Identifier: Apache-2.0
//
// The numbers by which the server knows things. None of them is ever taken from a worker.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "caxton/base/strong_id.h"

namespace caxton {

// An agent, for as long as its rows exist; a removed and re-created agent gets a new one.
using AgentId = StrongId<struct AgentIdTag, uint32_t>;
// A revision's number within its agent: greeter@7 has 7. Never reused.
using RevisionNumber = StrongId<struct RevisionNumberTag, uint32_t>;
// A message accepted by the server; unique for the life of the store and growing in the order of
// acceptance per key: (server start count << 40) + counter.
using Seq = StrongId<struct SeqTag, uint64_t>;
// A deployment; shown as "dep-<number>".
using DeploymentId = StrongId<struct DeploymentIdTag, uint64_t>;
// One dispatch of one message to one worker; single-use, never reused within a server's life.
using Ticket = StrongId<struct TicketTag, uint64_t>;

struct RevisionRef {
  AgentId agent;
  RevisionNumber number;
  friend auto operator<=>(const RevisionRef&, const RevisionRef&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const RevisionRef& r) {
    return H::combine(std::move(h), r.agent, r.number);
  }
};

}  // namespace caxton
