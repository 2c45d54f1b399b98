// SPDX-License-Identifier: Apache-2.0
#include "sandbox.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "sample_step.h"

namespace caxton::examine {
namespace {

// Ends what is not the manifest's own when the stage has taken as long as it may.
class StageEnd final : public wasm::InterruptSource {
 public:
  explicit StageEnd(const Clock& clock)
      : clock_(clock), end_ns_(clock.MonoNanos() + kSandboxLimitNs) {}
  bool IsKilled(Ticket) const override { return reached(); }
  bool reached() const { return clock_.MonoNanos() >= end_ns_; }

 private:
  const Clock& clock_;
  const int64_t end_ns_;
};

std::string Millis(int64_t ns) { return StrCat(ns / kNanosPerMilli, " ms"); }

// How the stage's limits may end a step, which is no fault of the agent's.
bool EndedByTheStage(const StepResult& result, bool less_time) {
  return result.outcome == StepOutcome::kInterrupted ||
         (result.outcome == StepOutcome::kDeadline && less_time);
}

class Sandbox final {
 public:
  Sandbox(const SandboxOptions& options, Findings* findings, ModuleStats* stats)
      : options_(options),
        findings_(findings),
        stats_(stats),
        stage_end_(options.clock),
        cpu_end_ns_(options.guest_clock().MonoNanos() + kSandboxLimitNs) {}

  SandboxResult Run(const std::vector<Sample>& samples) {
    TryHealth();
    RunOnce(samples);
    RunAgain();
    const bool kept = !options_.reused || RunKept();
    if (!shutdown_tried_) TryShutdown(nullptr);
    CheckDeadline();
    SandboxResult out;
    out.over_deadline = over_deadline_;
    if (differs_) {
      out.determinism = Determinism::kNo;
    } else if (compared_ > 0 && compared_ == tried_.size() && kept) {
      out.determinism = Determinism::kYes;
    }
    for (Tried& tried : tried_) {
      out.runs.push_back({tried.sample->name, std::move(tried.result), tried.sample->hostile});
    }
    return out;
  }

 private:
  // A sample that was handled, and how.
  struct Tried {
    const Sample* sample;  // the caller's
    StepResult result;
    int64_t least_ns;  // that any of its runs took
  };

  int64_t CpuLeft() const { return cpu_end_ns_ - options_.guest_clock().MonoNanos(); }
  int64_t Limit() const { return SampleLimitNs(options_.deadline_ns); }

  // What took so long once takes no longer than that again, but for noise.
  int64_t AgainLimit(const Tried& tried) const {
    return std::min(Limit(), std::max(kSampleLimitNs, 2 * tried.result.run_ns));
  }

  void RunOnce(const std::vector<Sample>& samples) {
    size_t skipped = 0, own_skipped = 0;
    bool only_right_refusals = true;  // what is hostile may be rejected: that is right
    for (const Sample& sample : samples) {
      const int64_t left = CpuLeft();
      // Until one was handled, each is owed its processor time: a loop must not count as skipped.
      const bool owed = sample.own || stats_->samples_handled == 0;
      if (left <= 0 || (!owed && stage_end_.reached())) {
        ++(sample.own ? own_skipped : skipped);
        continue;
      }
      StepResult result =
          RunSample(options_, sample, std::min(Limit(), left), owed ? nullptr : &stage_end_);
      if (!owed && EndedByTheStage(result, left < Limit())) {
        ++skipped;
        continue;
      }
      Note(sample, result);
      if (result.outcome == StepOutcome::kHandled) {
        const int64_t took = result.run_ns;
        tried_.push_back({&sample, std::move(result), took});
      } else if (result.outcome != StepOutcome::kAgentRejected || !sample.hostile) {
        only_right_refusals = false;
      }
    }
    if (own_skipped > 0) OwnSkipped(own_skipped);
    if (skipped > 0) Skipped(skipped);
    if (stats_->samples > 0 && stats_->samples_handled == 0 && !only_right_refusals) {
      findings_->Error("ALL_SAMPLES_FAILED", "",
                       StrCat("the agent handled none of ", stats_->samples, " sample messages"),
                       "correct handle_message, or give the manifest \"samples\" that the agent "
                       "can handle");
    }
  }

  void Note(const Sample& sample, const StepResult& result) {
    ++stats_->samples;
    stats_->peak_memory = std::max(stats_->peak_memory, result.memory_bytes);
    stats_->max_fuel = std::max(stats_->max_fuel, result.fuel);
    stats_->max_step_ns = std::max(stats_->max_step_ns, result.run_ns);
    stats_->sends += result.sends.size();
    if (result.outcome == StepOutcome::kHandled) {
      ++stats_->samples_handled;
      return;
    }
    if (sample.hostile && result.outcome == StepOutcome::kAgentRejected) return;
    const std::string place = StrCat("sample ", Shown(sample.name));
    const std::string message =
        StrCat("the agent does not handle the sample message: ", StepOutcomeName(result.outcome),
               ": ", result.detail);
    if (sample.own) {
      findings_->Error("SAMPLE_FAILED", place, message, Fix(result.outcome));
    } else {
      findings_->Warning("SAMPLE_FAILED", place, message, Fix(result.outcome));
    }
  }

