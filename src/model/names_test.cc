// SPDX-License-Identifier: Apache-2.0
#include "caxton/model/names.h"

#include <gtest/gtest.h>

#include <vector>

#include "caxton/base/status.h"
#include "caxton/model/limits.h"
#include "caxton/model/text.h"

namespace caxton {
namespace {

TEST(AgentName, Rules) {
  for (const char* name : {"a", "greeter", "greeter-2", "0", "a--b"}) {
    EXPECT_TRUE(ValidateAgentName(name).ok()) << name;
  }
  for (const char* name : {"", "-a", "a-", "A", "a_b", "a b", "a.b", "\xc3\xa4"}) {
    EXPECT_FALSE(ValidateAgentName(name).ok()) << name;
  }
  EXPECT_TRUE(ValidateAgentName(std::string(kMaxAgentNameBytes, 'a')).ok());
  EXPECT_FALSE(ValidateAgentName(std::string(kMaxAgentNameBytes + 1, 'a')).ok());
}

TEST(AgentName, ErrorSaysWhatWouldDo) {
  const absl::Status status = ValidateAgentName("Greeter_v2");
  EXPECT_EQ(status.message(),
            "the agent name 'Greeter_v2' has a character other than a-z, 0-9 and -");
  EXPECT_EQ(FixOf(status), "use 'greeter-v2'");
}

TEST(AgentName, FromFile) {
  EXPECT_EQ(AgentNameFromFile("dir.d/Greeter_v2.wasm"), "greeter-v2");
  EXPECT_EQ(AgentNameFromFile("echo"), "echo");
  EXPECT_EQ(AgentNameFromFile("__x__.wasm"), "x");
  EXPECT_EQ(AgentNameFromFile("/"), "");
  EXPECT_EQ(AgentNameFromFile("\xc3\xa4.wasm"), "");
  const std::string name = AgentNameFromFile(std::string(62, 'a') + "_b.wasm");
  EXPECT_TRUE(ValidateAgentName(name).ok()) << name;
}

TEST(NearestName, WithinAThird) {
  const std::vector<std::string> names = {"strategy", "stages", "cpu"};
  EXPECT_EQ(NearestName("stratgy", names), "strategy");
  EXPECT_EQ(NearestName("satges", names), "stages");
  EXPECT_EQ(NearestName("cpus", names), "cpu");
  EXPECT_EQ(NearestName("xyz", names), "");
  EXPECT_EQ(NearestName("", names), "");
  EXPECT_EQ(NearestName(std::string(100'000, 'x'), names), "");
}

TEST(VersionLabel, PrintableAsciiWithinItsLimit) {
  EXPECT_TRUE(ValidateVersionLabel("").ok());
  EXPECT_TRUE(ValidateVersionLabel("2.0.0 (build 7)").ok());
  EXPECT_TRUE(ValidateVersionLabel(std::string(kMaxVersionLabelBytes, 'v')).ok());
  EXPECT_FALSE(ValidateVersionLabel(std::string(kMaxVersionLabelBytes + 1, 'v')).ok());
  EXPECT_FALSE(ValidateVersionLabel("a\nb").ok());
  EXPECT_FALSE(ValidateVersionLabel("\xc3\xa4").ok());
}

TEST(Text, Utf8) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"));
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xff"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
  EXPECT_EQ(SanitizeUtf8("a\xff\xc3\xa4\xc3"), "a?\xc3\xa4?");
}

TEST(Text, TruncateCutsNoCharacter) {
  EXPECT_EQ(TruncateUtf8("a\xc3\xa4", 2), "a");
  EXPECT_EQ(TruncateUtf8("a\xc3\xa4", 3), "a\xc3\xa4");
  EXPECT_EQ(TruncateUtf8("\xc3\xa4", 1), "");
}

TEST(Text, QuotedIsShortAndPrintable) {
  EXPECT_EQ(Quoted("a\nb"), "'a?b'");
  EXPECT_EQ(Quoted(std::string(65, 'x')), "'" + std::string(64, 'x') + "...'");
}

}  // namespace
}  // namespace caxton
