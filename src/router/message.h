// SPDX-License-Identifier: Apache-2.0
//
// Message: one accepted message on its way, from admission to its end. Made on any thread, then
// owned by one shard's strand; only `ticket` is read elsewhere (by the committer).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "caxton/journal/commit_op.h"
#include "caxton/model/envelope.h"
#include "caxton/model/evidence.h"
#include "caxton/router/route_table.h"
#include "caxton/router/router.h"

namespace caxton::router {

// Where the message's durable row is.
enum class RowPlace : uint8_t {
  kNone,  // a request that promised nothing yet, or a volatile message
  kInbox,
  kHeld,
};

enum class Phase : uint8_t {
  kQueued,      // behind others of its key, or about to be dispatched
  kClaiming,    // its idempotency key is being claimed
  kBlocked,     // its turn, but no worker has room (or no revision serves the agent)
  kRunning,     // on a worker
  kCommitting,  // its step is with the committer
  kBackoff,     // failed; waits for its next try
};

// One dispatch. `route` keeps alive what the step runs on.
struct Run {
  std::shared_ptr<const AgentRoute> route;
  Arm arm = Arm::kStable;
  bool first = false;         // the message's first run: evidence where judged
  bool pinned = false;        // on the revision its sender chose: no evidence, and no second arm
  int64_t dispatched_ns = 0;  // monotonic
  const RevisionRoute& target() const {
    return arm == Arm::kCandidate ? route->candidate : route->stable;
  }
};

struct Message {
  // Fixed when made.
  AgentId agent;
  Seq seq;
  AgentId origin;  // the agent that sent it; 0: from outside
  Envelope envelope;
  std::string encoded;
  bool is_volatile = false;
  bool wants_reply = false;
  size_t bytes = 0;
  int64_t arrived_ns = 0;  // monotonic; of one read back from the journal: when it was
  std::shared_ptr<AgentLoad> load;
  std::shared_ptr<AgentLoad> origin_load;  // null: from outside

  // The shard's.
  AnswerFn answer;  // empty once called or where nobody waits
  RowPlace row = RowPlace::kNone;
  Phase phase = Phase::kQueued;
  Run run;
  int64_t first_dispatch_ns = 0;  // the guest's clock on every run; 0: not yet dispatched
  bool first_run_over = false;
  bool mirrored = false;               // a copy of it was given to the shadow, or dropped
  std::optional<Observation> pending;  // its failed first run, not attributed yet
  bool stable_only = false;
  bool alone = false;
  uint32_t kills = 0;  // workers that died while they ran it
  RevisionNumber charged_revision;
  uint32_t charged = 0;
  std::vector<journal::Attempt> attempts;
  TimerId retry_timer;

  // Read by the committer.
  std::atomic<uint64_t> ticket{0};

  std::string_view key() const { return envelope.EffectiveKey(); }
  bool durable() const { return !is_volatile; }
};
using MessagePtr = std::shared_ptr<Message>;

inline journal::TicketCell TicketCellOf(const MessagePtr& message) {
  return journal::TicketCell(message, &message->ticket);
}

// Stable id of what a step sends: first 16 bytes of SHA-256(agent, seq, ordinal), in hex.
std::string EffectId(AgentId agent, Seq seq, uint32_t ordinal);
// Id of a message with an idempotency key: the same whenever it is sent, like its answer. First 16
// bytes of SHA-256(agent, "idem", idempotency key), in hex.
std::string KeyedMessageId(AgentId agent, std::string_view idempotency_key);
// A step's random seed: SHA-256(agent, message id), so the same on every run.
std::array<uint8_t, 32> StepSeed(AgentId agent, std::string_view message_id);

}  // namespace caxton::router
