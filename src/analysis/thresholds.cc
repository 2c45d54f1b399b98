// SPDX-License-Identifier: Apache-2.0
#include "thresholds.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "absl/strings/str_format.h"
#include "caxton/analysis/limits.h"
#include "caxton/base/strings.h"
#include "caxton/model/units.h"
#include "e_process.h"

namespace caxton::analysis {
namespace {

constexpr int64_t kMsPerSecond = 1000;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNanosPerMillicore = 1e6;  // a second
constexpr std::array<double, kQuantiles> kQuantile = {0.50, 0.95, 0.99};
constexpr std::array<double, kQuantiles> kSlowShare = {0.50, 0.05, 0.01};

// Puts the runs of one second of the deployment's clock together. What arrives late counts for the
// second that is open.
//
// Only an observation closes a second for good. The clock that passes its end shows what it would
// make of it, and may fire: so the same observations give the same evidence, however often and when
// the clock was looked at, and a verdict can be made again from the journal.
class OpenSecond {
 public:
  // True if `at_ms` is of a later second than the open one: take it and Clear() before Add().
  bool EndsBy(int64_t at_ms) const { return runs_ > 0 && SecondOf(at_ms) > second_; }
  bool EndsByClock(int64_t at_ms) const {
    return runs_ > 0 && (second_ + 1) * kMsPerSecond + kSecondGraceMs <= at_ms;
  }
  void Add(int64_t at_ms, int64_t amount) {
    if (runs_ == 0) second_ = SecondOf(at_ms);
    ++runs_;
    sum_ += amount;
  }
  // Since the second with traffic before it: 1 where that was the one before.
  int64_t seconds() const { return second_ - closed_; }
  void Clear() {
    closed_ = second_;
    runs_ = sum_ = 0;
  }
  int64_t runs() const { return runs_; }
  int64_t sum() const { return sum_; }

 private:
  int64_t SecondOf(int64_t at_ms) const { return std::max(at_ms / kMsPerSecond, closed_ + 1); }

  int64_t second_ = 0;
  int64_t closed_ = -1;
  int64_t runs_ = 0;
  int64_t sum_ = 0;
};

class ErrorRateTest final : public ConditionTest {
 public:
  explicit ErrorRateTest(double limit) : limit_(limit) {
    if (limit > 0 && limit < 1) process_.emplace(limit, ErrorAlternatives(limit));
  }
  void Observe(const Observation& o) override {
    const bool bad = o.verdict == RunVerdict::kBad;
    if (process_.has_value()) {
      process_->Add(bad ? 1 : 0);
    } else if (bad && limit_ <= 0) {
      touched_ = true;
    }
  }
  double E() const override {
    if (process_.has_value()) return process_->E();
    return touched_ ? kInfinity : 1;
  }
  double Estimate(const Counts& candidate) const override { return candidate.ErrorRate(); }
  bool Beyond(const Counts& candidate) const override { return candidate.ErrorRate() > limit_; }
  std::string Grounds(const Counts& candidate) const override {
    return StrCat(candidate.bad, " of ", candidate.runs, " first runs failed (",
                  PercentText(candidate.ErrorRate()));  // the judge adds the lower bound
  }

 private:
  double limit_;
  bool touched_ = false;
  std::optional<EProcess> process_;
};

class LatencyTest final : public ConditionTest {
 public:
  LatencyTest(size_t quantile, double limit)
      : quantile_(quantile),
        limit_ns_(std::llround(limit)),
        process_(kSlowShare[quantile], ShareAlternatives(kSlowShare[quantile])) {}

  void Observe(const Observation& o) override {
    if (second_.EndsBy(o.at_ms)) {
      process_ = WithSecond();
      second_.Clear();
    }
    second_.Add(o.at_ms, o.latency_ns > limit_ns_ ? 1 : 0);
    shown_.reset();
  }
  void Tick(int64_t at_ms) override {
    if (second_.EndsByClock(at_ms)) shown_ = WithSecond();
  }
  double E() const override { return shown().E(); }
  double Estimate(const Counts& candidate) const override {
    return static_cast<double>(candidate.latency.Quantile(kQuantile[quantile_]));
  }
  // Exact, unlike the histogram's quantile.
  bool Beyond(const Counts& candidate) const override {
    return static_cast<double>(candidate.slow[quantile_]) >
           kSlowShare[quantile_] * static_cast<double>(candidate.runs);
  }
  std::string Grounds(const Counts& candidate) const override {
    return StrCat("p", std::lround(kQuantile[quantile_] * 100), " is ",
                  MillisText(candidate.latency.Quantile(kQuantile[quantile_])), " over ",
                  candidate.runs, " first runs; more than ", PercentText(kSlowShare[quantile_]),
                  " were slower than the limit in ", shown().n(), " seconds with traffic (");
  }

