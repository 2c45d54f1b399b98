// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/units.h"

#include <gtest/gtest.h>

#include "caxton/base/status.h"
#include "caxton/model/limits.h"

namespace caxton {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kS = 1'000 * kMs;

std::string Error(const absl::Status& status) {
  return StrCat(status.message(), " / ", FixOf(status));
}

TEST(Units, Durations) {
  EXPECT_EQ(*ParseDurationNs("250ms"), 250 * kMs);
  EXPECT_EQ(*ParseDurationNs("1.5s"), 1500 * kMs);
  EXPECT_EQ(*ParseDurationNs("5m"), 300 * kS);
  EXPECT_EQ(*ParseDurationNs("1h30m"), 5400 * kS);
  EXPECT_EQ(*ParseDurationNs("1h0m2.5s"), 3602500 * kMs);
  EXPECT_EQ(*ParseDurationNs("0s"), 0);
  EXPECT_EQ(*ParseDurationNs("7ns"), 7);
  EXPECT_EQ(*ParseDurationNs("876000h"), kMaxDurationNs);
}

TEST(Units, DurationsThatAreRefused) {
  for (const char* text :
       {"", "5", "0", "-5s", "5 s", "s", "1.s", ".5s", "5s5s", "5s1m", "1.5h30m", "876001h",
        "99999999999999999999s", "1.5ns", "1e3s", "5s ", "+5s", "0.0000000001s"}) {
    EXPECT_FALSE(ParseDurationNs(text).ok()) << text;
  }
  EXPECT_EQ(Error(ParseDurationNs("5").status()),
            "'5' is a duration without a unit / write 5ms, 5s or 5m");
  EXPECT_EQ(Error(ParseDurationNs("5min").status()),
            "'5min' has the unit 'min': did you mean 5m? / write 5m");
  EXPECT_EQ(Error(ParseDurationNs("5M").status()),
            "'5M' has the unit 'M': did you mean 5m? / write 5m");
  EXPECT_EQ(Error(ParseDurationNs("2d").status()),
            "'2d' has days, which are not a unit here: did you mean 48h? / write 48h");
}

TEST(Units, Sizes) {
  EXPECT_EQ(*ParseSizeBytes("64Ki"), 64 << 10);
  EXPECT_EQ(*ParseSizeBytes("64Mi"), 64 << 20);
  EXPECT_EQ(*ParseSizeBytes("1Gi"), 1 << 30);
  EXPECT_EQ(*ParseSizeBytes("1.5Ki"), 1536);
  EXPECT_EQ(*ParseSizeBytes("65536"), 65536);
  EXPECT_EQ(*ParseSizeBytes("0"), 0);
}

TEST(Units, SizesThatAreRefused) {
  for (const char* text :
       {"", "Mi", "64 Mi", "-1", "1.5", "0.1Ki", "99999999Ti", "64Pi", "1Mi1Ki"}) {
    EXPECT_FALSE(ParseSizeBytes(text).ok()) << text;
  }
  for (const char* text : {"64m", "64M", "64MB", "64mb", "64mi", "64MiB"}) {
    EXPECT_NE(Error(ParseSizeBytes(text).status()).find("did you mean 64Mi?"), std::string::npos)
        << text;
  }
  EXPECT_NE(Error(ParseSizeBytes("64k").status()).find("64Ki"), std::string::npos);
  EXPECT_NE(Error(ParseSizeBytes("1G").status()).find("1Gi"), std::string::npos);
  EXPECT_NE(Error(ParseSizeBytes("64B").status()).find("did you mean 64?"), std::string::npos);
}

TEST(Units, Cpu) {
  EXPECT_EQ(*ParseCpuMillis("500m"), 500);
  EXPECT_EQ(*ParseCpuMillis("0.5"), 500);
  EXPECT_EQ(*ParseCpuMillis("2"), 2000);
  EXPECT_EQ(*ParseCpuMillis("1000"), kMaxCpuMillis);
  for (const char* text : {"", "0", "0m", "-1", "0.0001", "0.5m", "1001", "2 ", "two", "2Mi"}) {
    EXPECT_FALSE(ParseCpuMillis(text).ok()) << text;
  }
  EXPECT_NE(Error(ParseCpuMillis("500M").status()).find("500m"), std::string::npos);
  EXPECT_NE(Error(ParseCpuMillis("50%").status()).find("500m"), std::string::npos);
}

TEST(Units, Shares) {
  EXPECT_EQ(*ParseSharePpm("5%"), 50'000u);
  EXPECT_EQ(*ParseSharePpm("33.3%"), 333'000u);
  EXPECT_EQ(*ParseSharePpm("0%"), 0u);
  EXPECT_EQ(*ParseSharePpm("100%"), 1'000'000u);
  EXPECT_EQ(*ParseSharePpm("0.0001%"), 1u);
  for (const char* text : {"", "%", "100.0001%", "-5%", "5 %", "0.00001%", "5%%", "5percent"}) {
    EXPECT_FALSE(ParseSharePpm(text).ok()) << text;
  }
  EXPECT_NE(Error(ParseSharePpm("5").status()).find("did you mean 5%?"), std::string::npos);
  EXPECT_NE(Error(ParseSharePpm("0.05").status()).find("did you mean 5%?"), std::string::npos);
}

TEST(Units, WhatIsFormattedReadsBackTheSame) {
  for (int64_t ns :
       {int64_t{0}, int64_t{1}, int64_t{999}, int64_t{1'500}, 250 * kMs, 1'000'001 * int64_t{1},
        1500 * kMs, 60 * kS, 90 * kS, 3600 * kS, 5400 * kS + 1, kMaxDurationNs}) {
    EXPECT_EQ(*ParseDurationNs(FormatDuration(ns)), ns) << FormatDuration(ns);
  }
  for (int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{1024}, int64_t{1536}, int64_t{64} << 20,
                        int64_t{3} << 40}) {
    EXPECT_EQ(*ParseSizeBytes(FormatSize(bytes)), bytes) << FormatSize(bytes);
  }
  for (int64_t millis : {1, 500, 1000, 1500, 1'000'000}) {
    EXPECT_EQ(*ParseCpuMillis(FormatCpu(millis)), millis) << FormatCpu(millis);
  }
  for (uint32_t ppm : {0u, 1u, 10u, 50'000u, 333'000u, 999'999u, 1'000'000u}) {
    EXPECT_EQ(*ParseSharePpm(FormatShare(ppm)), ppm) << FormatShare(ppm);
  }
  EXPECT_EQ(FormatDuration(5400 * kS), "1h30m");
  EXPECT_EQ(FormatDuration(1500 * kMs), "1.5s");
  EXPECT_EQ(FormatSize(64 << 20), "64Mi");
  EXPECT_EQ(FormatShare(333'000), "33.3%");
  EXPECT_EQ(FormatCpu(500), "500m");
}

}  // namespace
}  // namespace caxton
