// SPDX-License-Identifier: Apache-2.0
//
// The rows the journal keeps, as values, with their keys and codecs. Keys are big-endian, so that
// their byte order is their number order. Every decoder treats the disk as hostile and answers
// DATA_LOSS.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/base/hash.h"
#include "caxton/model/envelope.h"
#include "caxton/model/evidence.h"
#include "caxton/model/ids.h"
#include "caxton/model/step.h"

namespace caxton::journal {

std::string AgentKey(AgentId agent);                           // kAgents, kCounters, kRoutes
std::string RevisionKey(const RevisionRef& revision);          // kRevisions
std::string MessageKey(AgentId agent, Seq seq);                // kInbox, kHeld, kDead
std::string DeploymentKey(DeploymentId deployment);            // kDeployments
std::string HistoryKey(DeploymentId deployment);               // kComparisons
std::string EvidenceKey(DeploymentId deployment, uint64_t n);  // kEvidence
std::string RetainedKey(AgentId agent, uint64_t n);            // kRetained
std::string IdemKey(uint32_t hour_bucket, AgentId agent, std::string_view key);

// The smallest key above every key with `prefix`: the end of a prefix scan.
std::string PrefixEnd(std::string_view prefix);
// Above every key of every table: the end of a scan of all rows.
std::string EndOfTable();

absl::StatusOr<std::pair<AgentId, Seq>> ParseMessageKey(std::string_view key);

struct AgentRecord {
  AgentId id;
  std::string name;
  uint32_t next_revision = 1;
  bool removed = false;  // its rows are being dropped
  bool retain = false;   // keep handled messages for tails: as it was at Open; changed by
                         // Journal::SetRetention
  int64_t created_ns = 0;
  // Its removal is under way and goes on after a restart: 0 no, else the mode as the controller
  // writes it.
  uint8_t removing = 0;
};

// accepted = completed + dead + dropped + waiting, after every batch.
struct CounterRow {
  uint64_t accepted = 0;
  uint64_t completed = 0;
  uint64_t dead = 0;     // dead letters made
  uint64_t dropped = 0;  // dead letters dropped, expired, or with a removed agent
  uint64_t waiting = 0;  // rows in inbox and held
  uint64_t retries = 0;  // steps run again after a failure
};

// Which revision serves an agent; journaled before traffic is given, published first when it is
// taken away.
struct RouteRecord {
  AgentId agent;
  RevisionNumber stable;     // 0: none
  RevisionNumber candidate;  // 0: none
  uint32_t weight_ppm = 0;   // of the candidate
  Salt salt{};
  DeploymentId deployment;  // that is being judged; 0: none
  bool stick_to_message = false;
  // `candidate` is a shadow: it gets copies of that share of the messages, and nothing live.
  bool shadow = false;
  uint32_t mirror_ppm = 0;
  bool secondary = false;                 // stable runs the copies a second time
  std::vector<RevisionNumber> withdrawn;  // the last kMaxWithdrawnKept
};

struct Attempt {
  RevisionNumber revision;
  StepOutcome outcome = StepOutcome::kAgentFailed;
  int32_t agent_code = 0;
  int64_t at_ns = 0;  // wall clock
  std::string detail;
};

// A message that failed and waits for its next try. Replaces its inbox row.
struct HeldRecord {
  Envelope envelope;
  int64_t first_dispatch_ns = 0;  // the guest's clock on every later run
  int64_t next_try_ns = 0;        // wall clock, for the record; intervals are re-armed from now
  uint32_t charged = 0;           // attempts that count against max_attempts
  std::vector<Attempt> attempts;  // the last kMaxAttemptsKept
  bool stable_only = false;       // failed on a candidate: its retries stay on stable
};

struct DeadLetterRecord {
  Envelope envelope;
  std::string cause;  // "max_attempts", "rejected", "quota", ...
  RevisionNumber revision;
  int64_t at_ns = 0;
  std::vector<Attempt> attempts;
};

struct IdemRecord {
  bool done = false;
  Seq seq;
  std::string digest;  // EnvelopeDigest
  // done only:
  bool dead_lettered = false;  // or expired: it ended without being handled
  std::string reason, why;     // then: what its sender was told; cut to kMaxIdemTextBytes
  std::optional<Reply> reply;  // unset: the step replied nothing (a Send)
};

// A handled message, kept for tails.
struct RetainedRecord {
  Seq seq;
  RevisionNumber revision;
  int64_t at_ns = 0;
  Envelope envelope;
  std::optional<Reply> reply;
};

void Encode(const AgentRecord& record, std::string* out);
void Encode(const CounterRow& record, std::string* out);
void Encode(const RouteRecord& record, std::string* out);
void Encode(const HeldRecord& record, std::string* out);
void Encode(const DeadLetterRecord& record, std::string* out);
void Encode(const IdemRecord& record, std::string* out);
void Encode(const RetainedRecord& record, std::string* out);
absl::StatusOr<AgentRecord> DecodeAgent(std::string_view bytes);
absl::StatusOr<CounterRow> DecodeCounters(std::string_view bytes);
absl::StatusOr<RouteRecord> DecodeRoute(std::string_view bytes);
absl::StatusOr<HeldRecord> DecodeHeld(std::string_view bytes);
absl::StatusOr<DeadLetterRecord> DecodeDeadLetter(std::string_view bytes);
absl::StatusOr<IdemRecord> DecodeIdem(std::string_view bytes);
absl::StatusOr<RetainedRecord> DecodeRetained(std::string_view bytes);

}  // namespace caxton::journal
