// SPDX-License-Identifier: Apache-2.0
#include "compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"

namespace caxton::examine {
namespace {

using ::testing::HasSubstr;

KnownRevision Revision(std::string name, std::string_view manifest,
                       std::vector<SentMessage> sends = {}) {
  KnownRevision revision{name.substr(0, name.find('@')), name, {}};
  revision.traits.manifest = std::string(manifest);
  revision.traits.sends = std::move(sends);
  return revision;
}

Surroundings WithLive(std::string_view manifest) {
  Surroundings around;
  around.live = Revision("greeter@1", manifest);
  return around;
}

std::vector<Finding> Compare(const Surroundings& around, std::string_view now) {
  Findings findings;
  const Contracts contracts = ReadContracts(now, "manifest", &findings);
  EXPECT_FALSE(findings.has_error());
  CompareWithLive(contracts, around, &findings);
  return findings.Take();
}

TEST(CompareWithLiveTest, NewConsumerAcceptsWhatTheOldAccepted) {
  const Surroundings live = WithLive(R"({"consumes":{"REQUEST":{"type":["string","null"]}}})");
  EXPECT_TRUE(Compare(live, R"({"consumes":{"REQUEST":{}}})").empty());
  EXPECT_TRUE(Compare(live, "{}").empty());
  const auto narrowed = Compare(live, R"({"consumes":{"REQUEST":{"type":"string"}}})");
  ASSERT_EQ(narrowed.size(), 1u);
  EXPECT_EQ(narrowed[0].code, "CONTRACT_BROKEN");
  EXPECT_EQ(narrowed[0].severity, FindingSeverity::kError);
  EXPECT_EQ(narrowed[0].place, "consumes/REQUEST");
  EXPECT_THAT(narrowed[0].message, HasSubstr("live revision: "));
  EXPECT_THAT(narrowed[0].message, HasSubstr("type null"));
  EXPECT_THAT(narrowed[0].fix, HasSubstr("--allow-breaking"));
  const auto removed = Compare(live, R"({"consumes":{"INFORM":{}}})");
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_THAT(removed[0].message, HasSubstr("removed: messages of type REQUEST"));
}

TEST(CompareWithLiveTest, PathsLeadToTheField) {
  const auto found = Compare(
      WithLive(R"({"consumes":{"REQUEST":{"type":"object","properties":{"order":{"type":"object",
          "properties":{"n":{"type":["integer","string"]}}}}}}})"),
      R"({"consumes":{"REQUEST":{"type":"object","properties":{"order":{"type":"object",
          "properties":{"n":{"type":"integer"}}}}}}})");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].place, "consumes/REQUEST/order/n");
  EXPECT_THAT(found[0].message, HasSubstr("type string"));
}

TEST(CompareWithLiveTest, NewProducerEmitsWhatTheOldEmitted) {
  const Surroundings live = WithLive(R"({"produces":{"INFORM":{"type":"integer"}}})");
  EXPECT_TRUE(Compare(live, R"({"produces":{"INFORM":{"type":"integer","minimum":0}}})").empty());
  EXPECT_EQ(Compare(live, R"({"produces":{"INFORM":{"type":"number"}}})").size(), 1u);
  EXPECT_EQ(Compare(live, R"({"produces":{"INFORM":{"type":"integer"},"REFUSE":{}}})").size(), 1u);
  EXPECT_EQ(Compare(live, "{}").size(), 1u);
}

TEST(CompareWithLiveTest, UndecidedIsRefusedAndAllowBreakingRecordsIt) {
  Surroundings live = WithLive(R"({"consumes":{"REQUEST":{"type":"string","pattern":"a"}}})");
  constexpr std::string_view kNow = R"({"consumes":{"REQUEST":{"type":"string","pattern":"b"}}})";
  const auto refused = Compare(live, kNow);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, "CONTRACT_UNDECIDED");
  EXPECT_EQ(refused[0].severity, FindingSeverity::kError);
  live.allow_breaking = true;
  const auto allowed = Compare(live, kNow);
  ASSERT_EQ(allowed.size(), 1u);
  EXPECT_EQ(allowed[0].severity, FindingSeverity::kWarning);
  EXPECT_THAT(allowed[0].message, HasSubstr("cannot be decided, and let through by --allow-br"));
  EXPECT_THAT(allowed[0].message, ::testing::Not(HasSubstr("refused")));
  EXPECT_THAT(allowed[0].fix, HasSubstr("relies on the old contract"));
}

TEST(CompareWithLiveTest, WhoDeclaredNothingPromisedNothing) {
  constexpr std::string_view kNow =
      R"({"consumes":{"REQUEST":{"type":"string"}},"produces":{"INFORM":{}}})";
  EXPECT_TRUE(Compare({}, kNow).empty());
  const auto found = Compare(WithLive(""), kNow);
  ASSERT_EQ(found.size(), 2u);
  for (const Finding& finding : found) {
    EXPECT_EQ(finding.code, "CONTRACT_NEW");
    EXPECT_EQ(finding.severity, FindingSeverity::kWarning);
  }
}

