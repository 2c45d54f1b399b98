// SPDX-License-Identifier: Apache-2.0
#include "caxton/server/config.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace caxton::server
