// SPDX-License-Identifier: Apache-2.0
//
// Views for others, and watchers.
#include <algorithm>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"
#include "caxton/model/limits.h"
#include "controller_impl.h"

namespace caxton::controller {

using deployment::DeploymentName;

DeploymentView ControllerImpl::ViewOf(const Run& run) {
  DeploymentView view;
  view.status = run.status;
  if (AgentEntry* agent = book_.Find(run.status.candidate.agent); agent != nullptr) {
    view.candidate = agent->Find(run.status.candidate.number);
    view.stable = agent->Find(run.status.stable.number);
    if (run.status.queued && agent->active != run.status.id) view.queued_behind = agent->active;
    view.place_in_queue = places_.PlaceInQueue(PlaceOf(run.status));
  }
  view.numbers = run.judge ? std::optional(run.judge->Numbers()) : run.last_numbers;
  view.shadow = run.comparison ? run.comparison->Report() : run.shadow_report;
  view.history = run.replaying ? std::optional(run.replaying->shown->Report()) : run.history;
  view.validation = run.validation;
  view.elapsed_ns = ElapsedNs(run);
  if (run.clock_runs) {
    deployment::DeploymentStatus now = run.status;
    (now.state == deployment::DeploymentState::kRunning ? now.cleanup_elapsed_ns
                                                        : now.stage_elapsed_ns) = view.elapsed_ns;
    view.remaining_ns = now.RemainingNs();
  }
  view.interrupted = run.interrupted;
  view.redelivered = run.redelivered;
  return view;
}

std::string EtagOf(const deployment::DeploymentStatus& status) {
  return StrCat(status.id.value(), "-", status.generation);
}

// What it runs, what it is to run, and what is made of it: a new revision, also one that waits, is
// a change.
std::string ControllerImpl::EtagOf(const AgentEntry& agent) {
  DeploymentId newest = agent.active;
  if (!newest.valid() && !agent.history.empty()) newest = agent.history.back();
  const Run* run = FindRun(newest);
  return StrCat(agent.record.id.value(), "-", agent.record.next_revision, "-",
                agent.route.stable.value(), "-", agent.route.candidate.value(), "-",
                agent.route.weight_ppm, "-", run == nullptr ? 0 : run->status.generation);
}

absl::Status ControllerImpl::EtagMismatch(std::string_view what) {
  return WithFix(
      WithReason(absl::AbortedError(StrCat(what, " has changed since the etag was read")),
                 "ETAG_MISMATCH"),
      "read it again, decide again, and send its new etag");
}

absl::Status ControllerImpl::CheckEtag(const Run& run, const std::string& etag) {
  if (etag.empty() || etag == controller::EtagOf(run.status)) return absl::OkStatus();
  return EtagMismatch(DeploymentName(run.status.id));
}

absl::Status ControllerImpl::CheckEtag(const AgentEntry& agent, const std::string& etag) {
  if (etag.empty() || etag == EtagOf(agent)) return absl::OkStatus();
  return EtagMismatch(agent.record.name);
}

AgentView ControllerImpl::ViewOf(const AgentEntry& agent) {
  AgentView view;
  view.record = agent.record;
  view.stable = agent.Find(agent.route.stable);
  view.candidate = agent.Find(agent.route.candidate);
  view.weight_ppm = agent.route.weight_ppm;
  DeploymentId newest = agent.active;
  if (!newest.valid() && !agent.history.empty()) newest = agent.history.back();
  if (auto it = runs_.find(newest); it != runs_.end()) view.deployment = it->second->status;
  view.etag = EtagOf(agent);
  auto workers = [&agent](RevisionNumber number) -> std::optional<supervisor::WorkersStatus> {
    auto it = agent.running.find(number);
    if (it == agent.running.end()) return std::nullopt;
    return it->second.workers->status();
  };
  view.stable_workers = workers(agent.route.stable);
  view.candidate_workers = workers(agent.route.candidate);
  view.counters = d_.journal->Counters(agent.record.id);
  view.refused = agent.load->refused.load();
  auto error_rate = [this, &agent](RevisionNumber number) {
    auto it = agent.running.find(number);
    return it == agent.running.end() ? 0.0
                                     : it->second.load->recent.ErrorRate(d_.clock->MonoNanos());
  };
  view.error_rate = error_rate(agent.route.stable);
  view.candidate_error_rate = error_rate(agent.route.candidate);
  return view;
}

// While a record is on its way to the disk and its effects are not begun, the state is not yet
// true: who reads RUNNING may send messages. A view waits for that, though never for long.
void ControllerImpl::GetDeployment(std::string target, Done<DeploymentView> done) {
  OnStrand([this, target = std::move(target), done = std::move(done)]() mutable {
    ShowSettled(std::move(target), kMaxReadPolls,
                [this, done = std::move(done)](absl::StatusOr<DeploymentView> view) mutable {
                  if (!view.ok()) return done(std::move(view));
                  ShowWithNumbers(*std::move(view), std::move(done));
                });
  });
}

void ControllerImpl::ShowSettled(std::string target, int polls, Done<DeploymentView> done) {
  absl::StatusOr<Run*> run = FindTarget(target);
  if (!run.ok()) return done(run.status());
  if (!(*run)->busy || polls == 0 || stopped_) return done(ViewOf(**run));
  d_.executor->PostAfter(
      kBusyPollNs, [this, target = std::move(target), polls, done = std::move(done)]() mutable {
        ShowSettled(std::move(target), polls - 1, std::move(done));
      });
}

void ControllerImpl::ListDeployments(std::string name, Done<std::vector<DeploymentView>> done) {
  OnStrand([this, name = std::move(name), done = std::move(done)]() mutable {
    if (!name.empty() && book_.Find(std::string_view(name)) == nullptr)
      return done(NoSuchAgent(name));
    std::vector<DeploymentView> views;
    for (auto it = runs_.rbegin(); it != runs_.rend(); ++it) {
      if (name.empty() || it->second->status.agent == name) views.push_back(ViewOf(*it->second));
    }
    done(std::move(views));
  });
}

void ControllerImpl::GetAgent(std::string name, Done<AgentView> done) {
  d_.router->OldestWaiting(
      [this, name = std::move(name), done = std::move(done)](router::WaitingAges ages) mutable {
        OnStrand([this, name = std::move(name), done = std::move(done),
                  ages = std::move(ages)]() mutable {
          AgentEntry* agent = book_.Find(std::string_view(name));
          if (agent == nullptr) return done(NoSuchAgent(name));
          AgentView view = ViewOf(*agent);
          view.oldest_waiting_ns = ages[agent->record.id];
          done(std::move(view));
        });
      });
}

void ControllerImpl::ListAgents(Done<std::vector<AgentView>> done) {
  d_.router->OldestWaiting([this, done = std::move(done)](router::WaitingAges ages) mutable {
    OnStrand([this, done = std::move(done), ages = std::move(ages)]() mutable {
      std::vector<AgentView> views;
      for (AgentEntry* agent : book_.All()) {
        views.push_back(ViewOf(*agent));
        views.back().oldest_waiting_ns = ages[agent->record.id];
      }
      done(std::move(views));
    });
  });
}

void ControllerImpl::History(std::string name, Done<std::vector<HistoryEntry>> done) {
  OnStrand([this, name = std::move(name), done = std::move(done)]() mutable {
    AgentEntry* agent = book_.Find(std::string_view(name));
    if (agent == nullptr) return done(NoSuchAgent(name));
    std::vector<HistoryEntry> entries;
    for (auto it = agent->revisions.rbegin(); it != agent->revisions.rend(); ++it) {
      HistoryEntry entry{.revision = *it->second};
      if (Run* run = FindRun(it->second->deployment); run != nullptr)
        entry.deployment = run->status;
      entry.withdrawn = IsWithdrawn(*agent, *it->second);
      entry.restorable = Restorable(*agent, it->first);
      const uint32_t candidate_ppm = agent->route.candidate.valid() ? agent->route.weight_ppm : 0;
      if (it->first == agent->route.candidate) entry.weight_ppm = candidate_ppm;
      if (it->first == agent->route.stable) entry.weight_ppm = kFullWeightPpm - candidate_ppm;
      entries.push_back(std::move(entry));
    }
    done(std::move(entries));
  });
}

void ControllerImpl::Watch(std::string target, Watcher changed, WatchEnded ended,
                           Done<uint64_t> done) {
  OnStrand([this, target = std::move(target), changed = std::move(changed),
            ended = std::move(ended), done = std::move(done)]() mutable {
    // Its first view too is one whose record is on the disk.
    ShowSettled(target, kMaxReadPolls,
                [this, changed = std::move(changed), ended = std::move(ended),
                 done = std::move(done)](absl::StatusOr<DeploymentView> view) mutable {
                  if (!view.ok()) return done(view.status());
                  BeginWatch(*view, std::move(changed), std::move(ended), std::move(done));
                });
  });
}

void ControllerImpl::BeginWatch(const DeploymentView& view, Watcher changed, WatchEnded ended,
                                Done<uint64_t> done) {
  if (watching_.size() >= kMaxWatchers) {
    return done(WithReason(absl::ResourceExhaustedError("too many callers watch deployments"),
                           "TOO_MANY_WATCHERS"));
  }
  const uint64_t id = next_watch_++;
  done(id);
  changed(view, true);
  watching_[id] = Watching{view.status.id, std::move(changed), std::move(ended)};
}

void ControllerImpl::Unwatch(uint64_t id) {
  OnStrand([this, id] { watching_.erase(id); });
}

void ControllerImpl::EndWatches(DeploymentId id, const absl::Status& why) {
  std::vector<WatchEnded> ended;
  for (auto it = watching_.begin(); it != watching_.end();) {
    if (it->second.deployment != id) {
      ++it;
      continue;
    }
    ended.push_back(std::move(it->second.ended));
    it = watching_.erase(it);
  }
  for (WatchEnded& tell : ended) tell(why);
}

void ControllerImpl::Notify(const Run& run, bool transition) {
  std::vector<Watcher> watchers;
  for (const auto& [id, watching] : watching_) {
    if (watching.deployment == run.status.id) watchers.push_back(watching.changed);
  }
  if (watchers.empty()) return;
  const DeploymentView view = ViewOf(run);
  for (const Watcher& watcher : watchers) watcher(view, transition);
}

}  // namespace caxton::controller
