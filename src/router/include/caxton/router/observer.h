// SPDX-License-Identifier: Apache-2.0
//
// RouterObserver: what others want to know of every step. Thread rule: each method says on which
// strand it is called; none may block.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "caxton/model/evidence.h"
#include "caxton/model/ids.h"
#include "caxton/model/mirrored.h"
#include "caxton/model/step.h"

namespace caxton::router {

// A step on the live path; a shadow's are none.
struct StepEvent {
  RevisionRef revision;
  StepOutcome outcome = StepOutcome::kHandled;
  int64_t latency_ns = 0;  // dispatch to result
  uint64_t fuel = 0;
  bool retry = false;  // not the message's first run
};

class RouterObserver {
 public:
  virtual ~RouterObserver() = default;
  // On a shard's strand.
  virtual void OnStep(const StepEvent&) {}
  // On the committer's strand, in the order in which they were committed.
  virtual void OnObservation(const Observation&) {}
  // On a shard's strand, the mirror's (a shadow's lines), or a worker's reader thread.
  virtual void OnLog(RevisionRef, const std::vector<LogLine>&) {}
  // On a shard's strand.
  virtual void OnDeadLetter(AgentId, const std::string& /*cause*/) {}
  // On the mirror's strand: a message that its shadow ran as well. The time this takes is the
  // mirror's own: where it is too slow, copies are dropped.
  virtual void OnMirrored(const MirroredStep&) {}
  // On the mirror's strand: `count` messages that were to be mirrored and were not compared
  // (kDropped, kLost).
  virtual void OnMirrorFate(DeploymentId, MirrorFate, int64_t /*count*/) {}
};

}  // namespace caxton::router