 private:
  EProcess WithSecond() const {
    EProcess process = process_;
    process.Add(static_cast<double>(second_.sum()) / static_cast<double>(second_.runs()));
    return process;
  }
  const EProcess& shown() const { return shown_.has_value() ? *shown_ : process_; }

  size_t quantile_;
  int64_t limit_ns_;
  OpenSecond second_;
  EProcess process_;               // of the closed seconds
  std::optional<EProcess> shown_;  // with the open one, once the clock is past its end
};

struct CpuSeconds {
  double millis = 0, seconds = 0;
  EProcess process{1 / kCpuCut, ShareAlternatives(1 / kCpuCut)};
};

class CpuTest final : public ConditionTest {
 public:
  explicit CpuTest(double limit) : limit_(limit) {}

  void Observe(const Observation& o) override {
    if (second_.EndsBy(o.at_ms)) {
      closed_ = WithSecond();
      second_.Clear();
    }
    second_.Add(o.at_ms, o.run_ns);
    shown_.reset();
  }
  void Tick(int64_t at_ms) override {
    if (second_.EndsByClock(at_ms)) shown_ = WithSecond();
  }
  double E() const override { return shown().process.E(); }
  double Estimate(const Counts& candidate) const override { return candidate.CpuMillis(); }
  bool Beyond(const Counts& candidate) const override { return candidate.CpuMillis() > limit_; }
  std::string Grounds(const Counts& /*candidate*/) const override {
    return StrCat(FormatCpu(std::llround(shown().millis / shown().seconds)), " on average, over ",
                  shown().process.n(), " seconds with traffic (");
  }

 private:
  CpuSeconds WithSecond() const {
    CpuSeconds with = closed_;
    const auto seconds =
        static_cast<double>(std::clamp<int64_t>(second_.seconds(), 1, kCpuSpreadSeconds));
    const double taken = static_cast<double>(second_.sum()) / kNanosPerMillicore;
    with.millis += taken;
    with.seconds += seconds;
    with.process.Add(std::min(taken / seconds / limit_, kCpuCut) / kCpuCut);
    return with;
  }
  const CpuSeconds& shown() const { return shown_.has_value() ? *shown_ : closed_; }

  double limit_;
  OpenSecond second_;
  CpuSeconds closed_;
  std::optional<CpuSeconds> shown_;  // with the open one, once the clock is past its end
};

class MemoryTest final : public ConditionTest {
 public:
  explicit MemoryTest(double limit) : limit_(limit) {}

  void Observe(const Observation& o) override {
    if (static_cast<double>(o.memory_bytes) > limit_) touched_ = true;
  }
  double E() const override { return touched_ ? kInfinity : 1; }
  double Estimate(const Counts& candidate) const override {
    return static_cast<double>(candidate.memory_bytes);
  }
  bool Beyond(const Counts& candidate) const override { return Estimate(candidate) > limit_; }
  std::string Grounds(const Counts& candidate) const override {
    return StrCat("an instance had ", FormatSize(static_cast<int64_t>(candidate.memory_bytes)),
                  " after one of ", candidate.runs, " first runs (its memory does not shrink");
  }

 private:
  double limit_;
  bool touched_ = false;
};

}  // namespace

std::string PercentText(double share) { return absl::StrFormat("%.3g%%", share * 100); }
std::string MillisText(int64_t nanoseconds) {
  return absl::StrFormat("%.3gms", static_cast<double>(nanoseconds) / 1e6);
}

size_t QuantileOf(MetricKind metric) {
  if (metric == MetricKind::kP50Latency) return 0;
  if (metric == MetricKind::kP95Latency) return 1;
  return metric == MetricKind::kP99Latency ? 2 : kQuantiles;
}

std::unique_ptr<ConditionTest> MakeConditionTest(const Condition& condition) {
  switch (condition.metric) {
    case MetricKind::kErrorRate:
      return std::make_unique<ErrorRateTest>(condition.limit);
    case MetricKind::kP50Latency:
    case MetricKind::kP95Latency:
    case MetricKind::kP99Latency:
      return std::make_unique<LatencyTest>(QuantileOf(condition.metric), condition.limit);
    case MetricKind::kCpu:
      return std::make_unique<CpuTest>(condition.limit);
    case MetricKind::kMemory:
      return std::make_unique<MemoryTest>(condition.limit);
    case MetricKind::kErrorRatio:
    case MetricKind::kFuelRatio:
    case MetricKind::kDiffers:
      return nullptr;
  }
  return nullptr;
}

}  // namespace caxton::analysis