TEST(CompareWithLiveTest, HostileManifestOfTheLiveRevisionHarmsNothing) {
  for (const std::string& text : {std::string(60'000, '['), std::string("{\"consumes\":7}"),
                                  std::string("not json"), std::string("[]")}) {
    EXPECT_LE(Compare(WithLive(text), R"({"consumes":{"REQUEST":{}}})").size(), 1u) << text;
  }
}

class CompareWithOthersTest : public ::testing::Test {
 protected:
  std::vector<Finding> Compare(std::string_view manifest) {
    Findings findings;
    const Contracts contracts = ReadContracts(manifest, "manifest", &findings);
    EXPECT_FALSE(findings.has_error());
    CompareWithOthers({"shop", contracts, contracts.sends, runs_}, around_, &findings);
    return findings.Take();
  }
  void Sent(std::string content, bool hostile = false) {
    SampleRun run{.name = "samples/0", .result = {}, .hostile = hostile};
    run.result.sends.push_back(
        {.to = "billing", .performative = Performative::kRequest, .content = std::move(content)});
    runs_.push_back(std::move(run));
  }

  Surroundings around_{.on_server = true};
  std::vector<SampleRun> runs_;
};

constexpr std::string_view kBilling =
    R"({"consumes":{"REQUEST":{"type":"object","properties":{"sum":{"type":"integer"}}}}})";

TEST_F(CompareWithOthersTest, WhatItProducesIsAcceptedByTheReceiver) {
  around_.others = {Revision("billing@3", kBilling)};
  EXPECT_TRUE(Compare(R"({"sends_to":{"billing":["REQUEST"]},"produces":{"REQUEST":{
      "type":"object","properties":{"sum":{"type":"integer","minimum":0}}}}})")
                  .empty());
  const auto found = Compare(R"({"sends_to":{"billing":["REQUEST"]},"produces":{"REQUEST":{
      "type":"object","properties":{"sum":{"type":["integer","string"]}}}}})");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].code, "CONTRACT_BROKEN");
  EXPECT_EQ(found[0].place, "produces/REQUEST/sum");
  EXPECT_THAT(found[0].message, HasSubstr("billing, which it sends to"));
  EXPECT_THAT(found[0].message, HasSubstr("type string"));
  EXPECT_FALSE(found[0].fix.empty());
  // To another agent it may send what it likes.
  EXPECT_TRUE(Compare(R"({"produces":{"REQUEST":{"type":"string"}}})").empty());
}

TEST_F(CompareWithOthersTest, AReceiverThatTakesNoSuchMessage) {
  around_.others = {Revision("billing@3", kBilling)};
  const auto found = Compare(R"({"sends_to":{"billing":["INFORM"]}})");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].place, "produces/INFORM");
  EXPECT_THAT(found[0].message, HasSubstr("type INFORM are sent, and not accepted"));
}

TEST_F(CompareWithOthersTest, WithoutADeclarationWhatWasSentCounts) {
  around_.others = {Revision("billing@3", kBilling)};
  constexpr std::string_view kManifest = R"({"sends_to":{"billing":["REQUEST"]}})";
  EXPECT_TRUE(Compare(kManifest).empty());
  Sent(R"({"sum":3})");
  Sent("not json", true);
  EXPECT_TRUE(Compare(kManifest).empty());
  Sent(R"({"sum":"three"})");
  Sent("not json");
  Sent(std::string(5'000, '['));
  const auto found = Compare(kManifest);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_THAT(found[0].place, HasSubstr("/sum"));
}

TEST_F(CompareWithOthersTest, WhatOthersSendItIsAccepted) {
  around_.others = {Revision("web@2", R"({"produces":{"REQUEST":{"type":["string","null"]}}})",
                             {{"shop", Performative::kRequest}})};
  EXPECT_TRUE(Compare(R"({"consumes":{"REQUEST":{"type":["string","null"]}}})").empty());
  EXPECT_TRUE(Compare("{}").empty());
  const auto found = Compare(R"({"consumes":{"REQUEST":{"type":"string"}}})");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].place, "consumes/REQUEST");
  EXPECT_THAT(found[0].message, HasSubstr("web, which sends to it"));
  EXPECT_THAT(found[0].message, HasSubstr("type null"));
}

TEST_F(CompareWithOthersTest, WhatTheLiveRevisionBreaksTooOnlyWarns) {
  constexpr std::string_view kBroken =
      R"({"sends_to":{"billing":["REQUEST"]},"produces":{"REQUEST":{"type":"string"}}})";
  around_.others = {Revision("billing@3", kBilling)};
  EXPECT_EQ(Compare(kBroken).at(0).severity, FindingSeverity::kError);
  around_.live = Revision("shop@1", kBroken, {{"billing", Performative::kRequest}});
  const auto found = Compare(kBroken);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].code, "CONTRACT_BROKEN_BEFORE");
  EXPECT_EQ(found[0].severity, FindingSeverity::kWarning);
}

