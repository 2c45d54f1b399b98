// SPDX-License-Identifier: Apache-2.0
#include "manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"

namespace caxton::examine {
namespace {

using ::testing::HasSubstr;

struct Read {
  ModuleTraits traits;
  std::vector<Finding> findings;
};

Read ReadText(std::string_view json, std::string_view agent = "") {
  Read read;
  Findings findings;
  ReadManifest(json, "section caxton.manifest", agent, &read.traits, &findings);
  read.findings = findings.Take();
  return read;
}

TEST(ManifestTest, FieldsBecomeTraits) {
  const Read read = ReadText(
      R"({"name":"greeter","version":"2.0.0","abi":1,"instance":"reused",
          "capabilities":["greet","say \"hi\""],"performatives":["REQUEST"]})",
      "greeter");
  EXPECT_TRUE(read.findings.empty());
  EXPECT_EQ(read.traits.manifest_name, "greeter");
  EXPECT_EQ(read.traits.manifest_version, "2.0.0");
  EXPECT_TRUE(read.traits.reused_instances);
  EXPECT_EQ(read.traits.capabilities_json, R"(["greet","say \"hi\""])");
}

TEST(ManifestTest, UnknownFieldsAreWarnings) {
  const Read read = ReadText(R"({"versoin":"1","resources":{}})");
  ASSERT_EQ(read.findings.size(), 2u);
  for (const Finding& finding : read.findings) {
    EXPECT_EQ(finding.severity, FindingSeverity::kWarning);
  }
  EXPECT_THAT(read.findings[0].fix + read.findings[1].fix, HasSubstr("version"));
}

TEST(ManifestTest, FaultsAreAllTold) {
  const Read read =
      ReadText(R"({"name":"No Name","abi":3,"instance":1,"performatives":["SHOUT"]})");
  EXPECT_EQ(read.findings.size(), 4u);
  for (const Finding& finding : read.findings) {
    EXPECT_EQ(finding.severity, FindingSeverity::kError) << finding.message;
    EXPECT_FALSE(finding.fix.empty());
  }
}

TEST(ManifestTest, ANameTwiceInOneObjectIsAFault) {
  for (const char* text : {R"({"name":"a","abi":1,"name":"b"})",
                           R"({"samples":[{"a":1},{"b":[{"name":1,"name":1}]}]})"}) {
    const Read read = ReadText(text);
    ASSERT_EQ(read.findings.size(), 1u) << text;
    EXPECT_EQ(read.findings[0].severity, FindingSeverity::kError);
    EXPECT_THAT(read.findings[0].message, HasSubstr("'name' twice"));
  }
  EXPECT_TRUE(ReadText(R"({"samples":[{"a":1},{"a":{"a":1}}],"name":"a"})").findings.empty());
}

TEST(ManifestTest, AnotherNameThanTheAgentsIsAFault) {
  const Read read = ReadText(R"({"name":"echo"})", "greeter");
  ASSERT_EQ(read.findings.size(), 1u);
  EXPECT_EQ(read.findings[0].code, "NAME_MISMATCH");
}

TEST(ManifestTest, StateIsRefusedByName) {
  const Read read = ReadText(R"({"state":{"writes":1}})");
  ASSERT_EQ(read.findings.size(), 1u);
  EXPECT_EQ(read.findings[0].code, "NOT_IN_THIS_RELEASE");
}

TEST(ManifestTest, StateIsCheckedAsADeclaration) {
  const Read good = ReadText(R"({"state":{"writes":2,"reads":[1,2],"schema":{"type":"object"}}})");
  EXPECT_EQ(good.findings.size(), 1u);
  for (const char* state :
       {"7", R"({"reads":[1]})", R"({"writes":0})", R"({"writes":1,"reads":["1"]})",
        R"({"writes":2,"reads":[1]})", R"({"writes":1,"schema":{"type":"objekt"}})"}) {
    const Read read = ReadText(StrCat(R"({"state":)", state, "}"));
    ASSERT_EQ(read.findings.size(), 2u) << state;
    EXPECT_FALSE(read.findings[0].fix.empty());
    EXPECT_FALSE(read.findings[1].fix.empty());
  }
}

TEST(ManifestTest, EveryFaultOfTheStateIsTold) {
  // Refused as such; what it writes, what it reads, its schema.
  const Read read = ReadText(R"({"state":{"writes":0,"reads":["1"],"schema":{"type":"objekt"}}})");
  EXPECT_EQ(read.findings.size(), 4u);
}

TEST(ManifestTest, OnlyWhatIsNoObjectWithinTheLimitsCannotBeReadOn) {
  const auto readable = [](std::string_view text) {
    ModuleTraits traits;
    Findings findings;
    const bool read = ReadManifest(text, "manifest", "", &traits, &findings);
    EXPECT_TRUE(findings.has_error()) << text;
    return read;
  };
  EXPECT_TRUE(readable(R"({"abi":7,"state":3})"));
  EXPECT_TRUE(readable(R"({"abi":1,"abi":1})"));
  EXPECT_FALSE(readable("[]"));
  EXPECT_FALSE(readable("{"));
  EXPECT_FALSE(readable("{\"name\":\"\xff\"}"));
}

TEST(ManifestTest, HostileTextIsBounded) {
  for (const std::string& text :
       {std::string(100'000, '['), std::string(kMaxManifestBytes + 1, ' '), std::string("\xff{}"),
        std::string(200, '{'), std::string("{\"a\":1}x"), std::string()}) {
    const Read read = ReadText(text);
    ASSERT_EQ(read.findings.size(), 1u);
    EXPECT_EQ(read.findings[0].code, "BAD_MANIFEST");
  }
}

TEST(ManifestTest, LimitsAtTheirEdges) {
  const auto good = [](const std::string& text) { return ReadText(text).findings.empty(); };
  EXPECT_TRUE(good("{}" + std::string(kMaxManifestBytes - 2, ' ')));
  EXPECT_FALSE(good("{}" + std::string(kMaxManifestBytes - 1, ' ')));
  const auto nested = [](int depth) {
    return "{\"samples\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_TRUE(good(nested(kMaxManifestDepth)));
  EXPECT_FALSE(good(nested(kMaxManifestDepth + 1)));
  const auto capabilities = [](size_t count, size_t bytes) {
    std::string list;
    for (size_t i = 0; i < count; ++i) {
      list += (i == 0 ? "\"" : ",\"") + std::string(bytes, 'c') + "\"";
    }
    return "{\"capabilities\":[" + list + "]}";
  };
  EXPECT_TRUE(good(capabilities(kMaxManifestItems, 1)));
  EXPECT_FALSE(good(capabilities(kMaxManifestItems + 1, 1)));
  EXPECT_TRUE(good(capabilities(1, kMaxCapabilityBytes)));
  EXPECT_FALSE(good(capabilities(1, kMaxCapabilityBytes + 1)));
}

}  // namespace
}  // namespace caxton::examine
