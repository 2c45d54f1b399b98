// SPDX-License-Identifier: Apache-2.0
#include "outcome.h"

#include <algorithm>
#include <utility>

#include "caxton/validation/limits.h"

namespace caxton::validation {

ValidationReport MakeReport(const Digest& module, const ExamineReport& examined,
                            int64_t duration_ns) {
  ValidationReport report{.module = module,
                          .traits = examined.traits,
                          .stats = examined.stats,
                          .engine = examined.engine,
                          .engine_config = examined.engine_config,
                          .log = examined.log};
  report.took_ns = duration_ns;
  for (size_t i = 0; i < kExamineStages; ++i) {
    const StageRun& run = examined.stages[i];
    const auto stage = static_cast<ExamineStage>(i);
    StageReport out{.stage = std::string(ExamineStageName(stage)), .note = run.note};
    for (const Finding& finding : examined.findings) {
      if (finding.stage == stage) out.findings.push_back(finding);
    }
    out.outcome = !examined.ok(stage) ? StageOutcome::kFailed
                  : run.ran           ? StageOutcome::kPassed
                                      : StageOutcome::kNotRun;
    // The child's word: no sum of them may run over.
    out.duration_ns = std::clamp<int64_t>(run.duration_ns, 0, kMaxValidateNs);
    if (out.outcome == StageOutcome::kNotRun && out.note.empty()) {
      out.note = "not run: the validating process ended before it";
    }
    report.stages.push_back(std::move(out));
  }
  // What starting the child took belongs to the first stage; but of a child that did not finish
  // most of it to the stage that it died in, which could not say how long it took.
  int64_t accounted = 0;
  size_t charged = 0;
  for (size_t i = 0; i < kExamineStages; ++i) {
    accounted += report.stages[i].duration_ns;
    const bool unfinished = examined.stages[i].ran && report.stages[i].duration_ns == 0;
    if (unfinished && report.stages[i].outcome == StageOutcome::kFailed) charged = i;
  }
  report.stages[charged].duration_ns += std::max<int64_t>(duration_ns - accounted, 0);
  return report;
}

}  // namespace caxton::validation
