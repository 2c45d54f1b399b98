// SPDX-License-Identifier: Apache-2.0
//
// The replay of an agent's last messages at the end of a deployment's validation: on stable and on
// the candidate, in workers of their own, before either of them is asked for anything. What if the
// process dies here? The deployment is still VALIDATING and nothing was committed; the next server
// validates and replays again, with the messages that it has kept by then. Once decided, the
// verdict is in the record of the transition that it causes, the report in a row of its own before
// it.
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/model/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::Verdict;
using deployment::VerdictKind;

namespace {

// Numbers that no revision has, and no other replay: its workers are nobody else's.
RevisionRef ReplayRef(DeploymentId deployment, const RevisionRef& of, bool candidate) {
  const uint32_t low = (static_cast<uint32_t>(deployment.value()) << 1) | (candidate ? 1 : 0);
  return {of.agent, router::ReplayOf(RevisionNumber(low & (router::kReplayBit - 1)))};
}

}  // namespace

void ControllerImpl::ValidateOnRecent(const Revision& revision, validation::ValidateOptions options,
                                      Done<validation::ValidationReport> done) {
  auto validate = [this, revision, options = std::move(options),
                   done = std::move(done)](const std::vector<router::KeptMessage>& kept) mutable {
    if (stopped_) return done(absl::UnavailableError("the server is stopping"));
    for (const router::KeptMessage& message : kept) options.recent.push_back(message.envelope);
    d_.validator->Validate(
        revision, std::move(options),
        [this,
         done = std::move(done)](absl::StatusOr<validation::ValidationReport> report) mutable {
          OnStrand([done = std::move(done), report = std::move(report)]() mutable {
            done(std::move(report));
          });
        });
  };
  AgentEntry* agent = book_.Find(std::string_view(revision.agent));
  if (agent == nullptr) return validate({});
  d_.router->RecentMessages(
      agent->record.id, kMaxRecentMessages,
      [this, validate = std::move(validate)](std::vector<router::KeptMessage> kept) mutable {
        OnStrand(
            [validate = std::move(validate), kept = std::move(kept)]() mutable { validate(kept); });
      });
}

void ControllerImpl::StartReplay(Run* run) {
  const deployment::DeploymentStatus& s = run->status;
  AgentEntry* agent = book_.Find(s.candidate.agent);
  auto replay = std::make_shared<Replaying>();
  replay->shown = std::make_shared<SharedReplay>(s.plan);
  replay->candidate.of = agent->Find(s.candidate.number);
  replay->stable.of = agent->Find(agent->Serving().number);
  run->replaying = replay;
  if (replay->stable.of == nullptr) {
    return DecideReplay(s.id, replay,
                        {VerdictKind::kInconclusive,
                         "history: nothing to compare with, no revision of this agent serves"});
  }
  d_.router->RecentMessages(
      s.candidate.agent, static_cast<size_t>(s.plan.history),
      [this, id = s.id, replay](std::vector<router::KeptMessage> messages) {
        OnStrand([this, id, replay, messages = std::move(messages)]() mutable {
          OnGathered(id, replay, std::move(messages));
        });
      });
}

bool ControllerImpl::ReplayGoesOn(DeploymentId id, const std::shared_ptr<Replaying>& replay) {
  const Run* run = FindRun(id);
  return run != nullptr && run->replaying == replay && !stopped_;
}

void ControllerImpl::OnGathered(DeploymentId id, const std::shared_ptr<Replaying>& replay,
                                std::vector<router::KeptMessage> messages) {
  if (!ReplayGoesOn(id, replay)) return;
  replay->shown->Gathered(messages.size());
  if (messages.empty()) return DecideReplay(id, replay, VerdictOf(*replay));
  replay->messages = std::move(messages);
  StartReplayWorkers(id, replay, &replay->stable, false);
  StartReplayWorkers(id, replay, &replay->candidate, true);
  ShowReplay(id, replay);
}

// To those who watch, about once a second.
void ControllerImpl::ShowReplay(DeploymentId id, const std::shared_ptr<Replaying>& replay) {
  if (!ReplayGoesOn(id, replay)) return;
  Notify(*FindRun(id), false);
  d_.executor->PostAfter(kTickNs, [this, id, replay] { ShowReplay(id, replay); });
}

