// SPDX-License-Identifier: Apache-2.0
//
// What an agent's manifest promises about its messages: JSON Schemas of what it consumes and
// produces, by performative, whom it sends to, and sample messages. Reads them, and holds what the
// agent sent in the sandbox against them; compare.h compares them with others'. Private to
// src/examine.
//
// Lifecycle: ReadContracts on a manifest that ReadManifest could read, then the checks. Thread
// rule: functions on values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/model/envelope.h"
#include "caxton/model/module_traits.h"
#include "findings.h"
#include "sandbox.h"

namespace caxton::examine {

struct Contracts {
  std::vector<Sample> samples;
  // Performative's name -> schema; null where the manifest says nothing, which allows everything.
  nlohmann::json consumes, produces;
  std::vector<SentMessage> sends;  // "sends_to": sorted, each once
};

// Malformed schemas, samples and receivers are errors, all of them told.
Contracts ReadContracts(std::string_view manifest, std::string_view place, Findings* findings);

// Whether it restricts nothing.
bool IsAnything(const nlohmann::json& schema);

// One sample for each schema in `consumes` that one can be made for; of each other schema a note.
std::vector<Sample> GenerateSamples(const Contracts& contracts, Findings* findings);

// The manifest's samples against its own `consumes`: contradictions warn.
void CheckOwnSamples(const Contracts& contracts, Findings* findings);

// Everything that the sandbox's steps replied or sent, against `produces`. What comes of hostile
// samples only warns.
void CheckOutputs(const Contracts& contracts, const std::vector<SampleRun>& runs,
                  Findings* findings);

}  // namespace caxton::examine
