// SPDX-License-Identifier: Apache-2.0
#include "caxton/controller/command_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/base/testing/sim_world.h"
#include "caxton/controller/limits.h"
#include "caxton/journal/testing/mem_store.h"

namespace caxton::controller {
namespace {

using journal::Table;

const RequestDigests kRequest = {{"deployment_id", "aa"}, {"full", "bb"}};

// A book on a disk, over restarts. What a command does is a row of its own.
class Commands : public ::testing::Test {
 protected:
  Commands() { Start(); }
  ~Commands() override { Die(); }

  void Start() {
    journal_ = *journal::Journal::Open(&store_, strand_, &world_, {}, [](const absl::Status&) {
      CAXTON_ASSERT(false, "the simulated disk writes");
    });
    book_ = std::make_unique<CommandBook>(&world_, journal_.get());
    ASSERT_TRUE(book_->Recover().ok());
    world_.RunReady();
  }
  void Die() {
    world_.Crash(strand_);
    book_.reset();
    journal_.reset();
  }
  void PowerCut() {
    Die();
    store_.PowerCut();
    Start();
  }

  std::optional<CommandClaim> Begin(const std::string& key,
                                    const RequestDigests& request = kRequest) {
    return book_->Begin("Promote", key, request, Keep());
  }
  CommandBook::Told Keep() {
    return [this](const absl::StatusOr<std::string>& answer) { told_.push_back(answer); };
  }
  // The claim with its effect, on the disk.
  void CarryOut(CommandClaim claim) {
    claim.record.deployment = DeploymentId(7);
    journal::CommitOp op;
    PutClaim(claim, &op.rows);
    op.durable = [] {};
    journal_->committer().Submit(std::move(op));
    world_.RunReady();
  }
  void Settle(const CommandClaim& claim, absl::StatusOr<std::string> answer) {
    book_->Settle(claim.number, std::move(answer), Keep());
    world_.RunReady();
  }
  // Begun, carried out and answered.
  void Answer(const std::string& key, const std::string& answer) {
    std::optional<CommandClaim> claim = Begin(key);
    ASSERT_TRUE(claim.has_value()) << key;
    CarryOut(*claim);
    Settle(*claim, answer);
  }
  bool IsFirst(const std::string& key) {
    std::optional<CommandClaim> claim = Begin(key);
    if (claim.has_value()) Settle(*claim, absl::UnavailableError("only a look"));
    return claim.has_value();
  }
  size_t rows() { return store_.rows(Table::kCommands); }

