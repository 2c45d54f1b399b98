// SPDX-License-Identifier: Apache-2.0
//
// What the agent makes of its own recent messages, real ones: figures, and how many it failed on.
// They prove less than a replay beside stable does, so that nothing here fails a module, and they
// are somebody's: no finding says what is in them. Private to src/examine; TryRecent of examiner.h
// does both.
#pragma once

#include <vector>

#include "caxton/model/envelope.h"
#include "findings.h"
#include "resources.h"
#include "sandbox.h"

namespace caxton::examine {

// Each in a fresh instance, once, all of them within kRecentLimitNs. Failures as warnings.
RecentFigures RunRecent(const SandboxOptions& options, const std::vector<Envelope>& messages,
                        Findings* findings);

}  // namespace caxton::examine
