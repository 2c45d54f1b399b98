// SPDX-License-Identifier: Apache-2.0
#include "sample_step.h"

#include <algorithm>
#include <memory>

#include "caxton/base/hash.h"
#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "caxton/wasm/limits.h"

namespace caxton::examine {
namespace {

// Clock of the samples: a minute after the instance's initialization.
constexpr int64_t kAfterInitNs = 60 * kNanosPerSecond;
// Any: a step without one cannot be interrupted.
constexpr Ticket kSampleTicket(1);

bool SameSend(const OutgoingMessage& a, const OutgoingMessage& b) {
  return a.to == b.to && a.performative == b.performative && a.content == b.content &&
         a.conversation_id == b.conversation_id && a.reply_with == b.reply_with &&
         a.in_reply_to == b.in_reply_to && a.key == b.key && a.content_type == b.content_type &&
         a.deadline_ns == b.deadline_ns && a.headers == b.headers;
}

}  // namespace

int64_t SampleLimitNs(int64_t deadline_ns) {
  const int64_t most = kSandboxLimitNs / kSampleDeadlineFactor;
  return std::max(kSampleLimitNs, kSampleDeadlineFactor * std::min(deadline_ns, most));
}

uint64_t SampleFuel(int64_t deadline_ns) {
  const auto limit = static_cast<uint64_t>(SampleLimitNs(deadline_ns));
  return deadline_ns <= 0 ? kSampleFuel
                          : std::clamp(limit * kFuelPerNano, kSampleFuel, wasm::kFuelPerStep);
}

wasm::StepControl ControlOf(const SandboxOptions& options, int64_t limit_ns,
                            const wasm::InterruptSource* end) {
  wasm::StepControl control;
  control.clock = &options.guest_clock();
  control.deadline_mono_ns = control.clock->MonoNanos() + limit_ns;
  control.interrupts = end;
  control.fuel = SampleFuel(options.deadline_ns);
  return control;
}

StepResult StepOn(wasm::Instance& instance, const SandboxOptions& options, const Sample& sample,
                  const wasm::StepControl& control) {
  StepInput input;
  input.ticket = kSampleTicket;
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
  return instance.HandleMessage(input, message, control);
}

std::string Difference(const StepResult& a, const StepResult& b, bool fuel) {
  if (a.outcome != b.outcome || a.agent_code != b.agent_code) return "the outcome";
  if (a.reply.has_value() != b.reply.has_value()) return "the reply";
  if (a.reply.has_value() &&
      (a.reply->performative != b.reply->performative || a.reply->content != b.reply->content)) {
    return "the reply";
  }
  if (!std::equal(a.sends.begin(), a.sends.end(), b.sends.begin(), b.sends.end(), SameSend)) {
    return "the messages sent";
  }
  return !fuel || a.fuel == b.fuel ? "" : "the fuel used";
}

StepResult RunSample(const SandboxOptions& options, const Sample& sample, int64_t limit_ns,
                     const wasm::InterruptSource* end) {
  const wasm::StepControl control = ControlOf(options, limit_ns, end);
  const auto instance = options.module.NewInstance(options.config, control);
  if (!instance.ok()) {
    StepResult result;
    result.outcome = StepOutcome::kInitFailed;
    result.detail = std::string(instance.status().message());
    return result;
  }
  return StepOn(**instance, options, sample, control);
}

}  // namespace caxton::examine
