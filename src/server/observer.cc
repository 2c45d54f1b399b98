// SPDX-License-Identifier: Apache-2.0
#include "observer.h"

#include "caxton/base/strings.h"
#include "caxton/model/units.h"
#include "caxton/telemetry/metric_names.h"

namespace caxton::server {

namespace names = telemetry::names;

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
      if (*r && r->revision->ref == ref && !r->revision->version.empty())
        made->version = r->revision->version;
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
  const std::string strategy(StrategyName(s.plan.strategy));
  const bool running = s.state == deployment::DeploymentState::kRunning && event != "Superseded" &&
                       s.cleanup_elapsed_ns == 0 && !s.finalized;
  if (s.final() || running) {
    metrics_
        ->GetHistogram(names::kDeploymentDuration,
                       {{"strategy", strategy},
                        {"status", std::string(deployment::DeploymentStateName(s.state))}},
                       telemetry::DurationBuckets())
        .Observe(static_cast<double>(s.updated_ns - s.created_ns) / 1e9);
  }
  if (s.state == deployment::DeploymentState::kRolledBack) {
    metrics_
        ->GetCounter(names::kRollbacks,
                     {{"reason", std::string(deployment::EndCauseName(s.cause))}})
        .Add();
  }
}

void Observer::Scrape() {
  auto routes = router_->Routes();
  MutexLock lock(&mutex_);
  for (const auto& [id, route] : routes->all()) {
    const journal::CounterRow now = journal_->Counters(id);
    journal::CounterRow& before = scraped_[id];
    const Revision* serving = route->stable ? route->stable.revision.get() : nullptr;
    const telemetry::Labels labels = {
        {"agent", route->name},
        {"version", !serving                   ? ""
                    : serving->version.empty() ? StrCat(serving->ref.number.value())
                                               : serving->version}};
    auto add = [&](const telemetry::MetricName& name, uint64_t a, uint64_t b) {
      if (b > a) metrics_->GetCounter(name, labels).Add(static_cast<double>(b - a));
    };
    add(names::kMessagesAccepted, before.accepted, now.accepted);
    add(names::kMessagesCompleted, before.completed, now.completed);
    add(names::kMessagesDeadLettered, before.dead, now.dead);
    if (now.retries > before.retries) {
      metrics_->GetCounter(names::kStepRetries)
          .Add(static_cast<double>(now.retries - before.retries));
    }
    before = now;
    metrics_->GetGauge(names::kQueueSize, {{"agent", route->name}})
        .Set(static_cast<double>(route->load->waiting_messages.load()));
    for (const router::RevisionRoute* r : {&route->stable, &route->candidate}) {
      if (!*r) continue;
      const supervisor::WorkersStatus status = r->workers->status();
      const telemetry::Labels of = {
          {"agent", route->name},
          {"version", r->revision->version.empty() ? StrCat(r->revision->ref.number.value())
                                                   : r->revision->version}};
      metrics_->GetGauge(names::kAgentMemory, of).Set(static_cast<double>(status.memory_bytes));
    }
  }
}

}  // namespace caxton::server
