// SPDX-License-Identifier: Apache-2.0
#include "simulation.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "caxton/base/assert.h"
#include "caxton/deployment/state_machine.h"

namespace caxton::analysis {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kLookEveryMs = 1000;

// SplitMix64 as in SeededRandom, inlined because hundreds of millions are drawn.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  double Share() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  bool Chance(double p) { return p > 0 && Share() < p; }

 private:
  uint64_t state_;
};

class Traffic {
 public:
  Traffic(const deployment::DeploymentPlan& plan, const Load& load, uint64_t seed)
      : load_(load), dice_(seed), salt_(dice_.Next()), judge_(MakeJudge(plan)), plan_(plan) {
    double sum = 0;
    for (int64_t k = 0; k < load.keys; ++k) {
      sum += std::pow(static_cast<double>(k + 1), -load.zipf);
      popularity_.push_back(sum);
    }
  }

  Outcome Run() {
    const auto all = static_cast<int64_t>(load_.per_second * load_.seconds);
    Outcome out;
    int64_t last_look = 0;
    for (int64_t i = 0; i < all && !out.fired && !out.early; ++i) {
      ++out.messages;
      at_ms_ = static_cast<int64_t>(static_cast<double>(i) * 1000 / load_.per_second);
      weight_ =
          load_.weights[static_cast<size_t>(i) * load_.weights.size() / static_cast<size_t>(all)];
      if (Message()) ++out.candidate_messages;
      if (at_ms_ - last_look >= kLookEveryMs) {
        last_look = at_ms_;
        judge_->Tick(at_ms_);
        deployment::StagePlan stage{.weight_ppm = weight_, .min_samples = 100};
        if (!plan_.stages.empty()) stage.min_samples = plan_.stages[0].min_samples;
        out.early = judge_->EarlyPass(stage).has_value();
      }
      out.fired = judge_->Fired().has_value();
    }
    if (out.fired) out.text = judge_->Fired()->text;
    return out;
  }

  Outcome RunStages() {
    status_.candidate = {AgentId(1), RevisionNumber(2)};
    status_.stable = {AgentId(1), RevisionNumber(1)};
    status_.plan = plan_;
    Apply(deployment::Created{});
    Apply(deployment::ValidationPassed{});
    Apply(deployment::Prepared{});
    Outcome out;
    int64_t last_look = 0;
    for (int64_t i = 0; UnderWay(); ++i) {
      at_ms_ = static_cast<int64_t>(static_cast<double>(i) * 1000 / load_.per_second);
      if (at_ms_ - last_look >= kLookEveryMs) {
        last_look = at_ms_;
        Look(&out);
        if (out.fired || !UnderWay()) break;
      }
      weight_ = status_.WeightPpm();
      ++out.messages;
      if (Message()) ++out.candidate_messages;
      out.fired = judge_->Fired().has_value();
      if (out.fired) break;
    }
    if (out.fired) out.text = judge_->Fired()->text;
    out.paused = status_.paused == deployment::PauseReason::kInconclusive;
    out.promoted = status_.state == deployment::DeploymentState::kRunning;
    return out;
  }

 private:
  bool UnderWay() const {
    return status_.state == deployment::DeploymentState::kDeploying &&
           status_.paused == deployment::PauseReason::kNone;
  }
  void Apply(const deployment::Event& event) {
    const absl::StatusOr<deployment::Transition> next =
        deployment::Apply(status_, event, at_ms_ * kMs);
    CAXTON_ASSERT(next.ok(), "the simulation sends what the controller would");
    const uint32_t stage = status_.stage;
    status_ = next->status;
    if (status_.stage != stage || status_.prepared != prepared_) stage_from_ms_ = at_ms_;
    prepared_ = status_.prepared;
    due_ms_ = at_ms_ + status_.RemainingNs() / kMs;
  }
  // Once a second, as the controller does.
  void Look(Outcome* out) {
    judge_->Tick(at_ms_);
    out->fired = judge_->Fired().has_value();
    if (out->fired) return;
    const deployment::StagePlan& stage = status_.plan.stages[status_.stage];
    const int64_t elapsed_ns = (at_ms_ - stage_from_ms_) * kMs;
    if (auto early = judge_->EarlyPass(stage); early.has_value()) {
      out->early = true;
      Apply(deployment::StageElapsed{elapsed_ns, *early, true});
    } else if (at_ms_ >= due_ms_) {
      Apply(deployment::StageElapsed{elapsed_ns, judge_->EndOfStage(stage)});
    }
  }

  // True if it ran on the candidate.
  bool Message() {
    Observation o;
    const bool poison = dice_.Chance(load_.poison_share);
    o.key_hash = Hash(poison ? ~uint64_t{0} : Key());
    o.weight_ppm = weight_;
    o.arm = o.key_hash % 1'000'000 < weight_ ? Arm::kCandidate : Arm::kStable;
    o.at_ms = at_ms_;
    o.latency_ns = Latency();
    o.fuel = 1000;
    const bool candidate = o.arm == Arm::kCandidate;
    if (dice_.Chance(load_.malformed) || (poison && load_.poison_is_shared) ||
        (load_.stable_is_broken && !candidate)) {
      o.verdict = RunVerdict::kShared;
    } else if (poison || dice_.Chance(Errors(candidate))) {
      o.verdict = RunVerdict::kBad;
    }
    judge_->Observe(o);
    while (o.verdict == RunVerdict::kBad && dice_.Chance(load_.attributed_retries)) {
      judge_->Observe(o);
    }
    return candidate;
  }
  double Errors(bool candidate) const {
    const double s = static_cast<double>(at_ms_) / 1000;
    const bool burst = s >= load_.burst_from_s && s < load_.burst_from_s + load_.burst_s;
    if (burst && (!candidate || load_.burst_hits_both)) return load_.burst_errors;
    return candidate ? load_.candidate_errors : load_.stable_errors;
  }
  int64_t Latency() {
    if (load_.stall_each_s > 0 && std::fmod(static_cast<double>(at_ms_) / 1000,
                                            load_.stall_each_s) >= load_.stall_each_s - 1) {
      return 900 * kMs;
    }
    // Half of the messages 5 ms, the rest with an exponential tail: p99 about 24 ms.
    return 5 * kMs - static_cast<int64_t>(std::log(1 - dice_.Share()) * 4e6);
  }
  uint64_t Key() {
    if (load_.keys == 0) return ++message_;
    const double at = dice_.Share() * popularity_.back();
    return static_cast<uint64_t>(std::lower_bound(popularity_.begin(), popularity_.end(), at) -
                                 popularity_.begin());
  }
  uint64_t Hash(uint64_t key) const { return Dice(salt_ ^ (key * 0xd6e8feb86659fd93u)).Next(); }

  const Load& load_;
  Dice dice_;
  uint64_t salt_;
  std::unique_ptr<Judge> judge_;
  const deployment::DeploymentPlan& plan_;
  std::vector<double> popularity_;
  uint64_t message_ = 0;
  int64_t at_ms_ = 0;
  uint32_t weight_ = 0;
  // Of RunStages.
  deployment::DeploymentStatus status_;
  bool prepared_ = false;
  int64_t stage_from_ms_ = 0, due_ms_ = 0;
};

}  // namespace

Outcome Simulate(const deployment::DeploymentPlan& plan, const Load& load, uint64_t seed) {
  return Traffic(plan, load, seed).Run();
}

Outcome SimulateStages(const deployment::DeploymentPlan& plan, const Load& load, uint64_t seed) {
  return Traffic(plan, load, seed).RunStages();
}

}  // namespace caxton::analysis
