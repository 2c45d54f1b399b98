// SPDX-License-Identifier: Apache-2.0
//
// ShadowComparison: what a shadow does differently, from messages that both revisions ran
// (judgement.md, "Shadow"; docs/internals/shadow.md).
//
// Lifecycle: one per shadow deployment. Its state is bounded (limits.h) and can be written and read
// back, so that a restart goes on where the last snapshot was. Thread rule: one thread at a time.
// How to use: Observe() every compared message, Count() the fate of every other; ask Fired() after
// each; EndOfShadow() when its time is up; Report() whenever somebody looks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/deployment/plan.h"
#include "caxton/deployment/verdict.h"
#include "caxton/model/mirrored.h"

namespace caxton::analysis {

// Of one message, at one place. Cut to kShadowValueBytes; UTF-8, what is not is replaced.
struct ShadowSample {
  std::string message_id;
  std::string live, shadow;
  friend bool operator==(const ShadowSample&, const ShadowSample&) = default;
};

// One place of a step's effects where the two sides were seen to differ:
//   outcome                     handled, trapped, rejected (2), ...
//   reply                       only one side replied
//   reply/performative, reply/content, reply/content#/user/name (JSON pointer)
//   send[0]                     only one side sent a first message
//   send[0]/to, send[0]/content#/id, ...
//   (other)                     all that no longer have a place of their own
struct ShadowPlace {
  std::string path;
  int64_t count = 0;            // messages whose shadow differs from the live step here
  int64_t secondary_count = 0;  // messages whose second run of stable does
  int64_t shadow_only = 0, secondary_only = 0;  // those where the other one does not
  // Not explained by noise: with a second run of stable, once the test on the two counts above
  // says so (and for good); without, as soon as it differs.
  bool significant = false;
  double log_evidence = 0;  // natural logarithm of that test's E; significant at ln(1/kShadowAlpha)
  std::vector<ShadowSample> samples;  // the first kShadowSamples
  friend bool operator==(const ShadowPlace&, const ShadowPlace&) = default;
};

// How many times a is b, over pairs (a, b) of handled steps, with a 95 % interval. Latency, cpu and
// memory: the geometric mean of b/a, exp(mean ln(b/a) +- 1.96 sd / sqrt(pairs)), which one slow
// step does not move. Fuel: the ratio of the means, as in a canary, with the interval of a ratio;
// it is counted exactly, so that its interval is about the messages alone.
struct ShadowRatio {
  int64_t pairs = 0;  // 0: nothing to compare, or not asked for
  double mean = 0;
  double low = 0, high = 0;  // both as `mean` below 2 pairs
  friend bool operator==(const ShadowRatio&, const ShadowRatio&) = default;
};
struct ShadowRatios {
  ShadowRatio latency;  // dispatch to result
  ShadowRatio cpu;      // inside the instance
  ShadowRatio fuel;     // exact
  ShadowRatio memory;   // of the instance, at the step's end
  friend bool operator==(const ShadowRatios&, const ShadowRatios&) = default;
};

struct ShadowReport {
  int64_t compared = 0;             // equal + noisy + differing
  int64_t equal = 0;                // the same at every place
  int64_t noisy = 0;                // different only where stable's second run was, too
  int64_t differing = 0;            // different where stable's second run (if any) was not
  int64_t secondary_differing = 0;  // the same of stable's second run, where the shadow was not
  int64_t dropped = 0;              // not run: the shadow's queue was full
  int64_t lost = 0;                 // not compared: a worker of the shadow died or was stopped
  double equivalence_rate = 0;      // 1 - differing / compared; 0 where nothing was compared
  bool has_secondary = false;
  std::vector<ShadowPlace> places;  // significant ones first, then by count
  ShadowRatios shadow_to_live;
  ShadowRatios secondary_to_live;  // the noise of the measurement itself
  friend bool operator==(const ShadowReport&, const ShadowReport&) = default;
};

// Chance of a false verdict, shared out among the conditions; of a false `significant`, per place.
inline constexpr double kShadowAlpha = 0.01;

class ShadowComparison {
 public:
  // Of `plan` it takes compare, secondary, conditions and the shadow's min_samples.
  //   compare.outputs      reply and sends; without it a message differs by its outcome alone
  //   compare.performance  latency, cpu and fuel ratios
  //   compare.resources    the memory ratio
  // A fuel_ratio condition is looked at in any case.
  explicit ShadowComparison(const deployment::DeploymentPlan& plan);
  ~ShadowComparison();
  ShadowComparison(ShadowComparison&&) noexcept;
  ShadowComparison& operator=(ShadowComparison&&) noexcept;

  // A message that both (with `secondary`: all three) ran. Where the plan has a secondary and the
  // message has not, it counts as lost: a difference could not be told from noise.
  void Observe(const MirroredStep& step);
  // `count` messages that were not compared; kCompared is ignored, Observe counts those.
  void Count(MirrorFate fate, int64_t count = 1);

  // Set by the first condition that fires; Failed. No message is compared any more
  // then, so that the report is what decided.
  //   differs > p      an e-process on the share of messages that differ (e_process.h); with a
  //                    secondary on how much oftener the shadow alone differs than stable's second
  //                    run alone
  //   fuel_ratio > k   the lower end of an asymptotic confidence sequence of the mean ratio, from
  //                    kShadowMinRatioPairs pairs on
  std::optional<deployment::Verdict> Fired() const;
  // The same from the counts alone, whatever was kept of it when it fired.
  std::optional<deployment::Verdict> Refire() const;
  // enough_samples: at least one message (and the stage's min_samples) was compared.
  deployment::StageReport EndOfShadow() const;
  ShadowReport Report() const;

  // All of the above, in less than 256 KiB. Decode refuses what Encode under an equal plan
  // cannot have written (DATA_LOSS).
  void Encode(std::string* out) const;
  static absl::StatusOr<ShadowComparison> Decode(const deployment::DeploymentPlan& plan,
                                                 std::string_view bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace caxton::analysis
