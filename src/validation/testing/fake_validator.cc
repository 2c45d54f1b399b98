// SPDX-License-Identifier: Apache-2.0
#include "caxton/validation/testing/fake_validator.h"

#include <algorithm>
#include <utility>

#include "caxton/base/strings.h"

namespace caxton::validation::testing {

ValidationReport MakeReport(const Digest& module, std::vector<Finding> errors) {
  ValidationReport report{.module = module};
  StageReport first{.stage = "static",
                    .outcome = errors.empty() ? StageOutcome::kPassed : StageOutcome::kFailed,
                    .duration_ns = kNanosPerMilli,
                    .findings = std::move(errors)};
  report.stages.push_back(std::move(first));
  for (const char* stage : {"sandbox", "contracts", "resources"}) {
    report.stages.push_back(
        {.stage = stage, .outcome = StageOutcome::kNotRun, .note = "not part of this version"});
  }
  return report;
}

using Done = absl::AnyInvocable<void(absl::StatusOr<ValidationReport>)>;

struct FakeValidator::State {
  Executor* executor;
  int64_t delay_ns;
  bool dead = false;
  int validated = 0;
  int64_t limit_ns = 0;
  std::vector<std::string> recent;
  Surroundings surroundings;
  struct Running {
    RevisionRef revision;
    Done done;
  };
  std::map<int, Running> running;  // by the count of calls
  std::map<Digest, absl::StatusOr<ValidationReport>> reports;
  std::map<Digest, ModuleTraits> traits;
};

FakeValidator::FakeValidator(Executor* executor, int64_t delay_ns)
    : state_(std::make_shared<State>()) {
  state_->executor = executor;
  state_->delay_ns = delay_ns;
}

FakeValidator::~FakeValidator() { state_->dead = true; }

void FakeValidator::Validate(const Revision& revision, ValidateOptions options, Done done) {
  ++state_->validated;
  const int64_t limit_ns = options.limit_ns;
  state_->limit_ns = limit_ns;
  state_->recent = std::move(options.recent);
  state_->surroundings = std::move(options.surroundings);
  absl::StatusOr<ValidationReport> answer = MakeReport(revision.module);
  if (auto it = state_->traits.find(revision.module); it != state_->traits.end()) {
    answer->traits = it->second;
  }
  if (auto it = state_->reports.find(revision.module); it != state_->reports.end()) {
    answer = it->second;
  }
  if (state_->delay_ns > limit_ns) {
    answer =
        MakeReport(revision.module, {{.code = "VALIDATION_TIMEOUT",
                                      .message = "validation took longer than its stage allows",
                                      .fix = "give the validate stage more time"}});
  }
  const int id = state_->validated;
  state_->running.emplace(id, State::Running{revision.ref, std::move(done)});
  if (answer.ok()) answer->took_ns = answer->cached ? 0 : std::min(state_->delay_ns, limit_ns);
  state_->executor->PostAfter(std::min(state_->delay_ns, limit_ns),
                              [state = state_, id, answer = std::move(answer)]() mutable {
                                auto running = state->running.extract(id);
                                if (state->dead || running.empty()) return;
                                running.mapped().done(std::move(answer));
                              });
}

void FakeValidator::Cancel(RevisionRef revision) {
  for (auto it = state_->running.begin(); it != state_->running.end();) {
    if (it->second.revision != revision) {
      ++it;
      continue;
    }
    state_->executor->Post([state = state_, done = std::move(it->second.done)]() mutable {
      if (!state->dead) done(absl::CancelledError("the validation was cancelled"));
    });
    it = state_->running.erase(it);
  }
}

void FakeValidator::SetReport(const Digest& module, absl::StatusOr<ValidationReport> report) {
  state_->reports.insert_or_assign(module, std::move(report));
}

void FakeValidator::Reject(const Digest& module, std::string code, std::string message) {
  SetReport(module, MakeReport(module, {{.code = std::move(code), .message = std::move(message)}}));
}

void FakeValidator::SetDelay(int64_t delay_ns) { state_->delay_ns = delay_ns; }

void FakeValidator::SetTraits(const Digest& module, ModuleTraits traits) {
  state_->traits[module] = std::move(traits);
}

int FakeValidator::validated() const { return state_->validated; }

int64_t FakeValidator::last_limit_ns() const { return state_->limit_ns; }

const std::vector<std::string>& FakeValidator::last_recent() const { return state_->recent; }

const Surroundings& FakeValidator::last_surroundings() const { return state_->surroundings; }

}  // namespace caxton::validation::testing
