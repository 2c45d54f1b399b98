// SPDX-License-Identifier: Apache-2.0
//
// The resource stage: what the agent used in the sandbox, and over recent messages, against what
// the request gives it; in the sandbox also against what the live revision used there, side by
// side; and recommended limits. Private to src/examine.
#pragma once

#include <cstdint>
#include <optional>

#include "caxton/model/surroundings.h"
#include "findings.h"

namespace caxton::examine {

struct RequestedLimits {
  int64_t memory_bytes = 0;
  int64_t deadline_ns = 0;  // of a step; 0: not known
  int64_t max_message_bytes = 0;
};

// What the agent used for its recent messages, which are counted as samples here; nothing is known
// of what is measured once for a module.
struct RecentFigures {
  MeasuredFigures figures;
  uint32_t skipped = 0;  // the time was up before they began or ended
};

// Code of the note that says what limits to ask for; the last thing in the stage.
inline constexpr char kRecommended[] = "RECOMMENDED";

// Only warnings and notes: samples are no proof.
void JudgeResources(const MeasuredFigures& figures, const RequestedLimits& limits,
                    const std::optional<KnownRevision>& live, Findings* findings);

// The same of recent messages, with what fits both them and the samples as its recommendation. They
// are not compared with the live revision's figures, which are of other messages: its samples.
void JudgeRecent(const RecentFigures& recent, const MeasuredFigures& samples,
                 const RequestedLimits& limits, Findings* findings);

}  // namespace caxton::examine
