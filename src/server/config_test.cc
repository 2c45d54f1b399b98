// SPDX-License-Identifier: Apache-2.0
#include "caxton/server/config.h"

#include <gtest/gtest.h>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::server {
namespace {

constexpr int64_t kHourNs = 3'600'000'000'000;

TEST(ServerConfig, AgesHaveDefaultsFlagsAndALeast) {
  auto config = ParseServerConfig({});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->keep_evidence_ns, 168 * kHourNs);
  EXPECT_EQ(config->keep_ended_ns, 720 * kHourNs);
  config = ParseServerConfig({"--keep-evidence", "2h", "--keep-ended", "1m"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->keep_evidence_ns, 2 * kHourNs);
  EXPECT_EQ(config->keep_ended_ns, controller::kMinKeepNs);
  for (const char* flag : {"--keep-evidence", "--keep-ended"}) {
    EXPECT_FALSE(ParseServerConfig({flag, "59s"}).ok());
    const absl::Status wrong = ParseServerConfig({flag, "30d"}).status();
    EXPECT_TRUE(StrContains(StdView(wrong.message()), flag)) << wrong;
  }
}

TEST(ServerConfig, AnAddressThatCannotBeListenedOnIsSaidFirst) {
  for (const char* flag : {"--listen", "--http"}) {
    for (const char* bad : {"foo", "127.0.0.1:99999", "127.0.0.1:x", "127.0.0.1:-1"}) {
      const absl::Status status = ParseServerConfig({flag, bad}).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << flag << " " << bad;
      EXPECT_TRUE(StrContains(StdView(status.message()), flag)) << status;
      EXPECT_FALSE(FixOf(status).empty());
    }
    const absl::Status beyond = ParseServerConfig({flag, "0.0.0.0:1"}).status();
    EXPECT_EQ(beyond.code(), absl::StatusCode::kUnimplemented) << beyond;
    EXPECT_EQ(ReasonOf(beyond), "NOT_CARRIED_OUT");
  }
}

TEST(ServerConfig, AnEmptyValueIsNotTheSameAsNone) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"--config", ""}, {"--config="}, {"--data-dir=", "--dev"}}) {
    const absl::Status status = ParseServerConfig(args).status();
    EXPECT_EQ(ReasonOf(status), "USAGE") << args[0];
    EXPECT_TRUE(StrContains(StdView(status.message()), "takes a value")) << status;
  }
}

}  // namespace
}  // namespace caxton::server
