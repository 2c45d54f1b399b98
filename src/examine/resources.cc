// SPDX-License-Identifier: Apache-2.0
#include "resources.h"

#include <algorithm>
#include <string>
#include <utility>

#include "caxton/base/clock.h"
#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "caxton/model/limits.h"
#include "caxton/model/step.h"
#include "caxton/model/units.h"
#include "caxton/wasm/limits.h"

namespace caxton::examine {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// Twice the peak, in whole MiB.
uint64_t RecommendedMiB(uint64_t peak) {
  const uint64_t most = static_cast<uint64_t>(kMaxAgentMemoryBytes) / kMiB;
  const uint64_t bounded = std::min(peak, most * kMiB);
  return std::min(std::max<uint64_t>((2 * bounded + kMiB - 1) / kMiB, 1), most);
}

// kRecommendedDeadlineFactor times the slowest sample, in 1-2-5 steps from kLeastDeadlineNs on.
int64_t RecommendedDeadlineNs(int64_t slowest) {
  int64_t step = kLeastDeadlineNs;
  for (int i = 0; step < kMaxStepDeadlineNs; ++i) {
    if (step / kRecommendedDeadlineFactor >= slowest) return step;
    step = i % 3 == 1 ? step / 2 * 5 : step * 2;
  }
  return kMaxStepDeadlineNs;
}

// What was measured over, in words.
struct Source {
  std::string_view prefix;  // of the codes
  std::string_view these, one;
};
constexpr Source kSamples = {"", "the sample messages", "sample message"};
constexpr Source kRecent = {"RECENT_", "its recent messages", "recent message"};

struct Use {
  std::string code;
  const char* place;
  std::string what;  // "the agent used up to 7 bytes of memory over the sample messages"
  uint64_t used, limit;
  uint64_t tight_percent;
  std::string unit;
  std::string fix;
};

void WarnWhereTight(Use use, Findings* findings) {
  if (use.limit == 0 || use.used <= use.limit * use.tight_percent / 100) return;
  findings->Warning(use.code, use.place,
                    StrCat(use.what, ": ", use.used, " of ", use.limit, " ", use.unit),
                    std::move(use.fix));
}

void CompareWithLimits(const MeasuredFigures& figures, const RequestedLimits& limits,
                       const Source& over, Findings* findings) {
  const auto number = [](int64_t value) {
    return static_cast<uint64_t>(std::max<int64_t>(value, 0));
  };
  const auto code = [&over](std::string_view name) { return StrCat(over.prefix, name); };
  WarnWhereTight({code("MEMORY_TIGHT"), "resources.memory",
                  StrCat("the memory it used over ", over.these, " is close to its limit"),
                  figures.peak_memory, number(limits.memory_bytes), kTightMemoryPercent, "bytes",
                  StrCat("give it --memory ", RecommendedMiB(figures.peak_memory), "Mi")},
                 findings);
  WarnWhereTight(
      {code("DEADLINE_TIGHT"), "resources.deadline",
       StrCat("the slowest ", over.one, " took a large part of the deadline"),
       number(figures.max_step_ns) / 1000, number(limits.deadline_ns) / 1000, kTightDeadlinePercent,
       "us",
       StrCat("give it resources: { deadline: ",
              FormatDuration(RecommendedDeadlineNs(figures.max_step_ns)), " }, or make it faster")},
      findings);
  WarnWhereTight({code("FUEL_TIGHT"), "handle_message",
                  StrCat("a ", over.one, " took a large part of the instructions a step may have"),
                  figures.max_fuel, wasm::kFuelPerStep, kTightPercent, "instructions",
                  "do less in one step: split the work into several messages"},
                 findings);
  WarnWhereTight({code("SENDS_TIGHT"), "handle_message",
                  StrCat("handling one ", over.one, " sent nearly as many as a step may send"),
                  figures.max_sends, kMaxSendsPerStep, kTightPercent, "messages",
                  "send fewer messages in one step, or let a chain of steps send them"},
                 findings);
  WarnWhereTight(
      {code("OUTPUT_TIGHT"), "resources.max_message",
       StrCat("the largest message it replied or sent over ", over.these, " is close to the limit"),
       figures.max_output_bytes, number(limits.max_message_bytes), kTightPercent, "bytes",
       "send less at once, or raise resources.max_message"},
      findings);
}

struct Figure {
  const char* place;
  const char* what;
  uint64_t now, before;
  uint64_t floor;  // differences below it are noise of a build, not a change
};

void CompareWithLiveFigures(const MeasuredFigures& now, const KnownRevision& live,
                            Findings* findings) {
  const MeasuredFigures& was = live.traits.figures;
  const Figure figures[] = {
      {"resources.memory", "bytes of memory", now.peak_memory, was.peak_memory, kMiB},
      {"resources.fuel", "instructions for a message", now.max_fuel, was.max_fuel, kFuelNoise},
      {"resources.start", "instructions to start", now.init_fuel, was.init_fuel, kFuelNoise},
      {"resources.code", "bytes of native code", now.code_bytes, was.code_bytes, kCodeNoiseBytes},
      {"resources.sends", "messages sent for one handled", now.max_sends, was.max_sends, 1},
  };
  for (const Figure& figure : figures) {
    if (figure.now <= figure.before || figure.now - figure.before <= figure.floor) continue;
    if (static_cast<double>(figure.now) <=
        static_cast<double>(figure.before) * static_cast<double>(kFarAboveFactor)) {
      continue;
    }
    const std::string times =
        figure.before == 0 ? "" : StrCat(", ", figure.now / figure.before, " times as many");
    findings->Warning(
        "FAR_ABOVE_LIVE", figure.place,
        StrCat("up to ", figure.now, " ", figure.what,
               " over the sample messages; the live revision took ", figure.before, times),
        StrCat("if that is meant, see that its limits allow it; else look for what "
               "changed (told above ",
               kFarAboveFactor, " times)"));
  }
}

void Recommend(const MeasuredFigures& most, Findings* findings) {
  findings->Note(kRecommended, "resources",
                 StrCat("Recommended: --memory ", RecommendedMiB(most.peak_memory), "Mi, deadline ",
                        FormatDuration(RecommendedDeadlineNs(most.max_step_ns))));
}

// "7 (live: 5)"
std::string Beside(uint64_t now, uint64_t before, const KnownRevision* live) {
  if (live == nullptr) return StrCat(now);
  return StrCat(now, " (live: ", before, ")");
}

}  // namespace

