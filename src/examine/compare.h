// SPDX-License-Identifier: Apache-2.0
//
// Whether a new revision keeps what others rely on: its contracts against those of the revision
// that is live, of the agents it sends to, and of those that send to it. What is broken, and what
// cannot be decided, is an error that says where by path, or a warning where somebody has allowed
// it. Private to src/examine.
//
// Who declares nothing has promised nothing: there is nothing to compare. Thread rule: functions on
// values.
#pragma once

#include <string>
#include <vector>

#include "caxton/model/surroundings.h"
#include "contracts.h"
#include "findings.h"
#include "sandbox.h"

namespace caxton::examine {

// One revision's side of a comparison.
struct Party {
  std::string agent;  // empty: not known
  const Contracts& contracts;
  const std::vector<SentMessage>& sends;  // declared and seen
  const std::vector<SampleRun>& runs;     // what it sent in the sandbox
};

// What the live revision's consumers and senders could no longer rely on.
void CompareWithLive(const Contracts& contracts, const Surroundings& around, Findings* findings);

// What agents that exchange messages with it would not accept, or send that it does not. A fault
// that the live revision has too warns: it must not keep a correction out.
void CompareWithOthers(const Party& party, const Surroundings& around, Findings* findings);

}  // namespace caxton::examine
