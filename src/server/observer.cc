// SPDX-License-Identifier: Apache-2.0
#include "observer.h"

#include <map>
#include <utility>
#include <vector>

#include "caxton/base/notification.h"
#include "caxton/base/strings.h"
#include "caxton/model/limits.h"
#include "caxton/model/units.h"
#include "caxton/server/limits.h"
#include "caxton/telemetry/metric_names.h"

namespace caxton::server {

namespace names = telemetry::names;

namespace {

// The label of a revision: the version it was given, else its number.
std::string VersionOf(const Revision& revision) {
  return revision.version.empty() ? StrCat(revision.ref.number.value()) : revision.version;
}

}  // namespace

Observer::Observer(const Clock* clock, telemetry::Logger* log, telemetry::Metrics* metrics,
                   AgentLogBook* logs)
    : clock_(clock),
      log_(log),
      metrics_(metrics),
      logs_(logs),
      commit_duration_(
          metrics->GetHistogram(names::kCommitDuration, {}, telemetry::LatencyBuckets())),
      commits_(kCommitTimesKept) {}

void Observer::Connect(router::Router* router, journal::Journal* journal,
                       controller::Controller* controller) {
  router_ = router;
  journal_ = journal;
  controller_ = controller;
  metrics_->OnScrape([this] { Scrape(); });
}

std::shared_ptr<const Observer::Series> Observer::SeriesOf(RevisionRef ref) {
  MutexLock lock(&mutex_);
  std::shared_ptr<const Series>& series = series_[ref];
  if (series) return series;
  auto made = std::make_shared<Series>();
  auto route = router_->Routes()->Find(ref.agent);
  made->agent = route ? route->name : StrCat("agent-", ref.agent.value());
  made->version = StrCat(ref.number.value());
  if (route) {
    for (const router::RevisionRoute* r : {&route->stable, &route->candidate}) {
      if (*r && r->revision->ref == ref) made->version = VersionOf(*r->revision);
    }
  }
  made->name = StrCat(made->agent, "@", ref.number.value());
  const auto kept = std::const_pointer_cast<const Series>(made);
  made->duration = metrics_->GetHistogram(names::kProcessingDuration,
                                          {{"agent", made->agent}, {"version", made->version}},
                                          telemetry::LatencyBuckets());
  series = kept;
  return series;
}

void Observer::OnStep(const router::StepEvent& step) {
  telemetry::Histogram duration = SeriesOf(step.revision)->duration;
  duration.Observe(static_cast<double>(step.latency_ns) / 1e9);
}

void Observer::OnObservation(const Observation& observation) { controller_->Observe(observation); }

void Observer::OnLog(RevisionRef revision, const std::vector<LogLine>& lines) {
  const auto series = SeriesOf(revision);
  logs_->Add(series->agent, series->name, clock_->WallNanos(), lines);
}

void Observer::OnDeadLetter(AgentId agent, const std::string& cause) {
  auto route = router_->Routes()->Find(agent);
  log_->Warn("message became a dead letter",
             {{"agent", route ? route->name : StrCat("agent-", agent.value())}, {"cause", cause}});
}

void Observer::OnMirrored(const MirroredStep& step) { controller_->OnMirrored(step); }

void Observer::OnMirrorFate(DeploymentId deployment, MirrorFate fate, int64_t count) {
  controller_->OnMirrorFate(deployment, fate, count);
}

void Observer::OnCompared(const controller::DeploymentView& view) {
  if (!view.shadow.has_value()) return;
  const analysis::ShadowReport& now = *view.shadow;
  MutexLock lock(&mutex_);
  Compared& before = compared_[view.status.candidate.agent];
  if (before.deployment != view.status.id) before = {.deployment = view.status.id};
  auto add = [&](std::string_view result, int64_t count, int64_t* counted) {
    if (count > *counted) {
      metrics_
          ->GetCounter(names::kShadowCompared,
                       {{"agent", view.status.agent}, {"result", std::string(result)}})
          .Add(static_cast<double>(count - *counted));
    }
    *counted = std::max(*counted, count);
  };
  add("equal", now.equal, &before.equal);
  add("noisy", now.noisy, &before.noisy);
  add("differs", now.differing, &before.differing);
  add("dropped", now.dropped, &before.dropped);
  add("lost", now.lost, &before.lost);
}

void Observer::OnTransition(const controller::DeploymentView& view, std::string_view event) {
  const deployment::DeploymentStatus& s = view.status;
  const std::string id = deployment::DeploymentName(s.id);
  const std::string stage = controller::StageName(s);
  log_->Info("deployment transition",
             {{"deployment_id", id},
              {"agent", s.agent},
              {"version", s.label},
              {"event", event},
              {"state", deployment::DeploymentStateName(s.state)},
              {"stage", stage},
              {"percentage", s.WeightPpm() / 10'000.0},
              {"error_rate", view.numbers ? view.numbers->candidate.error_rate : 0.0},
              {"p99_latency_ms",
               view.numbers ? static_cast<double>(view.numbers->candidate.p99_ns) / 1e6 : 0.0},
              {"verdict", s.verdict.text},
              {"error", s.error}});
  if (event == "ValidationPassed" && !s.let_through.empty()) {
    std::string what;
    for (const std::string& text : s.let_through) {
      StrAppend(&what, what.empty() ? "" : "; ", text);
    }
    log_->Warn("broken contracts let through", {{"deployment_id", id},
                                                {"agent", s.agent},
                                                {"version", s.label},
                                                {"allowed_by", s.allowed_by},
                                                {"let_through", what}});
  }
  CountTransition(s, event);
}

// Events may follow each other in one state, and a restart repeats what it finds: only a change of
// the state counts.
void Observer::CountTransition(const deployment::DeploymentStatus& s, std::string_view event) {
  using deployment::DeploymentState;
  {
    MutexLock lock(&mutex_);
    auto [told, first] = told_.try_emplace(s.id, s.state);
    if (!first && told->second == s.state) return;
    told->second = s.state;
  }
  if (event == "Recovered") return;
  // A deployment that ran and is superseded ended long after its work was done.
  const bool ended = s.state == DeploymentState::kRunning || s.state == DeploymentState::kFailed ||
                     s.state == DeploymentState::kRolledBack ||
                     (s.state == DeploymentState::kDraining && s.running_ns == 0);
  if (ended) {
    metrics_
        ->GetHistogram(names::kDeploymentDuration,
                       {{"strategy", std::string(StrategyName(s.plan.strategy))},
                        {"status", std::string(deployment::DeploymentStateName(s.state))}},
                       telemetry::DurationBuckets())
        .Observe(static_cast<double>(s.updated_ns - s.created_ns) / 1e9);
  }
  if (s.state == DeploymentState::kRolledBack) {
    metrics_
        ->GetCounter(names::kRollbacks,
                     {{"reason", std::string(deployment::EndCauseName(s.cause))}})
        .Add();
  }
}

void Observer::OnSync(int64_t duration_ns) {
  commit_duration_.Observe(static_cast<double>(duration_ns) / 1e9);
  commits_.Add(duration_ns);
}

void Observer::Scrape() {
  auto routes = router_->Routes();
  {
    MutexLock lock(&mutex_);
    std::set<telemetry::Labels> active;
    for (const auto& [id, route] : routes->all()) {
      ScrapeAgent(id, *route);
      const auto add = [&](const router::RevisionRoute& r, bool gets) {
        if (r && gets) active.insert({{"agent", route->name}, {"version", VersionOf(*r.revision)}});
      };
      // A candidate that waits in preview, or mirrors, gets none.
      add(route->stable, !route->candidate || route->weight_ppm < kFullWeightPpm);
      add(route->candidate, route->weight_ppm > 0);
    }
    for (const telemetry::Labels& labels : active) {
      metrics_->GetGauge(names::kVersionActive, labels).Set(1);
      active_.erase(labels);
    }
    for (const telemetry::Labels& gone : active_) metrics_->DropGauge(names::kVersionActive, gone);
    active_ = std::move(active);
  }
  ScrapeDeployments();
}

void Observer::ScrapeAgent(AgentId id, const router::AgentRoute& route) {
  const journal::CounterRow now = journal_->Counters(id);
  Scraped& before = scraped_[id];
  const telemetry::Labels labels = {
      {"agent", route.name}, {"version", route.stable ? VersionOf(*route.stable.revision) : ""}};
  auto add = [&](const telemetry::MetricName& name, uint64_t a, uint64_t b) {
    // Made at 0, so that the first one is seen to move.
    telemetry::Counter counter = metrics_->GetCounter(name, labels);
    if (b > a) counter.Add(static_cast<double>(b - a));
  };
  add(names::kMessagesAccepted, before.counters.accepted, now.accepted);
  add(names::kMessagesCompleted, before.counters.completed, now.completed);
  add(names::kMessagesDeadLettered, before.counters.dead, now.dead);
  const int64_t refused = route.load->refused.load();
  add(names::kMessagesRefused, static_cast<uint64_t>(before.refused),
      static_cast<uint64_t>(refused));
  if (now.retries > before.counters.retries) {
    metrics_->GetCounter(names::kStepRetries)
        .Add(static_cast<double>(now.retries - before.counters.retries));
  }
  before = {.counters = now, .refused = refused};
  metrics_->GetGauge(names::kQueueSize, {{"agent", route.name}})
      .Set(static_cast<double>(route.load->waiting_messages.load()));
}

void Observer::ScrapeDeployments() {
  struct Answer {
    Notification came;
    std::vector<controller::DeploymentView> views;
  };
  auto answer = std::make_shared<Answer>();
  controller_->ListDeployments(
      "", [answer](absl::StatusOr<std::vector<controller::DeploymentView>> views) {
        if (views.ok()) answer->views = *std::move(views);
        answer->came.Notify();
      });
  if (!answer->came.WaitFor(kScrapeWaitNs)) return;
  std::map<telemetry::Labels, int> counts;
  int queued = 0;
  for (const controller::DeploymentView& view : answer->views) {
    const deployment::DeploymentStatus& s = view.status;
    if (s.final()) continue;
    ++counts[{{"strategy", std::string(StrategyName(s.plan.strategy))},
              {"state", std::string(deployment::DeploymentStateName(s.state))}}];
    if (s.queued) ++queued;
  }
  MutexLock lock(&mutex_);
  for (const auto& [labels, count] : counts) deployments_.insert(labels);
  for (const telemetry::Labels& labels : deployments_)
    metrics_->GetGauge(names::kDeploymentsActive, labels).Set(counts[labels]);
  metrics_->GetGauge(names::kDeploymentQueue).Set(queued);
}

}  // namespace caxton::server
