// SPDX-License-Identifier: Apache-2.0
//
// Validator: decides whether a module may become a revision. All four stages run in
// one jailed child (`caxton-worker --compile`) under memory, CPU and wall-clock limits; the server
// never reads what the author supplied. The native code it made goes into the artifact store. A
// stage that an earlier one kept from running says so.
//
// Lifecycle: Validate answers from a kept report where there is one, and else starts one child (at
// most kMaxValidations at once, the rest waits in order);
// Cancel kills it. Thread rule: any thread; `done` runs on the validator's own thread and must not
// block.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "caxton/model/examine_report.h"
#include "caxton/model/revision.h"
#include "caxton/model/surroundings.h"

namespace caxton::validation {

enum class StageOutcome : uint8_t { kPassed, kFailed, kNotRun };

struct StageReport {
  std::string stage;  // "static", "sandbox", "contracts", "resources"
  StageOutcome outcome = StageOutcome::kNotRun;
  int64_t duration_ns = 0;
  std::vector<Finding> findings;
  std::string note;  // why it was not run
};

struct ValidationReport {
  Digest module;
  std::vector<StageReport> stages;  // always all four, in order
  ModuleTraits traits;
  ModuleStats stats;
  std::string engine, engine_config;  // as in ExamineReport
  std::vector<std::string> log;       // what it logged while it was initialized
  bool cached = false;                // report and native code were there already
  // From the child's start to its end, as measured here; 0 where none ran. What the stages say of
  // their durations comes from the child.
  int64_t took_ns = 0;
  bool ok() const;  // no stage failed
  // All errors in one text, one a line, for a deployment's error message.
  std::string Summary() const;
};

struct ValidateOptions {
  // Wall-clock bound of the whole (the `validate` stage); past it the report fails with what it was
  // doing.
  int64_t limit_ns = 0;
  Surroundings surroundings;  // what it is compared with
  // The agent's last messages, encoded, oldest first; as many of the newest as model/limits.h lets
  // are run. A report that is cached is not made again for them.
  std::vector<std::string> recent;
};

class Validator {
 public:
  virtual ~Validator() = default;
  // `revision` says name, limits and settings; its module is in the artifact store. An error status
  // means that validation itself could not run (no child could be started), not that the module is
  // bad.
  virtual void Validate(const Revision& revision, ValidateOptions options,
                        absl::AnyInvocable<void(absl::StatusOr<ValidationReport>)> done) = 0;
  // Ends every validation of this revision, waiting or running: it is answered CANCELLED.
  virtual void Cancel(RevisionRef revision) = 0;
};

}  // namespace caxton::validation
