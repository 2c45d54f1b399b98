// SPDX-License-Identifier: Apache-2.0
//
// What the agent makes of its own recent messages, real ones: figures, and how many it failed on.
// They prove less than a replay beside stable does, so that nothing here fails a module, and they
// are somebody's: no finding says what is in them. Private to src/examine; TryRecent of examiner.h
// does both.
#pragma once

#include <cstdint>
#include <vector>

#include "caxton/model/envelope.h"
#include "findings.h"
#include "sandbox.h"

namespace caxton::examine {

struct RecentFigures {
  uint32_t messages = 0;  // run
  uint32_t handled = 0;
  uint32_t skipped = 0;  // the time was up before they began or ended
  uint64_t peak_memory = 0;
  uint64_t max_fuel = 0;
  int64_t max_step_ns = 0;
};

// Each in a fresh instance, once, all of them within kRecentLimitNs. Failures as warnings.
RecentFigures RunRecent(const SandboxOptions& options, const std::vector<Envelope>& messages,
                        Findings* findings);

// The figures, in the resource stage; nothing where there were no messages.
void JudgeRecent(const RecentFigures& figures, int64_t memory_limit, Findings* findings);

}  // namespace caxton::examine
