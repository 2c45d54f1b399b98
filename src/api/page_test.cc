// SPDX-License-Identifier: Apache-2.0
#include "page.h"

#include <gtest/gtest.h>

#include "caxton/api/limits.h"
#include "caxton/base/status.h"

namespace caxton::api {
namespace {

TEST(Page, HasASizeWithinItsLimits) {
  EXPECT_EQ(Page::Make(0, "", "agents")->size(), kDefaultPageSize);
  EXPECT_EQ(Page::Make(1, "", "agents")->size(), 1);
  EXPECT_EQ(Page::Make(kMaxPageSize, "", "agents")->size(), kMaxPageSize);
  EXPECT_EQ(Page::Make(kMaxPageSize + 1, "", "agents")->size(), kMaxPageSize);
  const absl::Status negative = Page::Make(-1, "", "agents").status();
  EXPECT_EQ(negative.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(negative), "page_size");
}

TEST(Page, GoesOnWhereItsTokenSays) {
  const Page first = *Page::Make(2, "", "agents");
  EXPECT_EQ(first.after(), "");
  EXPECT_EQ(first.after_number(), 0U);
  EXPECT_EQ(Page::Make(2, first.TokenAt("greeter"), "agents")->after(), "greeter");
  EXPECT_EQ(Page::Make(9, first.TokenAt("17"), "agents")->after_number(), 17U);
}

TEST(Page, RefusesTokensThatItsListDidNotGiveOut) {
  const std::string token = Page::Make(2, "", "agents")->TokenAt("greeter");
  std::string moved = token;
  moved.back() = 'x';
  for (const std::string& wrong :
       {std::string("x"), std::string("greeter"), std::string("0123456."), std::string(500, '9'),
        token.substr(0, 9), token.substr(1), moved,
        Page::Make(2, "", "deployments of x")->TokenAt("greeter")}) {
    const absl::Status refused = Page::Make(2, wrong, "agents").status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_EQ(FieldOf(refused), "page_token") << wrong;
  }
}

}  // namespace
}  // namespace caxton::api
