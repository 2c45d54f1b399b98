// SPDX-License-Identifier: Apache-2.0
//
// DeploymentPlan: a DeploymentSpec with every default filled in, checked, and known to be carried
// out. A value; it is journaled with its deployment, so that a later version's defaults change
// nothing under way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/base/wire.h"
#include "caxton/model/deployment_spec.h"

namespace caxton::deployment {

enum class StageRole : uint8_t {
  kCanary = 0,
  kPreview = 1,  // blue-green: warm and waiting; reached by preview messages only
  kShadow = 2,   // runs copies; never answers
};
inline constexpr uint8_t kStageRoleCount = 3;

// What a shadow compares; at least one.
struct ShadowCompare {
  bool outputs = true;      // output_equivalence
  bool performance = true;  // performance_metrics: latency, processor time, fuel
  bool resources = true;    // resource_usage: memory
  friend bool operator==(const ShadowCompare&, const ShadowCompare&) = default;
};

// One stage between warm and full.
struct StagePlan {
  uint32_t weight_ppm = 0;  // canary only
  int64_t duration_ns = 0;  // already divided by the time scale
  int64_t min_samples = 0;
  bool pause = false;  // waits for `promote` at its end
  StageRole role = StageRole::kCanary;
  friend bool operator==(const StagePlan&, const StagePlan&) = default;
};

struct DeploymentPlan {
  Strategy strategy = Strategy::kDirect;
  int64_t validate_limit_ns = 0;  // upper bounds, not waits
  int64_t warm_up_limit_ns = 0;
  std::vector<StagePlan> stages;      // weights rise; empty: straight to full
  std::vector<Condition> conditions;  // rollback_on, or a shadow's fail_on
  bool compare_errors = false;        // canary: the sequential comparison with stable (factor 1)
  PromoteWhen promote = PromoteWhen::kOnTime;
  Stick stick = Stick::kKey;
  OnInconclusive on_inconclusive = OnInconclusive::kPause;
  QueuePolicy queue = QueuePolicy::kWait;
  int64_t cleanup_ns = 0;  // how long the old revision stays warm
  // Shadow only.
  ShadowCompare compare;
  uint32_t sample_ppm = 0;  // share of the messages that is mirrored
  bool secondary = false;   // stable runs a second time beside it
  // Before any traffic: so many of the agent's last messages run on stable and candidate. A failure
  // that stable does not share, or what `history_fail_on` says of it, ends the deployment.
  int32_t history = 0;
  std::vector<Condition> history_fail_on;  // error_rate, differs, fuel_ratio
  std::vector<std::string> notes;          // what was decided for the user and why, to be shown
  friend bool operator==(const DeploymentPlan&, const DeploymentPlan&) = default;
};

struct PlanContext {
  bool has_stable = false;  // a revision serves already
  int64_t time_scale = 1;   // divides stage durations and warm-up holds; --dev only
};

// All faults at once, as one INVALID_ARGUMENT with a line each. A shadow of an agent that no
// revision serves is FAILED_PRECONDITION, reason NO_STABLE.
absl::StatusOr<DeploymentPlan> ResolvePlan(const DeploymentSpec& spec, const PlanContext& context);

// INVALID_ARGUMENT with a line for each fault of ResolvePlan, "FILENAME:LINE:COLUMN: what is
// impossible"; without a place where it is not the file that says so.
absl::Status CheckPlan(const DeploymentFile& file, std::string_view filename);

// UNIMPLEMENTED for parts of a file that are not carried out yet: state, a fresh baseline, shared
// workers.
absl::Status CheckCarriedOut(const DeploymentFile& file);

// "5% for 5m, 25% for 10m, 50% for 10m, full" ("full" where there are no stages).
std::string DescribeStages(const DeploymentPlan& plan);

void WritePlan(const DeploymentPlan& plan, ByteWriter& out);
DeploymentPlan ReadPlan(ByteReader& in);

}  // namespace caxton::deployment
