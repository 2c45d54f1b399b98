// SPDX-License-Identifier: Apache-2.0
//
// Envelope: one message, as the API accepts it, the journal keeps it and the agent reads it (FIPA
// subset). A value. Strings are UTF-8 except `content`, which is bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/model/ids.h"

namespace caxton {

// The numbers are the agent ABI's.
enum class Performative : uint8_t {
  kRequest = 0,
  kInform = 1,
  kQuery = 2,
  kPropose = 3,
  kAcceptProposal = 4,
  kRejectProposal = 5,
  kAgree = 6,
  kRefuse = 7,
  kFailure = 8,
  kNotUnderstood = 9,
};
inline constexpr uint8_t kPerformativeCount = 10;

// "REQUEST", "INFORM", ...
std::string_view PerformativeName(Performative performative);
absl::StatusOr<Performative> ParsePerformative(std::string_view name);

enum class Delivery : uint8_t {
  kAgentDefault = 0,
  kDurable = 1,   // acknowledged after the fsync that holds it
  kVolatile = 2,  // not journaled; lost with the server, for requests whose caller retries
};

struct Envelope {
  std::string id;        // assigned by the server
  std::string sender;    // set by the server: "client:ID" or an agent's name
  std::string receiver;  // an agent's name
  Performative performative = Performative::kRequest;
  Delivery delivery = Delivery::kAgentDefault;
  std::string conversation_id;
  std::string reply_with;
  std::string in_reply_to;
  std::string key;  // the ordering key; EffectiveKey() applies the default
  std::string content;
  std::string content_type;
  std::string idempotency_key;
  std::string traceparent;
  int64_t deadline_ns = 0;  // since the Unix epoch; 0: none. The message expires then.
  // The revision that is to handle it, as long as it serves or waits in preview; 0: as routed.
  RevisionNumber pinned;
  std::vector<std::pair<std::string, std::string>> headers;

  // key, else conversation_id; empty: unordered.
  std::string_view EffectiveKey() const { return key.empty() ? conversation_id : key; }

  // What it counts for in every limit on bytes: all its strings plus kEnvelopeOverheadBytes.
  size_t ByteSize() const;
};

// Reply to a request: what Request returns and an idempotency record replays.
struct Reply {
  Performative performative = Performative::kInform;
  std::string content;
};

// The wire form (caxton/base/wire.h), the same on disk and in the worker's channel.
void EncodeEnvelope(const Envelope& envelope, std::string* out);
absl::StatusOr<Envelope> DecodeEnvelope(std::string_view bytes);

// What makes a repeat under one idempotency key "the same": receiver, performative, key, content,
// content type. 16 bytes.
std::string EnvelopeDigest(const Envelope& envelope);

// Checks what a client or guest may set against limits.h; the message names field and limit.
absl::Status ValidateEnvelope(const Envelope& envelope, size_t max_content_bytes);

}  // namespace caxton
