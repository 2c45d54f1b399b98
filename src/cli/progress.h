// SPDX-License-Identifier: Apache-2.0
//
// What a deployment's snapshot looks like, and what it means for the exit status. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "exit_code.h"
#include "render.h"

namespace caxton::v1 {
class Deployment;
class FieldChange;
class ShadowReport;
class Verdict;
}  // namespace caxton::v1

namespace caxton::cli {

// Nothing more will happen that a deploy waits for; with `finalized`, cleanup included.
bool Settled(const v1::Deployment& deployment, bool finalized);
// Of a settled deployment: 0, 3, 4, 7 or 1.
ExitCode OutcomeOf(const v1::Deployment& deployment);

std::string StateName(const v1::Deployment& deployment);  // "RUNNING", "DEPLOYING (paused)"
// What makes two snapshots differ by more than numbers: a new plain line.
std::string TransitionKey(const v1::Deployment& deployment);
// "canary 5%: DEPLOYING, weight 5% (observed 4.8%), candidate ..., 3m50s left"
std::string ProgressLine(const v1::Deployment& deployment);
// A few lines for a terminal.
std::vector<std::string> ProgressView(const v1::Deployment& deployment, const Style& style);
// One line once settled: "greeter@2 is running (dep-5, 4.2s)".
std::string OutcomeLine(const v1::Deployment& deployment);
// Why it did not become RUNNING, with `To fix:` where known; empty otherwise.
std::string WhyNot(const v1::Deployment& deployment);

// Who let which contracts through; empty where nobody did.
std::string AllowedText(const v1::Deployment& deployment);
std::string VerdictText(const v1::Verdict& verdict);
std::string ChangesText(const std::string& before, const std::string& after,
                        const std::vector<v1::FieldChange>& changes);
// Everything `deployment show` tells.
std::string DeploymentText(const v1::Deployment& deployment, const Style& style);

}  // namespace caxton::cli
