// SPDX-License-Identifier: Apache-2.0
//
// What a replay is asked for and what it tells: messages that an agent has handled, run once more
// on stable and on a candidate, in workers of their own, with nothing committed
// (docs/internals/history.md). Values.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "caxton/model/ids.h"
#include "caxton/model/mirrored.h"
#include "caxton/router/route_table.h"

namespace caxton::router {

// A message that was handled, as it is kept for replays.
struct KeptMessage {
  Seq seq;
  int64_t first_dispatch_ns = 0;  // the guest's clock on every run of it
  std::string envelope;           // encoded
};

// The number under which workers of their own run a revision for a replay. Numbers that are given
// out never have this bit.
inline constexpr uint32_t kReplayBit = 1u << 30;
inline RevisionNumber ReplayOf(RevisionNumber number) {
  return RevisionNumber(number.value() | kReplayBit);
}
inline bool IsReplay(RevisionNumber number) { return (number.value() & kReplayBit) != 0; }

struct ReplayEnd {
  int64_t lost = 0;   // not compared: a worker was stopped, or what was kept cannot be read
  int64_t unrun = 0;  // not compared: the time was up
};

struct ReplayOrder {
  DeploymentId deployment;          // one replay of each at a time
  RevisionRoute stable, candidate;  // with workers that nothing else is dispatched to
  std::vector<KeptMessage> messages;
  int64_t limit_ns = 0;  // for all of them
  // On the mirror's strand: `live` is what stable did, `shadow` what the candidate did.
  std::function<void(const MirroredStep&)> compared;
  // On the mirror's strand, once, after the last `compared`; not after StopReplay.
  absl::AnyInvocable<void(ReplayEnd)> done;
};

}  // namespace caxton::router
