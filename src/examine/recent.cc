// SPDX-License-Identifier: Apache-2.0
#include "recent.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"
#include "caxton/model/limits.h"
#include "caxton/model/step.h"
#include "caxton/wasm/epoch_ticker.h"
#include "caxton/wasm/module.h"

namespace caxton::examine {

namespace {

void Count(const StepResult& result, MeasuredFigures* figures) {
  ++figures->samples;
  figures->peak_memory = std::max(figures->peak_memory, result.memory_bytes);
  figures->max_fuel = std::max(figures->max_fuel, result.fuel);
  figures->max_step_ns = std::max(figures->max_step_ns, result.run_ns);
  if (result.outcome != StepOutcome::kHandled) return;
  ++figures->handled;
  figures->sends += result.sends.size();
  figures->max_sends = std::max<uint64_t>(figures->max_sends, result.sends.size());
  const auto output = [figures](size_t bytes) {
    figures->max_output_bytes = std::max<uint64_t>(figures->max_output_bytes, bytes);
  };
  if (result.reply.has_value()) output(result.reply->content.size());
  for (const OutgoingMessage& sent : result.sends) output(sent.content.size());
}

}  // namespace

RecentFigures RunRecent(const SandboxOptions& options, const std::vector<Envelope>& messages,
                        Findings* findings) {
  RecentFigures recent;
  MeasuredFigures& figures = recent.figures;
  std::map<StepOutcome, int> failed;
  const int64_t end_ns = options.clock.MonoNanos() + kRecentLimitNs;
  for (const Envelope& message : messages) {
    const int64_t left_ns = end_ns - options.clock.MonoNanos();
    if (figures.samples >= kMaxRecentMessages || left_ns <= 0) {
      ++recent.skipped;
      continue;
    }
    Sample sample{.name = StrCat("recent/", figures.samples + 1), .message = message};
    sample.real = true;
    const StepResult result = RunSample(options, sample, std::min(kSampleLimitNs, left_ns));
    if (result.outcome != StepOutcome::kHandled && left_ns < kSampleLimitNs &&
        options.clock.MonoNanos() >= end_ns) {
      ++recent.skipped;  // it had less time than it may take
      continue;
    }
    Count(result, &figures);
    if (result.outcome != StepOutcome::kHandled) ++failed[result.outcome];
  }
  if (failed.empty()) return recent;
  std::string outcomes;
  for (const auto& [outcome, count] : failed) {
    StrAppend(&outcomes, outcomes.empty() ? "" : ", ", count, " ", StepOutcomeName(outcome));
  }
  findings->Warning("RECENT_FAILED", "recent messages",
                    StrCat("of the agent's last ", figures.samples, " real messages it fails on ",
                           figures.samples - figures.handled, ": ", outcomes),
                    "try it on them beside the revision that serves: `--history N`, or the "
                    "strategy shadow");
  return recent;
}

void TryRecent(const wasm::Engine& engine, std::string_view native, const ExamineOptions& options,
               const std::vector<Envelope>& messages, ExamineReport* report) {
  const auto module = wasm::Module::LoadBytes(engine, native);
  if (!module.ok() || messages.empty()) return;  // it was loaded before: nothing new about it
  const int64_t start_ns = options.clock->MonoNanos();
  wasm::EpochTicker ticker(engine);
  const wasm::EpochTicker::Scope scope(ticker);
  Findings findings;
  // What is recommended is said anew, with these messages in mind.
  std::erase_if(report->findings, [](const Finding& f) { return f.code == kRecommended; });
  findings.Append(std::move(report->findings));
  findings.set_stage(ExamineStage::kResources);
  const RecentFigures recent =
      RunRecent({**module, options.config, *options.clock}, messages, &findings);
  JudgeRecent(recent, report->traits.figures,
              {.memory_bytes = options.config.memory_bytes,
               .deadline_ns = options.deadline_ns,
               .max_message_bytes = options.config.max_message_bytes},
              &findings);
  report->findings = findings.Take();
  report->stages[static_cast<size_t>(ExamineStage::kResources)].duration_ns +=
      options.clock->MonoNanos() - start_ns;
}

}  // namespace caxton::examine
