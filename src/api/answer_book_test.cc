// SPDX-License-Identifier: Apache-2.0
#include "answer_book.h"

#include <gtest/gtest.h>

#include "caxton/api/limits.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::api {
namespace {

class HandClock final : public Clock {
 public:
  int64_t WallNanos() const override { return now; }
  int64_t MonoNanos() const override { return now; }
  int64_t now = 1;
};

struct Answers : testing::Test {
  AnswerBook::Told Keep() {
    return [this](const absl::StatusOr<std::string>& answer) { told.push_back(answer); };
  }
  // Begun and settled.
  void Answer(const std::string& key, const std::string& answer) {
    ASSERT_TRUE(book.Begin(key, "request", Keep()));
    book.Settle(key, answer);
  }

  HandClock clock;
  AnswerBook book{&clock};
  std::vector<absl::StatusOr<std::string>> told;
};

TEST_F(Answers, ARepeatGetsTheFirstAnswer) {
  Answer("k", "done");
  EXPECT_TRUE(told.empty()) << "the first caller has it already";
  EXPECT_FALSE(book.Begin("k", "request", Keep()));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(*told[0], "done");
}

TEST_F(Answers, ARepeatWaitsForAnAnswerThatIsOnItsWay) {
  ASSERT_TRUE(book.Begin("k", "request", Keep()));
  for (size_t i = 0; i < kMaxRepeatsWaiting; ++i) EXPECT_FALSE(book.Begin("k", "request", Keep()));
  EXPECT_TRUE(told.empty());
  EXPECT_FALSE(book.Begin("k", "request", Keep()));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(ReasonOf(told[0].status()), "TOO_MANY_REPEATS");
  book.Settle("k", std::string("done"));
  ASSERT_EQ(told.size(), 1 + kMaxRepeatsWaiting);
  EXPECT_EQ(*told.back(), "done");
}

TEST_F(Answers, AnotherRequestUnderTheKeyIsRefused) {
  Answer("k", "done");
  EXPECT_FALSE(book.Begin("k", "another", Keep()));
  EXPECT_EQ(told[0].status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(told[0].status()), "IDEMPOTENCY_KEY_REUSED");
}

TEST_F(Answers, AFailureIsForgotten) {
  ASSERT_TRUE(book.Begin("k", "request", Keep()));
  EXPECT_FALSE(book.Begin("k", "request", Keep()));
  book.Settle("k", absl::UnavailableError("no"));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told[0].ok());
  EXPECT_TRUE(book.Begin("k", "request", Keep()));
  book.Settle("k", std::string("done"));
}

TEST_F(Answers, OldOnesAreForgotten) {
  Answer("k", "done");
  clock.now += kAnswersKeptNs - 1;
  EXPECT_FALSE(book.Begin("k", "request", Keep()));
  clock.now += 1;
  EXPECT_TRUE(book.Begin("k", "request", Keep()));
  book.Settle("k", std::string("again"));
}

TEST_F(Answers, TheOldestMakesRoom) {
  for (size_t i = 0; i <= kMaxAnswersKept; ++i) Answer(StrCat("k", i), "done");
  EXPECT_TRUE(book.Begin("k0", "request", Keep()));
  book.Settle("k0", std::string(kMaxAnswersKeptBytes, 'x'));
  EXPECT_TRUE(book.Begin("k0", "request", Keep())) << "larger than all there is room for";
  book.Settle("k0", std::string("done"));
  EXPECT_TRUE(book.Begin("k2", "request", Keep()));
  book.Settle("k2", std::string("done"));
}

}  // namespace
}  // namespace caxton::api