// What the live revision sent was not kept: where it declares no more, it need not be better.
TEST_F(CompareWithOthersTest, WhatTheLiveRevisionDoesNotDeclareEitherOnlyWarns) {
  constexpr std::string_view kUndeclared = R"({"sends_to":{"billing":["REQUEST"]}})";
  around_.others = {Revision("billing@3", kBilling)};
  Sent(R"({"sum":"three"})");
  EXPECT_EQ(Compare(kUndeclared).at(0).severity, FindingSeverity::kError);
  around_.live = Revision("shop@1", kUndeclared, {{"billing", Performative::kRequest}});
  const auto found = Compare(kUndeclared);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].code, "CONTRACT_BROKEN_BEFORE");
  EXPECT_EQ(found[0].severity, FindingSeverity::kWarning);
  EXPECT_THAT(found[0].place, HasSubstr("/sum"));
  // A live revision that sends it nothing, something else, or says what, is no excuse.
  for (const KnownRevision& live :
       {Revision("shop@1", "{}"),
        Revision("shop@1", kUndeclared, {{"billing", Performative::kInform}}),
        Revision("shop@1", kUndeclared, {{"stock", Performative::kRequest}}),
        Revision("shop@1", R"({"produces":{"REQUEST":{"type":"object","properties":{"sum":{
            "type":"integer"}}}}})",
                 {{"billing", Performative::kRequest}})}) {
    around_.live = live;
    EXPECT_EQ(Compare(kUndeclared).at(0).severity, FindingSeverity::kError);
  }
}

// What is switched together is held against what serves now: an old fault is no news, a new one is
// one, although the live revision would not get along with the other's new one either.
TEST_F(CompareWithOthersTest, WhoIsSwitchedTogetherIsComparedAsItWillBe) {
  constexpr std::string_view kSends = R"({"sends_to":{"billing":["INFORM"]}})";
  around_.live = Revision("shop@1", kSends, {{"billing", Performative::kInform}});
  around_.others = {Revision("billing@3", kBilling)};
  EXPECT_EQ(Compare(kSends).at(0).severity, FindingSeverity::kWarning) << "as it was before";
  around_.others[0].together = true;
  around_.others[0].replaced = Revision("billing@2", kBilling).traits;
  EXPECT_EQ(Compare(kSends).at(0).severity, FindingSeverity::kWarning) << "as it was before";
  around_.others[0].replaced = Revision("billing@2", R"({"consumes":{"INFORM":{}}})").traits;
  EXPECT_EQ(Compare(kSends).at(0).severity, FindingSeverity::kError) << "new on both sides";
  around_.others[0].replaced.reset();
  EXPECT_EQ(Compare(kSends).at(0).severity, FindingSeverity::kError) << "its first revision";
}

TEST_F(CompareWithOthersTest, AllowBreakingLetsItThrough) {
  around_.others = {Revision("billing@3", kBilling)};
  around_.allow_breaking = true;
  const auto found = Compare(R"({"sends_to":{"billing":["INFORM"]}})");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].severity, FindingSeverity::kWarning);
  EXPECT_THAT(found[0].message, HasSubstr("let through by --allow-breaking"));
  EXPECT_FALSE(found[0].fix.empty());
}

TEST_F(CompareWithOthersTest, ReceiversThatAreNotThereAreNamedOnAServer) {
  constexpr std::string_view kManifest =
      R"({"sends_to":{"billing":["INFORM","REQUEST"],"shop":["INFORM"]}})";
  const auto found = Compare(kManifest);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].code, "UNKNOWN_RECEIVER");
  EXPECT_EQ(found[0].severity, FindingSeverity::kWarning);
  around_.together = {"billing"};
  EXPECT_TRUE(Compare(kManifest).empty());
  EXPECT_THAT(ComparedWith(around_), HasSubstr("not compared with billing"));
  around_ = {};
  EXPECT_TRUE(Compare(kManifest).empty());
}

TEST_F(CompareWithOthersTest, AgentsThatAreLeftOutAreCounted) {
  constexpr std::string_view kManifest =
      R"({"sends_to":{"billing":["REQUEST"],"nobody":["INFORM"]}})";
  around_.others = {Revision("billing@3", kBilling), Revision("web@1", "{}")};
  around_.left_out = 7;
  auto found = Compare(kManifest);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].code, "AGENTS_NOT_COMPARED");
  EXPECT_EQ(found[0].severity, FindingSeverity::kWarning);
  EXPECT_THAT(found[0].message, HasSubstr("7 agents"));
  EXPECT_EQ(found[1].code, "UNKNOWN_RECEIVER");
  EXPECT_THAT(ComparedWith(around_), HasSubstr("web@1, not with 7 agents more"));
  // Where receivers have all the places, who is unknown may be one that was left out.
  around_.others.pop_back();
  found = Compare(kManifest);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].code, "AGENTS_NOT_COMPARED");
}

