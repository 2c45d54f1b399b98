// SPDX-License-Identifier: Apache-2.0
//
// Simulation: traffic that the acceptance tests give to a real judge, from a seed. It follows what
// the router does: the arm is drawn by a salted hash of the key, a failure on the candidate runs
// again on stable, one that fails there too is shared, retries give no observation. Not a fake of
// anything in production; tests only. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "caxton/analysis/judge.h"
#include "caxton/base/random.h"

namespace caxton::analysis {

struct Load {
  double per_second = 10;         // messages
  double seconds = 600;           // of one run
  int64_t keys = 0;               // 0: unkeyed
  double zipf = 0;                // exponent of the keys' popularity; 0: all alike
  double poison_share = 0;        // of the traffic: one key whose every message fails
  bool poison_is_shared = false;  // and fails on stable too; else it counts for its arm
  double stable_errors = 0;       // transient, attributed
  bool stable_is_broken = false;  // fails always, its retries too: shared
  double candidate_errors = 0;
  double malformed = 0;           // fails on both arms: shared
  double attributed_retries = 0;  // share of failures whose message is seen again and fails again
  double stall_each_s = 0;  // once in so many seconds the host stalls a second: all steps slow
  double burst_from_s = 0, burst_s = 0, burst_errors = 0;  // of stable
  bool burst_hits_both = false;
  std::vector<uint32_t> weights = {50'000};  // stages of equal length
};

struct Outcome {
  bool fired = false;
  bool promoted = false, paused = false;  // SimulateStages: at the last stage's end; inconclusive
  bool early = false;                     // the first stage could be ended by evidence
  int64_t candidate_messages = 0;         // until either, or in all
  int64_t messages = 0;
  std::string text;
};

Outcome Simulate(const deployment::DeploymentPlan& plan, const Load& load, uint64_t seed);

// The stages of the plan one after the other, ended and extended by the real state machine as the
// controller does it, until the candidate is rolled back, paused or promoted. Of the load, seconds
// and weights are not looked at.
Outcome SimulateStages(const deployment::DeploymentPlan& plan, const Load& load, uint64_t seed);

}  // namespace caxton::analysis