  caxton::testing::SimWorld world_;
  Executor* strand_ = world_.NewExecutor();
  journal::testing::MemStore store_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<CommandBook> book_;
  std::vector<absl::StatusOr<std::string>> told_;
};

TEST_F(Commands, ARepeatGetsTheFirstAnswer) {
  Answer("k", "done");
  EXPECT_FALSE(Begin("k").has_value());
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_EQ(*told_[0], "done");
  EXPECT_EQ(*told_[1], "done");
  EXPECT_TRUE(book_->Begin("Pause", "k", kRequest, Keep()).has_value()) << "another call";
}

TEST_F(Commands, AnAnswerIsToldOnceItIsOnTheDisk) {
  std::optional<CommandClaim> claim = Begin("k");
  book_->Settle(claim->number, std::string("done"), Keep());
  EXPECT_TRUE(told_.empty());
  EXPECT_FALSE(Begin("k").has_value());
  EXPECT_TRUE(told_.empty()) << "a repeat waits for it too";
  world_.RunReady();
  EXPECT_EQ(told_.size(), 2U);
}

TEST_F(Commands, ARepeatWaitsForAnAnswerThatIsOnItsWay) {
  std::optional<CommandClaim> claim = Begin("k");
  ASSERT_TRUE(claim.has_value());
  for (size_t i = 0; i < kMaxRepeatsWaiting; ++i) EXPECT_FALSE(Begin("k").has_value());
  EXPECT_TRUE(told_.empty());
  EXPECT_FALSE(Begin("k").has_value());
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(ReasonOf(told_[0].status()), "TOO_MANY_REPEATS");
  Settle(*claim, std::string("done"));
  ASSERT_EQ(told_.size(), 2 + kMaxRepeatsWaiting);
  EXPECT_EQ(*told_.back(), "done");
}

TEST_F(Commands, AnotherRequestUnderTheKeyIsRefusedAndToldWhatDiffers) {
  Answer("k", "done");
  for (bool restarted : {false, true}) {
    if (restarted) PowerCut();
    told_.clear();
    EXPECT_FALSE(Begin("k", {{"deployment_id", "aa"}, {"full", "cc"}, {"etag", "dd"}}).has_value());
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_EQ(told_[0].status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(ReasonOf(told_[0].status()), "IDEMPOTENCY_KEY_REUSED");
    EXPECT_THAT(std::string(StdView(told_[0].status().message())),
                ::testing::EndsWith("this one differs in etag, full"));
  }
}

TEST_F(Commands, AFailureIsForgotten) {
  std::optional<CommandClaim> claim = Begin("k");
  CarryOut(*claim);
  EXPECT_FALSE(Begin("k").has_value());
  Settle(*claim, absl::UnavailableError("no"));
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_FALSE(told_[0].ok() || told_[1].ok());
  EXPECT_EQ(rows(), 0U);
  EXPECT_TRUE(IsFirst("k"));
}

// The three places where the process can die.
TEST_F(Commands, WhatWasNotJournaledWasNotClaimed) {
  std::optional<CommandClaim> claim = Begin("k");
  ASSERT_TRUE(claim.has_value());
  PowerCut();
  std::optional<CommandClaim> again = Begin("k");
  ASSERT_TRUE(again.has_value());
  EXPECT_FALSE(again->earlier);
}

TEST_F(Commands, AClaimWithoutAnAnswerIsGivenOutAgain) {
  CarryOut(*Begin("k"));
  PowerCut();
  std::optional<CommandClaim> again = Begin("k");
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(again->earlier);
  EXPECT_EQ(again->record.deployment, DeploymentId(7));
  EXPECT_FALSE(Begin("k").has_value()) << "somebody is at it";
  Settle(*again, std::string("made from the record"));
  ASSERT_EQ(told_.size(), 2U);
  PowerCut();
  EXPECT_FALSE(Begin("k").has_value());
  ASSERT_EQ(told_.size(), 3U);
  EXPECT_EQ(*told_[2], "made from the record");
}

TEST_F(Commands, AnAnswerOutlivesAPowerCut) {
  Answer("k", "done");
  PowerCut();
  EXPECT_FALSE(Begin("k").has_value());
  ASSERT_EQ(told_.size(), 2U);
  EXPECT_EQ(*told_[1], "done");
}

TEST_F(Commands, OldOnesAreForgottenAlsoOverARestart) {
  Answer("early", "done");
  world_.RunFor(kCommandsKeptNs / 2);
  Answer("late", "done");
  PowerCut();
  world_.RunFor(kCommandsKeptNs / 2 - 1);
  EXPECT_FALSE(IsFirst("early"));
  world_.RunFor(1);
  EXPECT_TRUE(IsFirst("early"));
  EXPECT_FALSE(IsFirst("late"));
  EXPECT_EQ(rows(), 1U);
  CarryOut(*Begin("claimed"));
  PowerCut();
  world_.RunFor(kCommandsKeptNs);
  PowerCut();
  EXPECT_EQ(rows(), 0U) << "nobody came back for the claim";
}

TEST_F(Commands, TheOldestMakesRoom) {
  for (size_t i = 0; i < kMaxCommandsKept; ++i) Answer(StrCat("k", i), "done");
  EXPECT_FALSE(IsFirst("k0"));
  Answer("one more", "done");
  EXPECT_TRUE(IsFirst("k0"));
  EXPECT_FALSE(IsFirst("k1"));
  EXPECT_EQ(rows(), kMaxCommandsKept);
  PowerCut();
  EXPECT_TRUE(IsFirst("k0"));
  EXPECT_FALSE(IsFirst("k1"));
  Answer("large", std::string(kMaxCommandsKeptBytes, 'x'));
  EXPECT_EQ(rows(), 0U) << "larger than all there is room for";
}

TEST_F(Commands, TooManyAtOnceAreRefused) {
  std::vector<CommandClaim> claims;
  for (size_t i = 0; i < kMaxCommandsRunning; ++i) claims.push_back(*Begin(StrCat("k", i)));
  EXPECT_FALSE(Begin("one more").has_value());
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(ReasonOf(told_[0].status()), "TOO_MANY_COMMANDS");
  Settle(claims[0], std::string("done"));
  EXPECT_TRUE(Begin("one more").has_value());
}

TEST_F(Commands, LongKeysAreRefusedByName) {
  EXPECT_TRUE(IsFirst(std::string(kMaxIdempotencyKeyBytes, 'k')));
  told_.clear();
  EXPECT_FALSE(IsFirst(std::string(kMaxIdempotencyKeyBytes + 1, 'k')));
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(told_[0].status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(told_[0].status()), "idempotency_key");
}

}  // namespace
}  // namespace caxton::controller
