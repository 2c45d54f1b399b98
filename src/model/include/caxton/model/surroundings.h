// SPDX-License-Identifier: Apache-2.0
//
// Surroundings: what a new revision has to get along with on its server: the revision that is live,
// and the agents it exchanges messages with. Gathered by the controller, read by the jailed child
// that examines the revision. A value; what it says of modules came from their authors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/model/module_traits.h"

namespace caxton {

struct KnownRevision {
  std::string agent;
  std::string name;  // "billing@3": for ComparedWith only, findings say what holds for any number
  ModuleTraits traits;
  // It is switched together with the new revision; of what serves until then, if anything does.
  bool together = false;
  std::optional<ModuleTraits> replaced = std::nullopt;

  friend bool operator==(const KnownRevision&, const KnownRevision&) = default;
};

struct Surroundings {
  // False: a module is looked at on its own, and nothing is said about who is not there.
  bool on_server = false;
  std::optional<KnownRevision> live;
  // Other agents as they serve, or as they are switched together with it: those of its group, those
  // it sends to, by name, then those that only send to it.
  std::vector<KnownRevision> others;
  uint32_t left_out = 0;  // more of them than kMaxOtherAgents: not compared
  // Switched together with it and not examined yet: not compared by what serves of them now. Their
  // own examination compares with this one.
  std::vector<std::string> together;
  // Broken and undecided contracts are warnings: somebody answers for them.
  bool allow_breaking = false;

  friend bool operator==(const Surroundings&, const Surroundings&) = default;
};

inline constexpr size_t kMaxOtherAgents = 64;

// "compared with the live revision shop@1, billing@3": the note of the stage that compares.
std::string ComparedWith(const Surroundings& surroundings);

void EncodeSurroundings(const Surroundings& surroundings, std::string* out);
absl::StatusOr<Surroundings> DecodeSurroundings(std::string_view bytes);

}  // namespace caxton