  std::string Fix(StepOutcome outcome) const {
    switch (outcome) {
      case StepOutcome::kDeadline:
      case StepOutcome::kOutOfFuel:
        return StrCat(
            "end the loop that the backtrace shows: with this deadline a sample may take ",
            Millis(Limit()), " of processor time, its initialization included, and ",
            SampleFuel(options_.deadline_ns), " instructions, all samples together ",
            Millis(kSandboxLimitNs));
      case StepOutcome::kMemoryLimit:
        return "use less memory, or raise resources.memory";
      case StepOutcome::kOverLimit:
        return "send less in one step, or raise max_message";
      default:
        return "correct what the backtrace or the code shows; reject bad input with 2 instead of "
               "trapping";
    }
  }

  // A second time, each in an instance of its own: the same has to come of it. Where the stage's
  // time does not suffice, nothing was compared.
  void RunAgain() {
    for (Tried& tried : tried_) {
      const int64_t left = CpuLeft();
      if (stage_end_.reached() || left <= tried.result.run_ns) return;
      const int64_t limit = AgainLimit(tried);
      const wasm::StepControl control = ControlOf(options_, std::min(limit, left), &stage_end_);
      const auto instance = options_.module.NewInstance(options_.config, control);
      StepResult again;
      again.outcome = StepOutcome::kInitFailed;
      if (instance.ok()) again = StepOn(**instance, options_, *tried.sample, control);
      if (EndedByTheStage(again, left < limit)) return;
      ++compared_;
      tried.least_ns = std::min(tried.least_ns, again.run_ns);
      Compare(tried, again, /*fuel=*/true, "two runs with the same message, clock and random bytes",
              "take time and randomness from the host only");
      if (again.outcome == StepOutcome::kHandled && !shutdown_tried_) TryShutdown(instance->get());
    }
  }

  void Compare(const Tried& tried, const StepResult& other, bool fuel, std::string_view what,
               std::string fix) {
    const std::string difference = Difference(tried.result, other, fuel);
    if (difference.empty() || std::exchange(differs_, true)) return;
    findings_->Warning("NOT_DETERMINISTIC", StrCat("sample ", Shown(tried.sample->name)),
                       StrCat(what, " differ in ", difference), std::move(fix));
  }

  // All of them twice over on one instance, as messages reach an agent whose instances are kept.
  // False: not all of it was tried.
  bool RunKept() {
    std::vector<const Tried*> kept;
    for (const Tried& tried : tried_) {
      if (!tried.sample->hostile) kept.push_back(&tried);
    }
    if (kept.empty()) {
      for (const Tried& tried : tried_) kept.push_back(&tried);
    }
    const auto instance =
        options_.module.NewInstance(options_.config, ControlOf(options_, Limit(), nullptr));
    if (!instance.ok() || kept.empty()) return false;
    for (size_t before = 0; before < 2 * kept.size(); ++before) {
      const Tried& tried = *kept[before % kept.size()];
      const int64_t left = CpuLeft();
      if (stage_end_.reached() || left <= tried.result.run_ns) return false;
      const int64_t limit = AgainLimit(tried);
      const StepResult again = StepOn(**instance, options_, *tried.sample,
                                      ControlOf(options_, std::min(limit, left), &stage_end_));
      if (EndedByTheStage(again, left < limit)) return false;
      if (again.outcome != StepOutcome::kHandled) {
        KeptFailed(tried, again, before);
        return false;
      }
      // What it keeps may save it work: that is what keeping is for.
      Compare(tried, again, /*fuel=*/false,
              "a new instance and one that handled other messages before",
              "keep nothing between messages that changes what they are answered, or say "
              "\"instance\": \"fresh\" in the manifest");
    }
    return true;
  }

  void KeptFailed(const Tried& tried, const StepResult& result, size_t before) {
    differs_ = true;
    findings_->Warning(
        "REUSED_INSTANCE_FAILED", StrCat("sample ", Shown(tried.sample->name)),
        StrCat("a new instance handles the sample message, and one that has handled ", before,
               " messages before does not: ", StepOutcomeName(result.outcome), ": ", result.detail),
        "let handle_message leave the instance as the next message needs it, or say \"instance\": "
        "\"fresh\" in the manifest");
  }

  void TryHealth() {
    if (!options_.module.has_health_check()) return;
    const auto instance =
        options_.module.NewInstance(options_.config, ControlOf(options_, Limit(), nullptr));
    if (!instance.ok()) return;  // so does every sample
    const auto code = (*instance)->HealthCheck(ControlOf(options_, kSandboxHealthLimitNs, nullptr));
    if (code.ok() && *code == 0) return;
    findings_->Warning(
        "HEALTH_CHECK_FAILED", "export health_check",
        code.ok() ? StrCat("health_check of a new instance returned ", *code,
                           ", not 0: the agent would be told to be unwell")
                  : StrCat("the agent would be told to be unwell: ", code.status().message()),
        StrCat("return 0 where the agent can handle messages, within ",
               Millis(kSandboxHealthLimitNs),
               "; it may call log, now, random and config_get only"));
  }

