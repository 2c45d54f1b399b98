// SPDX-License-Identifier: Apache-2.0
//
// A verdict, made again from the journal, and the numbers of a deployment that has ended. Of a
// verdict on record exactly what the judge had seen when it spoke is folded: evidence of later
// stages and of the cleanup window did not make it.
#include <memory>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/model/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::Verdict;
using deployment::VerdictKind;
using deployment::VerdictMoment;

namespace {

// None: nothing is decided. Error: the judge said nothing, it could not read the evidence.
bool Decided(const Verdict& verdict) {
  return verdict.kind != VerdictKind::kNone && verdict.kind != VerdictKind::kError;
}

// What `judge` says to the question that the verdict on record answers.
Verdict Again(const analysis::Judge& judge, const deployment::DeploymentStatus& status) {
  if (auto fired = judge.Fired(); fired.has_value()) return *fired;
  const deployment::VerdictBasis& basis = status.verdict.basis;
  if (!Decided(status.verdict) || basis.moment == VerdictMoment::kWatching) return {};
  const deployment::StagePlan stage =
      basis.stage < status.plan.stages.size()
          ? status.plan.stages[basis.stage]
          : deployment::StagePlan{.weight_ppm = kFullWeightPpm};  // the cleanup window
  if (basis.moment == VerdictMoment::kEarly) {
    const auto early = judge.EarlyPass(stage);
    return early.has_value() ? Verdict{VerdictKind::kSuccessful, early->text, basis} : Verdict{};
  }
  const deployment::StageReport report = judge.EndOfStage(stage);
  return {report.passed() ? VerdictKind::kSuccessful : VerdictKind::kInconclusive, report.text,
          basis};
}

struct Folded {
  std::unique_ptr<analysis::Judge> judge;
  int64_t rows = 0;
};

// The evidence of the deployment, all of it or what its verdict was made from. Any thread.
absl::StatusOr<Folded> Fold(const journal::Journal& journal,
                            const deployment::DeploymentStatus& status, bool all) {
  const bool decided = Decided(status.verdict);
  const deployment::VerdictBasis& basis = status.verdict.basis;
  Folded folded{.judge = analysis::MakeJudge(status.plan)};
  auto look = [&] {  // a quiet second may have decided
    if (decided && folded.rows == basis.observations) folded.judge->Tick(basis.at_ms);
  };
  look();
  RETURN_IF_ERROR(journal.ScanEvidence(status.id, [&](const Observation& seen) {
    if (decided && !all && folded.rows >= basis.observations) return;
    folded.judge->Observe(seen);
    ++folded.rows;
    look();
  }));
  return folded;
}

// The verdict from the evidence on record, beside the one in `explanation->view`. Any thread.
absl::Status Recompute(const journal::Journal& journal, Explanation* explanation) {
  const deployment::DeploymentStatus& status = explanation->view.status;
  ASSIGN_OR_RETURN(const Folded folded, Fold(journal, status, /*all=*/false));
  explanation->evidence = folded.rows;
  explanation->numbers = folded.judge->Numbers();
  explanation->recomputed = Again(*folded.judge, status);
  // Kind and text may be the same although rows are missing.
  const bool whole = !Decided(status.verdict) || folded.rows == status.verdict.basis.observations;
  explanation->matches = whole && deployment::SaysTheSame(status.verdict, explanation->recomputed);
  return absl::OkStatus();
}

}  // namespace

// What a verdict on its way to the disk was made from may be behind it in the same write.
void ControllerImpl::Explain(std::string target, Done<Explanation> done) {
  OnStrand([this, target = std::move(target), done = std::move(done)]() mutable {
    ShowSettled(target, kMaxReadPolls,
                [this, done = std::move(done)](absl::StatusOr<DeploymentView> view) mutable {
                  if (!view.ok()) return done(view.status());
                  ExplainRun(view->status.id, std::move(done));
                });
  });
}

void ControllerImpl::ExplainRun(DeploymentId id, Done<Explanation> done) {
  const Run* found = FindRun(id);
  if (found == nullptr) return done(NotKept(id));
  const Run& run = *found;
  if (absl::Status gone = CheckEvidenceKept(run); !gone.ok()) return done(std::move(gone));
  const bool live = run.status.plan.strategy == Strategy::kShadow ||
                    !run.status.plan.conditions.empty() || run.status.plan.compare_errors;
  const bool replayed = run.status.history.kind != VerdictKind::kNone;
  if (replayed && (!live || run.status.cause == deployment::EndCause::kHistory)) {
    return done(ExplainHistory(run));
  }
  if (run.status.plan.strategy == Strategy::kShadow) return done(ExplainShadow(run));
  if (run.status.plan.conditions.empty() && !run.status.plan.compare_errors) {
    return done(WithReason(absl::FailedPreconditionError(StrCat(deployment::DeploymentName(id),
                                                                " is not judged: it has no "
                                                                "conditions")),
                           "NOT_JUDGED"));
  }
  ExplainJudged({.view = ViewOf(run)}, std::move(done));
}

// A deployment of days has millions of rows of evidence: they are folded beside the strand.
void ControllerImpl::ExplainJudged(Explanation explanation, Done<Explanation> done) {
  auto recompute = [this, explanation = std::move(explanation), done = std::move(done)]() mutable {
    absl::Status read = Recompute(*d_.journal, &explanation);
    OnStrand([this, read = std::move(read), explanation = std::move(explanation),
              done = std::move(done)]() mutable {
      // What was read may have gone meanwhile, and with it a part of what was to be read.
      const Run* run = FindRun(explanation.view.status.id);
      if (run == nullptr) return done(NotKept(explanation.view.status.id));
      if (absl::Status gone = CheckEvidenceKept(*run); !gone.ok()) return done(std::move(gone));
      if (!read.ok()) return done(std::move(read));
      // The judge has spoken meanwhile: what was read may be older than its verdict.
      if (run->status.verdict != explanation.view.status.verdict) {
        return Explain(deployment::DeploymentName(run->status.id), std::move(done));
      }
      done(std::move(explanation));
    });
  };
  if (d_.cleaner == nullptr) return recompute();
  d_.cleaner->Post(std::move(recompute));
}

// Of one that ended under an earlier server: its judge is gone, its evidence may be there.
bool ControllerImpl::LacksNumbers(const Run& run) {
  return !run.judge && !run.last_numbers && run.status.judged() && run.status.prepared &&
         run.status.plan.strategy != Strategy::kShadow && CheckEvidenceKept(run).ok();
}

void ControllerImpl::ShowWithNumbers(DeploymentView view, Done<DeploymentView> done) {
  const Run* run = FindRun(view.status.id);
  if (run == nullptr || !LacksNumbers(*run)) return done(std::move(view));
  auto read = [this, view = std::move(view), done = std::move(done)]() mutable {
    absl::StatusOr<Folded> folded = Fold(*d_.journal, view.status, /*all=*/true);
    std::optional<analysis::JudgeNumbers> numbers;
    if (folded.ok()) numbers = folded->judge->Numbers();
    OnStrand([this, view = std::move(view), numbers = std::move(numbers),
              done = std::move(done)]() mutable {
      Run* run = FindRun(view.status.id);
      if (run == nullptr) return done(std::move(view));
      if (LacksNumbers(*run)) run->last_numbers = std::move(numbers);
      done(ViewOf(*run));
    });
  };
  if (d_.cleaner == nullptr) return read();
  d_.cleaner->Post(std::move(read));
}

}  // namespace caxton::controller
