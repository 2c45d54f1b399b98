// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

#include "caxton/base/clock.h"
#include "caxton/telemetry/limits.h"
#include "caxton/telemetry/log.h"
#include "caxton/telemetry/metric_names.h"

namespace caxton::telemetry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class FixedClock final : public Clock {
 public:
  int64_t WallNanos() const override { return 1'700'000'000'123'456'789; }
  int64_t MonoNanos() const override { return 0; }
};

TEST(LogTest, LineIsOneJsonObjectWithItsFields) {
  const std::string name = "gre\"eter\n";
  const LogField fields[] = {
      {"agent", name}, {"percentage", 5}, {"error_rate", 0.25}, {"ok", true}, {"nan", 0.0 / 0.0}};
  const std::string line =
      FormatLogLine(FixedClock().WallNanos(), LogLevel::kWarn, "a\xff b", fields);
  EXPECT_EQ(line.back(), '\n');
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["timestamp"], "2023-11-14T22:13:20.123456Z");
  EXPECT_EQ(json["level"], "warn");
  EXPECT_EQ(json["message"], "a\xef\xbf\xbd b");
  EXPECT_EQ(json["agent"], name);
  EXPECT_EQ(json["percentage"], 5);
  EXPECT_EQ(json["error_rate"], 0.25);
  EXPECT_EQ(json["ok"], true);
  EXPECT_TRUE(json["nan"].is_null());
}

TEST(LogTest, AnyBytesMakeValidJson) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8"})
    all += bad;
  std::string out;
  AppendJsonString(all, &out);
  EXPECT_FALSE(nlohmann::json::parse(out, nullptr, false).is_discarded());
}

TEST(LogTest, LongTextIsCut) {
  const std::string line =
      FormatLogLine(0, LogLevel::kInfo, std::string(kMaxLogMessageBytes + 1, 'x'), {});
  EXPECT_EQ(nlohmann::json::parse(line)["message"].get<std::string>().size(),
            kMaxLogMessageBytes + 3);
}

TEST(LogTest, FilteredByLevelAndWrittenWhenDestroyed) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  FixedClock clock;
  {
    JsonLogger log({.level = LogLevel::kInfo, .fd = pipe_fds[1]}, clock);
    log.Debug("not this");
    log.Info("this", {{"n", 1}});
  }
  close(pipe_fds[1]);
  char buffer[4096];
  const ssize_t n = read(pipe_fds[0], buffer, sizeof buffer);
  close(pipe_fds[0]);
  const std::string text(buffer, static_cast<size_t>(std::max<ssize_t>(n, 0)));
  EXPECT_THAT(text, HasSubstr("\"message\":\"this\",\"n\":1"));
  EXPECT_THAT(text, Not(HasSubstr("not this")));
}

TEST(LogTest, FullPipeNeitherBlocksNorGrows) {
  int pipe_fds[2];
  ASSERT_EQ(pipe(pipe_fds), 0);
  FixedClock clock;
  const std::string text(1000, 'x');
  {
    JsonLogger log({.fd = pipe_fds[1]}, clock);
    for (int i = 0; i < 3000; ++i) log.Info(text);  // 3 MB, nobody reads
    EXPECT_GT(log.dropped(), 0u);
  }
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST(MetricsTest, RendersWhatWasCounted) {
  PrometheusMetrics metrics;
  Counter counter =
      metrics.GetCounter(names::kMessagesAccepted, {{"agent", "a"}, {"version", "1"}});
  counter.Add();
  metrics.GetCounter(names::kMessagesAccepted, {{"agent", "a"}, {"version", "1"}}).Add(2);
  Gauge gauge = metrics.GetGauge(names::kQueueSize, {{"agent", "a"}});
  metrics.OnScrape([gauge]() mutable { gauge.Set(7); });
  metrics.GetHistogram(names::kCommitDuration, {}, LatencyBuckets()).Observe(0.02);
  const std::string text = metrics.RenderText();
  EXPECT_THAT(text, HasSubstr("caxton_messages_accepted_total{agent=\"a\",version=\"1\"} 3"));
  EXPECT_THAT(text, HasSubstr("caxton_message_queue_size{agent=\"a\"} 7"));
  EXPECT_THAT(text, HasSubstr("caxton_journal_commit_duration_seconds_bucket{le=\"0.02\"} 1"));
  metrics.DropGauge(names::kQueueSize, {{"agent", "a"}});
}

TEST(MetricsTest, SeriesAreBounded) {
  PrometheusMetrics metrics;
  for (size_t i = 0; i < kMaxSeriesPerMetric + 10; ++i) {
    metrics.GetCounter(names::kRollbacks, {{"reason", std::to_string(i)}}).Add();
  }
  EXPECT_THAT(metrics.RenderText(),
              HasSubstr("caxton_deployment_rollback_total{reason=\"other\"} 10"));
}

TEST(MetricsTest, DefaultsDoNothing) {
  Metrics none;
  none.GetCounter(names::kRollbacks).Add();
  none.GetGauge(names::kQueueSize).Set(1);
  EXPECT_EQ(none.RenderText(), "");
  Logger silent;
  silent.Error("nobody hears");
}

}  // namespace
}  // namespace caxton::telemetry