void JudgeResources(const MeasuredFigures& figures, const RequestedLimits& limits,
                    const std::optional<KnownRevision>& live, Findings* findings) {
  CompareWithLimits(figures, limits, kSamples, findings);
  const bool measured = live.has_value() && live->traits.figures.samples > 0;
  if (measured) CompareWithLiveFigures(figures, *live, findings);
  const KnownRevision* other = measured ? &*live : nullptr;
  const MeasuredFigures was = measured ? live->traits.figures : MeasuredFigures();
  const auto beside = [&](uint64_t now, uint64_t before) { return Beside(now, before, other); };
  const auto micros = [](int64_t ns) { return static_cast<uint64_t>(ns / 1000); };
  findings->Note(
      "RESOURCES", "resources",
      StrCat("over ", figures.samples, " samples: at most ",
             beside(figures.peak_memory, was.peak_memory), " bytes of memory, ",
             beside(figures.max_fuel, was.max_fuel), " instructions and ",
             beside(micros(figures.max_step_ns), micros(was.max_step_ns)),
             " us a message; start-up ", beside(figures.init_fuel, was.init_fuel),
             " instructions; native code ", beside(figures.code_bytes, was.code_bytes),
             " bytes; at most ", beside(figures.max_sends, was.max_sends),
             " messages sent for one handled, ", figures.sends, " for ", figures.handled));
  Recommend(figures, findings);
}

void JudgeRecent(const RecentFigures& recent, const MeasuredFigures& samples,
                 const RequestedLimits& limits, Findings* findings) {
  const MeasuredFigures& figures = recent.figures;
  CompareWithLimits(figures, limits, kRecent, findings);
  std::string text = StrCat(
      "over ", figures.samples, " recent messages of the agent: at most ", figures.peak_memory,
      " bytes of memory, ", figures.max_fuel, " instructions and ", figures.max_step_ns / 1000,
      " us a message; at most ", figures.max_sends, " messages sent for one handled, ",
      figures.sends, " for ", figures.handled, "; the largest it sent or replied has ",
      figures.max_output_bytes, " bytes; ", figures.handled, " handled");
  if (recent.skipped > 0) {
    StrAppend(&text, ", ", recent.skipped, " not run to the end: they may take ",
              kRecentLimitNs / kNanosPerMilli, " ms together");
  }
  findings->Note("RECENT", "resources", std::move(text));
  MeasuredFigures most = figures;
  most.peak_memory = std::max(most.peak_memory, samples.peak_memory);
  most.max_step_ns = std::max(most.max_step_ns, samples.max_step_ns);
  Recommend(most, findings);
}

}  // namespace caxton::examine
