// SPDX-License-Identifier: Apache-2.0
#include "sandbox.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "caxton/base/hash.h"
#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"

namespace caxton::examine {
namespace {

// Clock of the samples: a minute after the instance's initialization.
constexpr int64_t kAfterInitNs = 60 * kNanosPerSecond;

bool SameSend(const OutgoingMessage& a, const OutgoingMessage& b) {
  return a.to == b.to && a.performative == b.performative && a.content == b.content &&
         a.conversation_id == b.conversation_id && a.reply_with == b.reply_with &&
         a.in_reply_to == b.in_reply_to && a.key == b.key && a.content_type == b.content_type &&
         a.deadline_ns == b.deadline_ns && a.headers == b.headers;
}

// "" or what differs.
std::string Difference(const StepResult& a, const StepResult& b) {
  if (a.outcome != b.outcome || a.agent_code != b.agent_code) return "the outcome";
  if (a.reply.has_value() != b.reply.has_value()) return "the reply";
  if (a.reply.has_value() &&
      (a.reply->performative != b.reply->performative || a.reply->content != b.reply->content)) {
    return "the reply";
  }
  if (!std::equal(a.sends.begin(), a.sends.end(), b.sends.begin(), b.sends.end(), SameSend)) {
    return "the messages sent";
  }
  return a.fuel == b.fuel ? "" : "the fuel used";
}

class Sandbox final {
 public:
  Sandbox(const SandboxOptions& options, Findings* findings, ModuleStats* stats)
      : options_(options),
        findings_(findings),
        stats_(stats),
        end_ns_(options.clock.MonoNanos() + kSandboxLimitNs) {}

  std::vector<SampleRun> Run(const std::vector<Sample>& samples) {
    std::vector<SampleRun> runs;
    stats_->deterministic = true;
    size_t skipped = 0, own_skipped = 0;
    bool only_right_refusals = true;  // what is hostile may be rejected: that is right
    for (const Sample& sample : samples) {
      if (options_.clock.MonoNanos() >= end_ns_) {
        ++(sample.own ? own_skipped : skipped);
        continue;
      }
      StepResult result = Step(sample);
      Note(sample, result);
      if (result.outcome == StepOutcome::kHandled) {
        CheckDeterminism(sample, result);
        runs.push_back({sample.name, std::move(result), sample.hostile});
      } else if (result.outcome != StepOutcome::kAgentRejected ||
                 !StartsWith(sample.name, "hostile/")) {
        only_right_refusals = false;
      }
    }
    if (own_skipped > 0) OwnSkipped(own_skipped);
    if (skipped > 0) Skipped(skipped);
    if (stats_->samples > 0 && stats_->samples_handled == 0 && !only_right_refusals) {
      stats_->deterministic = false;
      findings_->Error("ALL_SAMPLES_FAILED", "",
                       StrCat("the agent handled none of ", stats_->samples, " sample messages"),
                       "correct handle_message, or give the manifest \"samples\" that the agent "
                       "can handle");
    }
    return runs;
  }

 private:
  StepResult Step(const Sample& sample) { return RunSample(options_, sample, kSampleLimitNs); }

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

  static std::string Fix(StepOutcome outcome) {
    switch (outcome) {
      case StepOutcome::kDeadline:
      case StepOutcome::kOutOfFuel:
        return StrCat("end the loop that the backtrace shows: a sample may take ",
                      kSampleLimitNs / kNanosPerMilli, " ms, its initialization included, and ",
                      kSampleFuel, " instructions");
      case StepOutcome::kMemoryLimit:
        return "use less memory, or raise resources.memory";
      case StepOutcome::kOverLimit:
        return "send less in one step, or raise max_message";
      default:
        return "correct what the backtrace or the code shows; reject bad input with 2 instead of "
               "trapping";
    }
  }

  void CheckDeterminism(const Sample& sample, const StepResult& first) {
    const std::string what = Difference(first, Step(sample));
    if (what.empty()) return;
    if (!std::exchange(stats_->deterministic, false)) return;
    findings_->Warning(
        "NOT_DETERMINISTIC", StrCat("sample ", Shown(sample.name)),
        StrCat("two runs with the same message, clock and random bytes differ in ", what),
        "take time and randomness from the host only");
  }

  // The stage passes only where each of the manifest's own was seen to be handled.
  void OwnSkipped(size_t count) {
    findings_->Error(
        "SAMPLES_SKIPPED", "samples",
        StrCat(count, " of the manifest's own samples were not run: the stage may take ",
               kSandboxLimitNs / kNanosPerMilli, " ms"),
        "let the agent handle its samples sooner, or give fewer of them");
  }

  void Skipped(size_t count) {
    findings_->Warning("SAMPLES_SKIPPED", "",
                       StrCat(count, " sample messages were not run: the stage may take ",
                              kSandboxLimitNs / kNanosPerMilli, " ms"),
                       "let the agent handle its samples sooner");
  }

  const SandboxOptions& options_;
  Findings* const findings_;
  ModuleStats* const stats_;
  const int64_t end_ns_;
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

StepResult RunSample(const SandboxOptions& options, const Sample& sample, int64_t limit_ns) {
  wasm::StepControl control;
  control.clock = &options.clock;
  control.deadline_mono_ns = options.clock.MonoNanos() + limit_ns;
  control.fuel = kSampleFuel;
  const auto instance = options.module.NewInstance(options.config, control);
  if (!instance.ok()) {
    StepResult result;
    result.outcome = StepOutcome::kInitFailed;
    result.detail = std::string(instance.status().message());
    return result;
  }
  StepInput input;
  input.time_ns = options.config.init_time_ns + kAfterInitNs;
  // Another one for each sample: an agent that draws lots does not draw the same one every time.
  const Digest seed = Sha256(sample.name);
  std::copy(seed.bytes.begin(), seed.bytes.end(), input.seed.begin());
  Envelope message = sample.message;
  if (sample.real) {
    input.has_key = !message.EffectiveKey().empty();
  } else {
    message.id = StrCat("sample-", sample.name);
    message.sender = "client:validation";
    message.receiver = options.config.agent;
  }
  StepResult result = (*instance)->HandleMessage(input, message, control);
  (*instance)->Shutdown(control);
  return result;
}

std::vector<SampleRun> RunSandbox(const SandboxOptions& options, const std::vector<Sample>& samples,
                                  Findings* findings, ModuleStats* stats) {
  return Sandbox(options, findings, stats).Run(samples);
}

}  // namespace caxton::examine