void ControllerImpl::StartReplayWorkers(DeploymentId id, const std::shared_ptr<Replaying>& replay,
                                        Replaying::Side* side, bool candidate) {
  auto copy = std::make_shared<Revision>(*side->of);
  copy->ref = ReplayRef(id, side->of->ref, candidate);
  copy->version = "replay";  // what operators see its workers as
  GetWorkers(
      *copy, kReplayWarmUpNs, true,
      [this, id, replay, side,
       copy](absl::StatusOr<std::shared_ptr<supervisor::RevisionWorkers>> workers) {
        if (stopped_) return;
        if (!ReplayGoesOn(id, replay)) return d_.supervisor->Stop(copy->ref, [] {});
        if (!workers.ok()) {
          return DecideReplay(
              id, replay,
              {VerdictKind::kFailed,
               StrCat("history: the messages could not be replayed, workers of ", side->of->Name(),
                      " for it did not start: ", StdView(workers.status().message()),
                      ". To fix: deploy it again, or without history")});
        }
        side->running = {copy, *std::move(workers), std::make_shared<router::RevisionLoad>()};
        if (replay->stable.running && replay->candidate.running) RunReplay(id, replay);
      });
}

void ControllerImpl::RunReplay(DeploymentId id, const std::shared_ptr<Replaying>& replay) {
  router::ReplayOrder order;
  order.deployment = id;
  order.stable = replay->stable.running;
  order.candidate = replay->candidate.running;
  order.messages = std::move(replay->messages);
  order.limit_ns = kReplayLimitNs;
  order.compared = [shown = replay->shown](const MirroredStep& step) { shown->Observe(step); };
  order.done = [this, id, replay](router::ReplayEnd end) {
    replay->shown->End(end.lost, end.unrun);
    OnStrand([this, id, replay] { DecideReplay(id, replay, VerdictOf(*replay)); });
  };
  d_.router->Replay(std::move(order));
}

Verdict ControllerImpl::VerdictOf(const Replaying& replay) {
  return replay.shown->VerdictOf(replay.stable.of->Name(), replay.candidate.of->Name());
}

void ControllerImpl::DecideReplay(DeploymentId id, const std::shared_ptr<Replaying>& replay,
                                  Verdict verdict) {
  if (!ReplayGoesOn(id, replay)) return;
  Run* run = FindRun(id);
  run->history = replay->shown->Report();
  journal::CommitOp op;
  op.rows.Put(journal::Table::kComparisons, journal::HistoryKey(id), replay->shown->Bytes());
  d_.journal->committer().Submit(std::move(op));
  StopReplay(run);
  Step(id, deployment::HistoryReplayed{std::move(verdict)}, nullptr);
}

void ControllerImpl::StopReplay(Run* run) {
  const std::shared_ptr<Replaying> replay = std::exchange(run->replaying, nullptr);
  if (replay == nullptr || replay->stable.of == nullptr) return;
  d_.router->StopReplay(run->status.id);
  for (const bool candidate : {false, true}) {
    const RevisionRef ref = ReplayRef(run->status.id, run->status.candidate, candidate);
    d_.validator->Cancel(ref);
    d_.supervisor->Stop(ref, [] {});
  }
}

// Of one that was decided under an earlier server.
void ControllerImpl::ReadHistoryReport(Run* run) {
  const deployment::DeploymentStatus& s = run->status;
  if (s.plan.history == 0) return;
  absl::StatusOr<std::optional<std::string>> kept = d_.journal->GetHistory(s.id);
  if (!kept.ok() || !kept->has_value()) return;
  auto replay = analysis::HistoryReplay::Decode(s.plan, **kept);
  if (replay.ok()) run->history = replay->Report();
}

absl::StatusOr<Explanation> ControllerImpl::ExplainHistory(const Run& run) {
  const deployment::DeploymentStatus& s = run.status;
  ASSIGN_OR_RETURN(const std::optional<std::string> kept, d_.journal->GetHistory(s.id));
  analysis::HistoryReplay replay(s.plan);
  if (kept.has_value()) {
    ASSIGN_OR_RETURN(replay, analysis::HistoryReplay::Decode(s.plan, *kept));
  }
  Explanation explanation{.view = ViewOf(run)};
  explanation.evidence = replay.Report().comparison.compared;
  explanation.recomputed = replay.VerdictOf(StrCat(s.agent, "@", s.stable.number.value()),
                                            StrCat(s.agent, "@", s.candidate.number.value()));
  explanation.matches = deployment::SaysTheSame(s.history, explanation.recomputed);
  return explanation;
}

}  // namespace caxton::controller
