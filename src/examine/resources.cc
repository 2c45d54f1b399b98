// SPDX-License-Identifier: Apache-2.0
#include "resources.h"

#include <algorithm>

#include "caxton/base/clock.h"
#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "caxton/model/limits.h"

namespace caxton::examine {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// Twice the peak, in whole MiB.
uint64_t RecommendedMiB(uint64_t peak) {
  const uint64_t most = static_cast<uint64_t>(kMaxAgentMemoryBytes) / kMiB;
  return std::min(std::max<uint64_t>((2 * peak + kMiB - 1) / kMiB, 1), most);
}

}  // namespace

void JudgeResources(const ModuleStats& stats, int64_t memory_limit, Findings* findings) {
  const uint64_t peak = std::max(stats.peak_memory, stats.memory_after_init);
  const uint64_t recommended = RecommendedMiB(peak);
  const auto limit = static_cast<uint64_t>(std::max<int64_t>(memory_limit, 0));
  if (peak > limit / 100 * kTightMemoryPercent) {
    findings->Warning(
        "MEMORY_TIGHT", "resources.memory",
        StrCat("the agent used up to ", peak, " of ", limit, " bytes over the sample messages"),
        StrCat("give it --memory ", recommended, "Mi"));
  }
  std::string text = StrCat(
      "over ", stats.samples, " samples: at most ", peak, " bytes of memory, ", stats.max_fuel,
      " instructions and ", stats.max_step_ns / 1000, " us a message; start-up ",
      stats.init_ns / 1000, " us and ", stats.init_fuel, " instructions; native code ",
      stats.code_bytes, " bytes; ", stats.sends, " messages sent for ", stats.samples_handled,
      " handled. Recommended: --memory ", recommended, "Mi");
  findings->Note("RESOURCES", "resources", std::move(text));
}

}  // namespace caxton::examine
