// SPDX-License-Identifier: Apache-2.0
//
// Metrics: counters, gauges and histograms with labels, in Prometheus' text form. The base class is
// the no-op default; PrometheusMetrics keeps real ones. A handle (Counter, Gauge, Histogram) is a
// small value: get it once, keep it beside what it measures, use it on the hot path (one atomic
// operation). A default-made handle does nothing.
//
// Lifecycle: the Metrics object outlives every handle it gave out.
// Thread rule: any thread. OnScrape callbacks run on the thread that calls RenderText and must not
// block for longer than a scrape may take. How to use:
//   Counter accepted = metrics->GetCounter(names::kMessagesAccepted, {{"agent", "greeter"},
//   {"version", "7"}}); accepted.Add();
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace caxton::telemetry {

using Labels = std::map<std::string, std::string>;

// What a metric is called; metric_names.h has Caxton's.
struct MetricName {
  const char* name = "";
  const char* help = "";
};

class Counter {
 public:
  Counter() = default;
  explicit Counter(prometheus::Counter* impl) : impl_(impl) {}
  void Add(double amount = 1);  // amount >= 0

 private:
  prometheus::Counter* impl_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  explicit Gauge(prometheus::Gauge* impl) : impl_(impl) {}
  void Set(double value);
  void Add(double amount);

 private:
  prometheus::Gauge* impl_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  explicit Histogram(prometheus::Histogram* impl) : impl_(impl) {}
  void Observe(double value);

 private:
  prometheus::Histogram* impl_ = nullptr;
};

// Upper bounds in seconds: 50 us to 10 s, fine enough that a p99 is not made up inside one bucket.
const std::vector<double>& LatencyBuckets();
// Upper bounds in seconds for deployments and their stages: 10 ms to an hour.
const std::vector<double>& DurationBuckets();

class Metrics {
 public:
  virtual ~Metrics() = default;
  // The same name and labels again: the same series. A name has one kind and one set of label
  // names.
  virtual Counter GetCounter(const MetricName&, const Labels& = {}) { return Counter(); }
  virtual Gauge GetGauge(const MetricName&, const Labels& = {}) { return Gauge(); }
  virtual Histogram GetHistogram(const MetricName&, const Labels&, const std::vector<double>&) {
    return Histogram();
  }
  // Takes a gauge's series away (an agent that is gone); handles to it must not be used any more.
  virtual void DropGauge(const MetricName&, const Labels&) {}
  // Runs before each RenderText, for values that are read rather than counted. Lives as long as the
  // metrics.
  virtual void OnScrape(std::function<void()>) {}
  virtual std::string RenderText() const { return {}; }
};

class PrometheusMetrics final : public Metrics {
 public:
  PrometheusMetrics();
  ~PrometheusMetrics() override;
  Counter GetCounter(const MetricName& name, const Labels& labels) override;
  Gauge GetGauge(const MetricName& name, const Labels& labels) override;
  Histogram GetHistogram(const MetricName& name, const Labels& labels,
                         const std::vector<double>& buckets) override;
  void DropGauge(const MetricName& name, const Labels& labels) override;
  void OnScrape(std::function<void()> callback) override;
  std::string RenderText() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace caxton::telemetry
