// SPDX-License-Identifier: Apache-2.0
//
// What an agent's manifest promises about its messages: JSON Schemas of what it consumes and
// produces, by performative, and sample messages. Reads them, holds what the agent sent in the
// sandbox against them, and compares them with those of the revision that is live. Private to
// src/examine.
//
// Lifecycle: ReadContracts on a manifest that ReadManifest accepted, then the checks. Thread rule:
// functions on values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/model/envelope.h"
#include "findings.h"
#include "sandbox.h"

namespace caxton::examine {

struct Contracts {
  std::vector<Sample> samples;
  // Performative's name -> schema; null where the manifest says nothing, which allows everything.
  nlohmann::json consumes, produces;
};

// Malformed schemas and samples are errors, all of them told.
Contracts ReadContracts(std::string_view manifest, std::string_view place, Findings* findings);

// Whether it restricts nothing.
bool IsAnything(const nlohmann::json& schema);

// One sample for each schema in `consumes` that one can be made for.
std::vector<Sample> GenerateSamples(const Contracts& contracts);

// Everything that the sandbox's steps replied or sent, against `produces`.
void CheckOutputs(const Contracts& contracts, const std::vector<SampleRun>& runs,
                  Findings* findings);

struct CompareOptions {
  std::string_view live_manifest;  // of the revision that is live; empty: there is none to compare
  bool allow_breaking = false;     // what would be errors is recorded as warnings
};
// What the live revision's consumers and senders could no longer rely on.
void CompareWithLive(const Contracts& contracts, const CompareOptions& options, Findings* findings);

}  // namespace caxton::examine
