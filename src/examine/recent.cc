// SPDX-License-Identifier: Apache-2.0
#include "recent.h"

#include <algorithm>
#include <map>
#include <utility>

#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"
#include "caxton/wasm/epoch_ticker.h"
#include "caxton/wasm/module.h"

namespace caxton::examine {

RecentFigures RunRecent(const SandboxOptions& options, const std::vector<Envelope>& messages,
                        Findings* findings) {
  RecentFigures figures;
  std::map<StepOutcome, int> failed;
  const int64_t end_ns = options.clock.MonoNanos() + kRecentLimitNs;
  for (const Envelope& message : messages) {
    const int64_t left_ns = end_ns - options.clock.MonoNanos();
    if (figures.messages >= kMaxRecentMessages || left_ns <= 0) {
      ++figures.skipped;
      continue;
    }
    Sample sample{.name = StrCat("recent/", figures.messages + 1), .message = message};
    sample.real = true;
    const StepResult result = RunSample(options, sample, std::min(kSampleLimitNs, left_ns));
    if (result.outcome != StepOutcome::kHandled && left_ns < kSampleLimitNs &&
        options.clock.MonoNanos() >= end_ns) {
      ++figures.skipped;  // it had less time than it may take
      continue;
    }
    ++figures.messages;
    figures.peak_memory = std::max(figures.peak_memory, result.memory_bytes);
    figures.max_fuel = std::max(figures.max_fuel, result.fuel);
    figures.max_step_ns = std::max(figures.max_step_ns, result.run_ns);
    if (result.outcome == StepOutcome::kHandled) {
      ++figures.handled;
    } else {
      ++failed[result.outcome];
    }
  }
  if (figures.handled == figures.messages) return figures;
  std::string outcomes;
  for (const auto& [outcome, count] : failed) {
    StrAppend(&outcomes, outcomes.empty() ? "" : ", ", count, " ", StepOutcomeName(outcome));
  }
  findings->Warning("RECENT_FAILED", "recent messages",
                    StrCat("of the agent's last ", figures.messages, " real messages it fails on ",
                           figures.messages - figures.handled, ": ", outcomes),
                    "try it on them beside the revision that serves: `--history N`, or the "
                    "strategy shadow");
  return figures;
}

void JudgeRecent(const RecentFigures& figures, int64_t memory_limit, Findings* findings) {
  if (figures.messages == 0) return;
  const auto limit = static_cast<uint64_t>(std::max<int64_t>(memory_limit, 0));
  if (figures.peak_memory > limit / 100 * kTightMemoryPercent) {
    findings->Warning("RECENT_MEMORY_TIGHT", "resources.memory",
                      StrCat("the agent used up to ", figures.peak_memory, " of ", limit,
                             " bytes over its recent messages"),
                      "give it more --memory");
  }
  std::string text =
      StrCat("over ", figures.messages, " recent messages of the agent: at most ",
             figures.peak_memory, " bytes of memory, ", figures.max_fuel, " instructions and ",
             figures.max_step_ns / 1000, " us a message; ", figures.handled, " handled");
  if (figures.skipped > 0) {
    StrAppend(&text, ", ", figures.skipped, " not run to the end: they may take ",
              kRecentLimitNs / kNanosPerMilli, " ms together");
  }
  findings->Note("RECENT", "resources", std::move(text));
}

void TryRecent(const wasm::Engine& engine, std::string_view native, const ExamineOptions& options,
               const std::vector<Envelope>& messages, ExamineReport* report) {
  const auto module = wasm::Module::LoadBytes(engine, native);
  if (!module.ok() || messages.empty()) return;  // it was loaded before: nothing new about it
  const int64_t start_ns = options.clock->MonoNanos();
  wasm::EpochTicker ticker(engine);
  const wasm::EpochTicker::Scope scope(ticker);
  Findings findings;
  findings.Append(std::move(report->findings));
  findings.set_stage(ExamineStage::kResources);
  const RecentFigures figures =
      RunRecent({**module, options.config, *options.clock}, messages, &findings);
  JudgeRecent(figures, options.config.memory_bytes, &findings);
  report->findings = findings.Take();
  report->stages[static_cast<size_t>(ExamineStage::kResources)].duration_ns +=
      options.clock->MonoNanos() - start_ns;
}

}  // namespace caxton::examine
