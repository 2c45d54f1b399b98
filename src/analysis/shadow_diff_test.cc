// SPDX-License-Identifier: Apache-2.0
#include "shadow_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "caxton/analysis/limits.h"
#include "caxton/base/strings.h"
#include "caxton/model/text.h"

namespace caxton::analysis {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

MirrorSide Replying(std::string content) {
  MirrorSide side;
  side.reply = Reply{Performative::kInform, std::move(content)};
  return side;
}

std::vector<std::string> Paths(const MirrorSide& live, const MirrorSide& other,
                               const DiffOptions& options = {}) {
  std::vector<std::string> paths;
  for (const Difference& d : DiffSides(live, other, options)) paths.push_back(d.path);
  return paths;
}
std::vector<std::string> ReplyPaths(const std::string& live, const std::string& other,
                                    std::string_view content_type = "") {
  return Paths(Replying(live), Replying(other), {.content_type = content_type});
}

TEST(ShadowDiff, SaysNothingOfWhatIsTheSame) {
  EXPECT_THAT(ReplyPaths("same", "same"), IsEmpty());
  EXPECT_THAT(ReplyPaths(R"({"a":1,"b":[1,2]})", R"({ "b": [1, 2.0], "a": 1e0 })"), IsEmpty());
}

TEST(ShadowDiff, NamesThePathInJson) {
  const auto found = DiffSides(Replying(R"({"user":{"name":"ann","age":3},"x":[1,2]})"),
                               Replying(R"({"x":[1,3,4],"user":{"name":"bob"},"new":null})"), {});
  std::vector<std::string> all;
  for (const Difference& d : found) all.push_back(StrCat(d.path, " ", d.live, " ", d.other));
  EXPECT_THAT(all, ElementsAre("reply/content#/user/age 3 (none)",
                               "reply/content#/user/name \"ann\" \"bob\"", "reply/content#/x/1 2 3",
                               "reply/content#/x/2 (none) 4", "reply/content#/new (none) null"));
}

TEST(ShadowDiff, EscapesThePathsKeys) {
  EXPECT_THAT(ReplyPaths(R"({"a/b~c\n":1})", R"({"a/b~c\n":2})"),
              ElementsAre("reply/content#/a~1b~0c?"));
}

TEST(ShadowDiff, ComparesNumbersAsNumbersAndTypesAsTypes) {
  EXPECT_THAT(ReplyPaths("[18446744073709551615]", "[-1]"), ElementsAre("reply/content#/0"));
  EXPECT_THAT(ReplyPaths("[-1]", "[18446744073709551615]"), ElementsAre("reply/content#/0"));
  EXPECT_THAT(ReplyPaths("[9007199254740993]", "[9007199254740992]"),
              ElementsAre("reply/content#/0"));
  EXPECT_THAT(ReplyPaths("[1]", "[\"1\"]"), ElementsAre("reply/content#/0"));
  EXPECT_THAT(ReplyPaths("[0]", "[false]"), ElementsAre("reply/content#/0"));
  EXPECT_THAT(ReplyPaths("[-0.0]", "[0]"), IsEmpty());
  EXPECT_THAT(ReplyPaths("{}", "[]"), ElementsAre("reply/content#"));
}

TEST(ShadowDiff, ComparesBytesWhereEitherIsNoJson) {
  EXPECT_THAT(ReplyPaths("{\"a\":1}", "{\"a\":1"), ElementsAre("reply/content"));
  EXPECT_THAT(ReplyPaths("1", "1.0"), ElementsAre("reply/content"));
  EXPECT_THAT(ReplyPaths("1", "1.0", "application/json"), IsEmpty());
  EXPECT_THAT(ReplyPaths("[1e999]", "[1]"), ElementsAre("reply/content"));
  EXPECT_THAT(ReplyPaths("[\"\xff\"]", "[\"a\"]"), ElementsAre("reply/content"));
}

TEST(ShadowDiff, ComparesBytesBeyondTheLimits) {
  const auto nested = [](int depth, const char* inner) {
    return std::string(depth, '[') + inner + std::string(depth, ']');
  };
  EXPECT_THAT(ReplyPaths(nested(kMaxComparedJsonDepth, "1"), nested(kMaxComparedJsonDepth, "1.0")),
              IsEmpty());
  EXPECT_THAT(
      ReplyPaths(nested(kMaxComparedJsonDepth + 1, "1"), nested(kMaxComparedJsonDepth + 1, "1.0")),
      ElementsAre("reply/content"));
  // Brackets in strings are none.
  const std::string brackets(100, '[');
  EXPECT_THAT(
      ReplyPaths(StrCat("[\"\\\"", brackets, "\",1]"), StrCat("[\"\\\"", brackets, "\",1.0]")),
      IsEmpty());
  const auto sized = [](size_t size, const char* number) {
    const std::string head = StrCat("[", number, ",\"");
    return StrCat(head, std::string(size - head.size() - 2, 'x'), "\"]");
  };
  EXPECT_THAT(ReplyPaths(sized(kMaxComparedJsonBytes, "1"), sized(kMaxComparedJsonBytes, "2")),
              ElementsAre("reply/content#/0"));
  EXPECT_THAT(
      ReplyPaths(sized(kMaxComparedJsonBytes + 1, "1"), sized(kMaxComparedJsonBytes + 1, "2")),
      ElementsAre("reply/content"));
  // The parser itself does not recurse into what the depth check lets through or not.
  const std::string deep(200'000, '[');
  EXPECT_THAT(ReplyPaths(deep, deep + "]"), ElementsAre("reply/content"));
}

TEST(ShadowDiff, AnOutcomeStandsForAllThatFollowsFromIt) {
  MirrorSide failed;
  failed.outcome = StepOutcome::kTrapped;
  failed.detail = "unreachable\n at 0x1";
  const auto found = DiffSides(Replying("x"), failed, {});
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].path, "outcome");
  EXPECT_EQ(found[0].live, "handled");
  EXPECT_EQ(found[0].other, "trapped: unreachable? at 0x1");
  // How two failures describe themselves is no difference.
  MirrorSide again = failed;
  again.detail = "unreachable at 0x2";
  EXPECT_THAT(Paths(failed, again), IsEmpty());
  again.outcome = StepOutcome::kAgentFailed;
  again.agent_code = 7;
  failed = again;
  failed.agent_code = 8;
  EXPECT_THAT(Paths(failed, again), ElementsAre("outcome"));
}

TEST(ShadowDiff, MatchesSendsByTheirOrder) {
  MirrorSide live;
  live.sends.push_back({.to = "a", .content = "{\"n\":1}"});
  live.sends.push_back({.to = "b", .key = "k", .content = "x"});
  MirrorSide other = live;
  EXPECT_THAT(Paths(live, other), IsEmpty());
  other.sends[0].content = "{\"n\":2}";
  other.sends[1].to = "c";
  other.sends[1].key = "l";
  other.sends[1].headers = {{"h", "v"}};
  other.sends[1].performative = Performative::kQuery;
  other.sends[1].deadline_ns = 5;
  other.sends.push_back({.to = "d"});
  EXPECT_THAT(Paths(live, other),
              ElementsAre("send[0]/content#/n", "send[1]/to", "send[1]/performative", "send[1]/key",
                          "send[1]/deadline", "send[1]/headers", "send[2]"));
  EXPECT_THAT(Paths(live, other, {.outputs = false}), IsEmpty());
}

TEST(ShadowDiff, AReplyOfOneSideOnlyAndItsPerformative) {
  EXPECT_THAT(Paths(Replying("x"), MirrorSide{}), ElementsAre("reply"));
  MirrorSide refuses = Replying("x");
  refuses.reply->performative = Performative::kRefuse;
  EXPECT_THAT(Paths(Replying("x"), refuses), ElementsAre("reply/performative"));
}

TEST(ShadowDiff, BoundsPlacesPathsAndValues) {
  std::string ones = "[", twos = "[";
  for (size_t i = 0; i < 10'000; ++i) {
    ones += "1,";
    twos += "2,";
  }
  ones += "1]";
  twos += "2]";
  const auto places = ReplyPaths(ones, twos);
  ASSERT_THAT(places, SizeIs(kMaxPlacesPerMessage + 1));
  EXPECT_EQ(places.back(), kOtherPlaces);

  const std::string key(5000, 'k');
  const std::string value = StrCat("\xc3\xa9", std::string(5000, 'v'));
  const auto found =
      DiffSides(Replying(StrCat("{\"", key, "a\":\"", value, "\",\"", key, "b\":1}")),
                Replying(StrCat("{\"", key, "a\":1,\"", key, "b\":2}")), {});
  ASSERT_THAT(found, SizeIs(1));  // the two paths are cut to the same
  EXPECT_EQ(found[0].path.size(), kMaxShadowPathBytes);
  EXPECT_EQ(found[0].live.size(), kShadowValueBytes);
  EXPECT_TRUE(IsUtf8(found[0].live));
}

TEST(ShadowDiff, ShowsThePlaceWhereLongValuesDiffer) {
  const std::string same = StrCat(std::string(1000, '.'), "\xc3\xa9");
  const auto found = DiffSides(Replying(StrCat(same, "one")), Replying(StrCat(same, "two")), {});
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_TRUE(found[0].live.starts_with("...."));
  EXPECT_TRUE(found[0].live.ends_with("\xc3\xa9one")) << found[0].live;
  EXPECT_TRUE(found[0].other.ends_with("\xc3\xa9two")) << found[0].other;
  EXPECT_LE(found[0].live.size(), kShadowValueBytes);
  // One that goes on where the other ends.
  const auto longer = DiffSides(Replying(same), Replying(StrCat(same, "more")), {});
  ASSERT_THAT(longer, SizeIs(1));
  EXPECT_TRUE(longer[0].other.ends_with("more"));
}

TEST(ShadowDiff, ShowsNoControlCharactersAndNoHalfCharacters) {
  EXPECT_EQ(ShownText("a\x1b[31m\xff\n", 100), "a?[31m??");
  EXPECT_EQ(ShownText("\xc3\xa9\xc3\xa9", 3), "\xc3\xa9");
}

}  // namespace
}  // namespace caxton::analysis
