// SPDX-License-Identifier: Apache-2.0
//
// FakeValidator: the Validator of tests and simulation. Every module passes after a delay unless
// told otherwise. Lifecycle: destroying it is the server's death: no callback runs afterwards.
// Thread rule: one thread; callbacks run as tasks of the executor.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/validation/validator.h"

namespace caxton::validation::testing {

// All four stages, the last three not run; the first passed, or failed with `errors`.
ValidationReport MakeReport(const Digest& module, std::vector<Finding> errors = {});

class FakeValidator final : public Validator {
 public:
  explicit FakeValidator(Executor* executor, int64_t delay_ns = 10 * kNanosPerMilli);
  ~FakeValidator() override;

  void Validate(const Revision& revision, ValidateOptions options,
                absl::AnyInvocable<void(absl::StatusOr<ValidationReport>)> done) override;
  void Cancel(RevisionRef revision) override;

  // Controls. What Validate answers for this module from now on; an error status: validation could
  // not run.
  void SetReport(const Digest& module, absl::StatusOr<ValidationReport> report);
  // Fails the module's static stage with one finding.
  void Reject(const Digest& module, std::string code, std::string message);
  void SetDelay(int64_t delay_ns);
  void SetTraits(const Digest& module, ModuleTraits traits);
  int validated() const;                                // how often Validate was called
  int64_t last_limit_ns() const;                        // of the last call
  const std::vector<std::string>& last_recent() const;  // of the last call
  const Surroundings& last_surroundings() const;        // of the last call

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace caxton::validation::testing
