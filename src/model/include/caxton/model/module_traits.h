// SPDX-License-Identifier: Apache-2.0
//
// ModuleTraits: what the jailed examination found out about a module, as far as others need it
// later: how its instances are kept, its manifest, whom it sends what, and what it used. Kept with
// the revision, so that a later revision and other agents' can be compared with it. A value.
//
// The module's author is hostile: the server keeps the manifest and hands it on to the next jailed
// child, and never parses it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/base/wire.h"
#include "caxton/model/envelope.h"

namespace caxton {

// Somebody the agent sends to: its manifest says so, or the sandbox saw it.
struct SentMessage {
  std::string to;  // an agent's name, or what the module gave for one
  Performative performative = Performative::kRequest;

  friend auto operator<=>(const SentMessage&, const SentMessage&) = default;
};

// Over the sample messages; of one message where not said otherwise. Exact, but for the time.
struct MeasuredFigures {
  uint32_t samples = 0;  // 0: nothing was measured
  uint32_t handled = 0;
  uint64_t peak_memory = 0;       // bytes, initialization included
  uint64_t max_fuel = 0;          // instructions
  uint64_t init_fuel = 0;         // instructions until it can handle its first message
  uint64_t code_bytes = 0;        // native
  uint64_t sends = 0;             // of all that were handled together
  uint64_t max_sends = 0;         // messages sent while handling one
  uint64_t max_output_bytes = 0;  // the largest reply or message sent
  int64_t max_step_ns = 0;        // processor time

  friend bool operator==(const MeasuredFigures&, const MeasuredFigures&) = default;
};

// Whether the same message, clock and random bytes make the agent do the same, as far as its
// samples show. Kept: numbers are not reused.
enum class Determinism : uint8_t {
  kNotTried = 0,  // no sample was handled, or time did not suffice to run each of them twice
  kYes = 1,
  kNo = 2,
};
std::string_view DeterminismName(Determinism determinism);  // "not tried", "yes", "no"

struct ModuleTraits {
  bool reused_instances = false;  // manifest "instance": "reused"
  bool has_health_check = false;
  std::string manifest_name;  // empty: none
  std::string manifest_version;
  std::string capabilities_json;   // normalized JSON array, "" if none
  std::string manifest;            // as its author wrote it, UTF-8; "" if none
  std::vector<SentMessage> sends;  // sorted, each once
  MeasuredFigures figures;
  Determinism determinism = Determinism::kNotTried;

  friend bool operator==(const ModuleTraits&, const ModuleTraits&) = default;
};

inline constexpr size_t kMaxTraitTextBytes = 8 << 10;  // each text but the manifest
inline constexpr size_t kMaxManifestBytes = 64 << 10;
inline constexpr size_t kMaxSentMessages = 256;

void WriteTraits(const ModuleTraits& traits, ByteWriter& out);
// Fails the reader where something is too long, not UTF-8 or out of range.
ModuleTraits ReadTraits(ByteReader& in);

}  // namespace caxton