// Branches in branches, from many agents: the work is cut off for all of them together.
TEST_F(CompareWithOthersTest, HostileSchemasOfManyAgentsAreBounded) {
  std::string inner = R"({"type":"string","maxLength":5})";
  std::string outer = R"({"type":"string","pattern":"a"})";
  for (int i = 0; i < 9; ++i) {
    inner = StrCat(R"({"anyOf":[)", inner, ",", inner, R"(,{"type":"null"}]})");
    outer = StrCat(R"({"anyOf":[)", outer, ",", outer, R"(,{"pattern":"b"}]})");
  }
  for (size_t i = 0; i < kMaxOtherAgents; ++i) {
    around_.others.push_back(Revision(StrCat("web", i, "@1"),
                                      StrCat(R"({"produces":{"REQUEST":)", inner, "}}"),
                                      {{"shop", Performative::kRequest}}));
  }
  const auto found = Compare(StrCat(R"({"consumes":{"REQUEST":)", outer, "}}"));
  EXPECT_FALSE(found.empty());
  EXPECT_LE(found.size(), kMaxFindings);
}

std::string Consumes(int values) {
  std::string list;
  for (int i = 0; i < values; ++i) StrAppend(&list, list.empty() ? "" : ",", i);
  return StrCat(R"({"consumes":{"REQUEST":{"enum":[)", list, "]}}}");
}

// What its receivers accept is read and compared within one budget, however much is sent.
TEST_F(CompareWithOthersTest, WhatWasSentIsComparedWithinTheWorkOfAll) {
  constexpr std::string_view kManifest = R"({"sends_to":{"billing":["REQUEST"]}})";
  // A look at the schema, one at its keyword, and one at each value: one step is left for the
  // second message, or none.
  for (const int values : {kMaxOthersSteps - 3, kMaxOthersSteps - 2}) {
    around_.others = {Revision("billing@3", Consumes(values))};
    runs_.clear();
    Sent(StrCat(values - 1));
    EXPECT_TRUE(Compare(kManifest).empty());
    Sent(StrCat(values - 1));
    const auto found = Compare(kManifest);
    if (values == kMaxOthersSteps - 3) {
      EXPECT_TRUE(found.empty());
    } else {
      ASSERT_EQ(found.size(), 1u);
      EXPECT_EQ(found[0].code, "CONTRACT_UNDECIDED");
      EXPECT_THAT(found[0].message, HasSubstr("too much work"));
    }
  }
}

TEST_F(CompareWithOthersTest, OneReceiversManifestLeavesTheOthersTheirShare) {
  around_.others = {Revision("billing@3", Consumes(kMaxOthersSteps)),
                    Revision("stock@1", R"({"consumes":{"INFORM":{"type":"object"}}})")};
  for (int i = 0; i < 3; ++i) Sent(StrCat(kMaxOthersSteps - 1));
  runs_[0].result.sends.push_back(
      {.to = "stock", .performative = Performative::kInform, .content = "7"});
  const auto found = Compare(R"({"sends_to":{"billing":["REQUEST"],"stock":["INFORM"]}})");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].code, "CONTRACT_UNDECIDED");
  EXPECT_EQ(found[1].code, "CONTRACT_UNDECIDED");
  EXPECT_EQ(found[2].code, "CONTRACT_BROKEN");
  EXPECT_THAT(found[2].message, HasSubstr("stock"));
}

TEST(SendsToTest, MalformedListsAreFaults) {
  for (const char* text : {R"({"sends_to":[]})", R"({"sends_to":{"No Name":["REQUEST"]}})",
                           R"({"sends_to":{"a":"REQUEST"}})", R"({"sends_to":{"a":["SHOUT"]}})",
                           R"({"sends_to":{"a":[1]}})"}) {
    Findings findings;
    ReadContracts(text, "manifest", &findings);
    EXPECT_TRUE(findings.has_error()) << text;
  }
  std::string many = R"({"sends_to":{)";
  for (size_t i = 0; i <= kMaxSentMessages; ++i) {
    StrAppend(&many, i == 0 ? "" : ",", "\"a", i, "\":[\"INFORM\"]");
  }
  Findings findings;
  EXPECT_TRUE(ReadContracts(many + "}}", "manifest", &findings).sends.empty());
  EXPECT_TRUE(findings.has_error());
}

}  // namespace
}  // namespace caxton::examine