  // Of an instance that has handled a message; null: of a new one.
  void TryShutdown(wasm::Instance* used) {
    shutdown_tried_ = true;
    std::unique_ptr<wasm::Instance> made;
    if (used == nullptr) {
      auto instance =
          options_.module.NewInstance(options_.config, ControlOf(options_, Limit(), nullptr));
      if (!instance.ok()) return;  // so does every sample
      made = *std::move(instance);
      used = made.get();
    }
    const absl::Status done = used->Shutdown(ControlOf(options_, kSandboxShutdownLimitNs, nullptr));
    if (done.ok()) return;
    findings_->Warning(
        "SHUTDOWN_FAILED", "export agent_shutdown",
        StrCat("what it does at the end of an instance is not done: ", done.message()),
        StrCat("correct what agent_shutdown does, within ", Millis(kSandboxShutdownLimitNs),
               ", or export none"));
  }

  // An own sample is what its author says is handled: one that is certain to die of the deadline
  // must not pass. The lesser of its runs counts, and a share above the deadline is left to noise.
  void CheckDeadline() {
    const int64_t deadline = options_.deadline_ns;
    if (deadline <= 0) return;
    const Tried* slowest = nullptr;  // of those that only warn
    for (const Tried& tried : tried_) {
      if (tried.least_ns <= deadline) continue;
      if (tried.sample->own && tried.least_ns / kOverDeadlinePercent >= deadline / 100) {
        over_deadline_ = true;
        findings_->Error("DEADLINE_OVER", StrCat("sample ", Shown(tried.sample->name)),
                         OverDeadline(tried), OverFix());
      } else if (slowest == nullptr || tried.least_ns > slowest->least_ns) {
        slowest = &tried;
      }
    }
    if (slowest == nullptr) return;
    over_deadline_ = true;
    findings_->Warning("DEADLINE_OVER", StrCat("sample ", Shown(slowest->sample->name)),
                       OverDeadline(*slowest), OverFix());
  }

  std::string OverDeadline(const Tried& tried) const {
    return StrCat("handling it took ", tried.least_ns / kNanosPerMicro,
                  " us of processor time, over the deadline of ",
                  options_.deadline_ns / kNanosPerMicro,
                  " us: such a message becomes a dead letter");
  }

  static std::string OverFix() {
    return "raise resources.deadline, or do less in one step: split the work into several messages";
  }

  // The stage passes only where each of the manifest's own was seen to be handled.
  void OwnSkipped(size_t count) {
    findings_->Error(
        "SAMPLES_SKIPPED", "samples",
        StrCat(count, " of the manifest's own samples were not run: the stage may take ",
               Millis(kSandboxLimitNs), " of processor time"),
        "let the agent handle its samples sooner, or give fewer of them");
  }

  void Skipped(size_t count) {
    findings_->Warning("SAMPLES_SKIPPED", "",
                       StrCat(count,
                              " sample messages were not run, or not to their end: the "
                              "stage may take ",
                              Millis(kSandboxLimitNs)),
                       "let the agent handle its samples sooner");
  }

  const SandboxOptions& options_;
  Findings* const findings_;
  ModuleStats* const stats_;
  const StageEnd stage_end_;
  const int64_t cpu_end_ns_;
  std::vector<Tried> tried_;
  size_t compared_ = 0;  // of these, with a second run
  bool differs_ = false;
  bool shutdown_tried_ = false;
  bool over_deadline_ = false;
};

Sample Hostile(std::string name, std::string content, std::string type) {
  Sample sample{.name = StrCat("hostile/", name), .hostile = true};
  sample.message.content = std::move(content);
  sample.message.content_type = std::move(type);
  return sample;
}

}  // namespace

std::vector<Sample> HostileSamples(const wasm::AgentConfig& config) {
  const auto fits = static_cast<size_t>(std::max<int64_t>(config.max_message_bytes, 0));
  const size_t large = std::min(kLargeSampleBytes, fits);
  const size_t depth = std::min<size_t>(kDeepSampleDepth, fits / 2);
  std::vector<Sample> out;
  out.push_back(Hostile("empty", "", ""));
  out.push_back(Hostile("large", std::string(large, 'x'), "text/plain"));
  out.push_back(Hostile("not-utf8", "\xff\xfe\xc0\x80 \xed\xa0\x80", "text/plain"));
  out.push_back(
      Hostile("deep-json", std::string(depth, '[') + std::string(depth, ']'), "application/json"));
  return out;
}

SandboxResult RunSandbox(const SandboxOptions& options, const std::vector<Sample>& samples,
                         Findings* findings, ModuleStats* stats) {
  return Sandbox(options, findings, stats).Run(samples);
}

}  // namespace caxton::examine
