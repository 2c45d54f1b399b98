// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "caxton/base/random.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/examine/examiner.h"
#include "caxton/examine/limits.h"
#include "manifest.h"

namespace caxton::examine {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json Read(std::string_view yaml) {
  const auto text = ManifestFromYaml(yaml, "m.yaml");
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? json::parse(*text) : json();
}

std::string Why(std::string_view yaml) {
  const auto text = ManifestFromYaml(yaml, "m.yaml");
  if (text.ok()) return "ok";
  EXPECT_EQ(ReasonOf(text.status()), "BAD_MANIFEST");
  EXPECT_FALSE(FixOf(text.status()).empty());
  return std::string(text.status().message());
}

TEST(ManifestYamlTest, ManifestWithSchemasAndSamples) {
  const json manifest = Read(R"(# greets
name: greeter
version: "2.0.0"
abi: 1
capabilities: [greet, 'say "hi"']
consumes:
  REQUEST:
    type: object
    required: [name]
    properties:
      name: { type: string, maxLength: 64 }
samples:
  - name: ada
    performative: REQUEST
    json: { name: Ada, times: 3, loud: false }
  - content: |
      two
      lines
)");
  EXPECT_EQ(manifest, json::parse(R"({"name":"greeter","version":"2.0.0","abi":1,
      "capabilities":["greet","say \"hi\""],
      "consumes":{"REQUEST":{"type":"object","required":["name"],
        "properties":{"name":{"type":"string","maxLength":64}}}},
      "samples":[{"name":"ada","performative":"REQUEST",
                  "json":{"name":"Ada","times":3,"loud":false}},
                 {"content":"two\nlines\n"}]})"));
}

TEST(ManifestYamlTest, ScalarsMeanWhatTheCoreSchemaSays) {
  const json values = Read(R"(
- 7
- -7
- +7
- 1.5
- 1e3
- 9223372036854775807
- 92233720368547758070
- true
- False
- null
- ~
-
- yes
- off
- 1.0.0
- "0x10"
- "7"
- 'true'
- ""
- e
- .5
)");
  EXPECT_EQ(values, json::parse(R"([7, -7, 7, 1.5, 1000.0, 9223372036854775807,
      9.223372036854775807e19, true, false, null, null, null, "yes", "off", "1.0.0", "0x10", "7",
      "true", "", "e", 0.5])"));
}

TEST(ManifestYamlTest, IntegersStayExact) {
  const json values = Read(R"(
- 9223372036854775808
- +18446744073709551615
- -9223372036854775808
- 0x10
- 0xFfFfFfFfFfFfFfFf
- 0o17
- 0o8
- 0xg
- 0x
- -0x10
- 0X10
- +-5
- 007
)");
  EXPECT_EQ(values.dump(), R"([9223372036854775808,18446744073709551615,-9223372036854775808,16,)"
                           R"(18446744073709551615,15,"0o8","0xg","0x","-0x10","0X10","+-5",7])");
  EXPECT_THAT(Why("limit: 0x10000000000000000"), HasSubstr("more than 64 bits"));
  EXPECT_THAT(Why("limit: 1e999"), HasSubstr("no number that JSON can hold"));
}

TEST(ManifestYamlTest, FaultsNameTheirPlace) {
  EXPECT_THAT(Why("name: greeter\nname: echo\n"), HasSubstr("m.yaml:2:1: "));
  EXPECT_THAT(Why("samples: [\n"), HasSubstr("m.yaml:"));
  EXPECT_THAT(Why("limit: .inf"), HasSubstr("no number of JSON"));
  EXPECT_THAT(Why("limit: +.INF"), HasSubstr("no number of JSON"));
  EXPECT_THAT(Why("a: !!python/object x"), HasSubstr("tag"));
  EXPECT_THAT(Why("name: \xff"), HasSubstr("UTF-8"));
}

TEST(ManifestYamlTest, BombsAreRefusedByNamedLimits) {
  EXPECT_THAT(Why("a: &a [x,x]\nb: [*a,*a]\n"), HasSubstr("anchors"));
  EXPECT_NE(Why(std::string(kMaxManifestBytes, '[')), "ok");
  EXPECT_THAT(Why(std::string(kMaxManifestBytes + 1, ' ')), HasSubstr("the limit is 65536"));
  const auto lists = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(Why(lists(kMaxManifestDepth)), "ok");
  EXPECT_THAT(Why(lists(kMaxManifestDepth + 1)), HasSubstr("nested deeper than 32"));
  std::string full = "name: a";
  full.resize(kMaxManifestBytes, ' ');
  EXPECT_EQ(Why(full), "ok");
}

TEST(ManifestYamlTest, WhatItGivesIsReadAsAnyManifest) {
  ModuleTraits traits;
  Findings findings;
  ReadManifest(*ManifestFromYaml("name: greeter\nversion: 1.0.0\n", "m.yaml"), "manifest",
               "greeter", &traits, &findings);
  EXPECT_TRUE(findings.Take().empty());
  EXPECT_EQ(traits.manifest_version, "1.0.0");
  // A number is no text: told, not guessed.
  ReadManifest(*ManifestFromYaml("version: 1.0\n", "m.yaml"), "manifest", "", &traits, &findings);
  const auto faults = findings.Take();
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_THAT(faults[0].message, HasSubstr("\"version\" that is no text"));
}

TEST(ManifestYamlTest, GarbageNeverCrashes) {
  const std::string good =
      "name: greeter\nsamples:\n  - { json: { a: [1, 2.5, 'x'] } }\n  - x: |\n      y\n";
  SeededRandom random(7);
  constexpr std::string_view kSpice = "{}[]:,-&*!?|>'\"%#\n \t@`0a\xff";
  for (int round = 0; round < 2000; ++round) {
    std::string text = good;
    for (int i = 0; i < 3; ++i) {
      text[random.Below(text.size())] = kSpice[random.Below(kSpice.size())];
    }
    const auto manifest = ManifestFromYaml(text, "m.yaml");
    if (manifest.ok()) {
      EXPECT_TRUE(json::accept(*manifest)) << text;
    }
  }
}

}  // namespace
}  // namespace caxton::examine
