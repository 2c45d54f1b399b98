// SPDX-License-Identifier: Apache-2.0
#include "caxton/telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>
#include <utility>

#include "caxton/telemetry/limits.h"

namespace caxton::telemetry {
namespace {

// One metric: its family and the series given out so far, so that their number is bounded.
template <typename Metric>
class FamilyOf {
 public:
  explicit FamilyOf(prometheus::Family<Metric>* family) : family_(family) {}

  template <typename... Args>
  Metric* Get(const Labels& labels, const Args&... args) {
    Labels key = labels;
    if (!series_.contains(key) && series_.size() >= kMaxSeriesPerMetric) {
      for (auto& [name, value] : key) value = "other";
    }
    auto [it, made] = series_.try_emplace(key, nullptr);
    if (made) it->second = &family_->Add(key, args...);
    return it->second;
  }
  void Drop(const Labels& labels) {
    auto it = series_.find(labels);
    if (it == series_.end()) return;
    family_->Remove(it->second);
    series_.erase(it);
  }

 private:
  prometheus::Family<Metric>* family_;
  std::map<Labels, Metric*> series_;
};

// The family called `name` in `families`, built on first use.
template <typename Metric, typename Build>
FamilyOf<Metric>& FamilyNamed(std::map<std::string, FamilyOf<Metric>>& families,
                              const MetricName& name, prometheus::Registry& registry,
                              const Build& build) {
  auto it = families.find(name.name);
  if (it == families.end()) {
    auto& family = build().Name(name.name).Help(name.help).Register(registry);
    it = families.emplace(name.name, FamilyOf<Metric>(&family)).first;
  }
  return it->second;
}

}  // namespace

void Counter::Add(double amount) {
  if (impl_ != nullptr) impl_->Increment(amount);
}
void Gauge::Set(double value) {
  if (impl_ != nullptr) impl_->Set(value);
}
void Gauge::Add(double amount) {
  if (impl_ != nullptr) impl_->Increment(amount);
}
void Histogram::Observe(double value) {
  if (impl_ != nullptr) impl_->Observe(value);
}

const std::vector<double>& LatencyBuckets() {
  static const std::vector<double> buckets = {
      0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05,
      0.075,   0.1,    0.15,    0.2,    0.25,  0.5,    1,     2.5,  5,    10};
  return buckets;
}

const std::vector<double>& DurationBuckets() {
  static const std::vector<double> buckets = {0.01, 0.05, 0.1, 0.5, 1,   2.5,  5,    10,
                                              30,   60,   120, 300, 600, 1200, 1800, 3600};
  return buckets;
}

struct PrometheusMetrics::State {
  prometheus::Registry registry;
  mutable std::mutex mutex;
  std::map<std::string, FamilyOf<prometheus::Counter>> counters;  // guarded by mutex, as the rest
  std::map<std::string, FamilyOf<prometheus::Gauge>> gauges;
  std::map<std::string, FamilyOf<prometheus::Histogram>> histograms;
  std::vector<std::function<void()>> on_scrape;
};

PrometheusMetrics::PrometheusMetrics() : state_(std::make_unique<State>()) {}
PrometheusMetrics::~PrometheusMetrics() = default;

Counter PrometheusMetrics::GetCounter(const MetricName& name, const Labels& labels) {
  std::lock_guard lock(state_->mutex);
  auto& family = FamilyNamed(state_->counters, name, state_->registry,
                             [] { return prometheus::BuildCounter(); });
  return Counter(family.Get(labels));
}

Gauge PrometheusMetrics::GetGauge(const MetricName& name, const Labels& labels) {
  std::lock_guard lock(state_->mutex);
  auto& family =
      FamilyNamed(state_->gauges, name, state_->registry, [] { return prometheus::BuildGauge(); });
  return Gauge(family.Get(labels));
}

Histogram PrometheusMetrics::GetHistogram(const MetricName& name, const Labels& labels,
                                          const std::vector<double>& buckets) {
  std::lock_guard lock(state_->mutex);
  auto& family = FamilyNamed(state_->histograms, name, state_->registry,
                             [] { return prometheus::BuildHistogram(); });
  return Histogram(family.Get(labels, buckets));
}

void PrometheusMetrics::DropGauge(const MetricName& name, const Labels& labels) {
  std::lock_guard lock(state_->mutex);
  auto it = state_->gauges.find(name.name);
  if (it != state_->gauges.end()) it->second.Drop(labels);
}

void PrometheusMetrics::OnScrape(std::function<void()> callback) {
  std::lock_guard lock(state_->mutex);
  state_->on_scrape.push_back(std::move(callback));
}

std::string PrometheusMetrics::RenderText() const {
  std::vector<std::function<void()>> callbacks;
  {
    std::lock_guard lock(state_->mutex);
    callbacks = state_->on_scrape;
  }
  for (const auto& callback : callbacks) callback();
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace caxton::telemetry
