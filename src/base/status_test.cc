// SPDX-License-Identifier: Apache-2.0
#include "caxton/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace caxton {
namespace {

TEST(Status, DetailsTravelAndSurviveAnnotation) {
  absl::Status status = absl::ResourceExhaustedError("queue full");
  EXPECT_EQ(ReasonOf(status), "");
  EXPECT_EQ(FixOf(status), "");
  EXPECT_EQ(RetryAfterMsOf(status), -1);
  status = WithRetryAfterMs(WithFix(WithReason(status, "QUEUE_FULL"), "wait"), 250);
  const absl::Status annotated = Annotate(status, "greeter");
  EXPECT_EQ(annotated.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(annotated.message(), "greeter: queue full");
  EXPECT_EQ(ReasonOf(annotated), "QUEUE_FULL");
  EXPECT_EQ(FixOf(annotated), "wait");
  EXPECT_EQ(RetryAfterMsOf(annotated), 250);
}

TEST(Status, AnnotateLeavesOkAlone) { EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok()); }

TEST(Status, ErrnoKeepsItsMeaning) {
  const absl::Status status = ErrnoStatus(ENOENT, "open x");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(status.message().find("open x"), absl::string_view::npos);
}

absl::StatusOr<int> Half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}
absl::StatusOr<int> Quarter(int value) {
  ASSIGN_OR_RETURN(const int half, Half(value));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  RETURN_IF_ERROR(absl::OkStatus());
  return quarter;
}

TEST(Status, MacrosPassErrorsOn) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).status().message(), "odd");
}

TEST(Strings, StrCatTakesBothViews) {
  EXPECT_EQ(StrCat(std::string_view("a"), absl::string_view("b"), std::string("c"), "d", 5),
            "abcd5");
  std::string text = "x";
  StrAppend(&text, std::string_view("y"), 1);
  EXPECT_EQ(text, "xy1");
  int number = 0;
  EXPECT_TRUE(ParseInt(std::string_view("42"), &number));
  EXPECT_EQ(number, 42);
  EXPECT_FALSE(ParseInt(std::string_view("42x"), &number));
  EXPECT_EQ(StripWhitespace("  a b\t"), "a b");
}

}  // namespace
}  // namespace caxton
