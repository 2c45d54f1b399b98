// SPDX-License-Identifier: Apache-2.0
//
// Observer: what the router and the controller tell of steps, logs and transitions, turned into
// metrics, log lines and evidence for the judge. Thread rule: any thread. Connect() before the
// first step.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "agent_log_book.h"
#include "caxton/base/clock.h"
#include "caxton/base/mutex.h"
#include "caxton/controller/controller.h"
#include "caxton/router/router.h"
#include "caxton/telemetry/log.h"
#include "caxton/telemetry/metrics.h"
#include "commit_times.h"

namespace caxton::server {

class Observer final : public router::RouterObserver, public journal::CommitObserver {
 public:
  Observer(const Clock* clock, telemetry::Logger* log, telemetry::Metrics* metrics,
           AgentLogBook* logs);
  void Connect(router::Router* router, journal::Journal* journal,
               controller::Controller* controller);

  void OnStep(const router::StepEvent& step) override;
  void OnObservation(const Observation& observation) override;
  void OnLog(RevisionRef revision, const std::vector<LogLine>& lines) override;
  void OnDeadLetter(AgentId agent, const std::string& cause) override;
  void OnMirrored(const MirroredStep& step) override;
  void OnMirrorFate(DeploymentId deployment, MirrorFate fate, int64_t count) override;
  void OnCompared(const controller::DeploymentView& view);
  void OnSync(int64_t duration_ns) override;
  void OnTransition(const controller::DeploymentView& view, std::string_view event);
  api::CommitTimes commit_times() const { return commits_.Times(); }

 private:
  struct Series {
    std::string agent, version, name;
    telemetry::Histogram duration;
  };
  // What the last scrape saw of an agent: counters are told as differences.
  struct Scraped {
    journal::CounterRow counters;
    int64_t refused = 0;
  };
  std::shared_ptr<const Series> SeriesOf(RevisionRef revision);
  void CountTransition(const deployment::DeploymentStatus& status, std::string_view event);
  void Scrape();
  void ScrapeAgent(AgentId id, const router::AgentRoute& route)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ScrapeDeployments();

  const Clock* clock_;
  telemetry::Logger* log_;
  telemetry::Metrics* metrics_;
  AgentLogBook* logs_;
  router::Router* router_ = nullptr;
  journal::Journal* journal_ = nullptr;
  controller::Controller* controller_ = nullptr;
  Mutex mutex_;
  absl::flat_hash_map<RevisionRef, std::shared_ptr<const Series>> series_ ABSL_GUARDED_BY(mutex_);
  // The last shadow whose counts were added, per agent.
  struct Compared {
    DeploymentId deployment;
    int64_t equal = 0, noisy = 0, differing = 0, dropped = 0, lost = 0;
  };
  absl::flat_hash_map<AgentId, Compared> compared_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<AgentId, Scraped> scraped_ ABSL_GUARDED_BY(mutex_);
  std::set<telemetry::Labels> active_ ABSL_GUARDED_BY(mutex_);       // versions with traffic
  std::set<telemetry::Labels> deployments_ ABSL_GUARDED_BY(mutex_);  // series made so far
  // The state last seen of each deployment: what is counted is the change.
  absl::flat_hash_map<DeploymentId, deployment::DeploymentState> told_ ABSL_GUARDED_BY(mutex_);
  telemetry::Histogram commit_duration_;
  CommitWindow commits_;
};

}  // namespace caxton::server
