// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "caxton/base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "load_core.h"
#include "load_ledger.h"
#include "load_summary.h"
#include "load_verify.h"

namespace caxton::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Outcome = LoadResult::Outcome;

constexpr int64_t kMs = 1'000'000;

std::vector<uint64_t> Take(LoadCore* core, int64_t now, size_t max = 100) {
  std::vector<LoadMessage> batch;
  core->Take(now, max, &batch);
  std::vector<uint64_t> numbers;
  for (const LoadMessage& message : batch) numbers.push_back(message.number);
  return numbers;
}

LoadResult Answer(uint64_t number) { return {.number = number, .outcome = Outcome::kAnswered}; }
LoadResult Refusal(uint64_t number) { return {.number = number, .outcome = Outcome::kRefused}; }

TEST(LoadCore, KeepsTheWindowAndCounts) {
  LoadCore core({.count = 3, .outstanding = 2});
  core.Start(0);
  EXPECT_THAT(Take(&core, 0), ElementsAre(1, 2));
  EXPECT_THAT(Take(&core, 0), IsEmpty());
  core.OnResult(5 * kMs, Answer(1));
  EXPECT_THAT(Take(&core, 5 * kMs), ElementsAre(3));
  core.OnResult(6 * kMs, Answer(2));
  core.OnResult(9 * kMs, {.number = 3, .outcome = Outcome::kAcked});
  EXPECT_THAT(Take(&core, 9 * kMs), IsEmpty());
  EXPECT_TRUE(core.Done());
  const LoadSummary summary = core.Summary(9 * kMs);
  EXPECT_EQ(summary.sent, 3u);
  EXPECT_EQ(summary.answered, 2u);
  EXPECT_EQ(summary.acknowledged, 1u);
  EXPECT_EQ(summary.lost, 0u);
  EXPECT_EQ(summary.elapsed_ns, 9 * kMs);
  EXPECT_EQ(OutcomeOf(summary), ExitCode::kDone);
}

TEST(LoadCore, KeepsTheRateAndMeasuresFromWhenAMessageWasDue) {
  LoadCore core({.count = 10, .rate = 1000, .outstanding = 1});
  core.Start(0);
  EXPECT_THAT(Take(&core, 0), ElementsAre(1));
  core.OnResult(10 * kMs, Answer(1));  // a stall of ten messages
  EXPECT_THAT(Take(&core, 10 * kMs), ElementsAre(2));
  core.OnResult(10 * kMs, Answer(2));  // was due at 1 ms
  EXPECT_GE(core.Summary(10 * kMs).latency.Quantile(0.01), 9 * kMs);
}

TEST(LoadCore, StopsAfterItsDuration) {
  LoadCore core({.duration_ns = 10 * kMs, .rate = 200, .outstanding = 10});
  core.Start(0);
  EXPECT_THAT(Take(&core, 0), ElementsAre(1));
  EXPECT_EQ(core.NextWake(0), 5 * kMs);
  EXPECT_THAT(Take(&core, 10 * kMs), IsEmpty());
  EXPECT_FALSE(core.issuing());
  EXPECT_FALSE(core.Done());
  core.OnResult(11 * kMs, Answer(1));
  EXPECT_TRUE(core.Done());
}

TEST(LoadCore, ARefusedKeyIsHeldUntilItCanGoAgainInOrder) {
  LoadCore core({.count = 6, .keys = 2, .outstanding = 5});
  core.Start(0);
  EXPECT_THAT(Take(&core, 0), ElementsAre(1, 2, 3, 4, 5));  // key 1: 1 3 5, key 0: 2 4
  core.OnResult(kMs, Answer(1));
  core.OnResult(kMs, Refusal(3));
  core.OnResult(kMs, Answer(2));
  EXPECT_THAT(Take(&core, kMs), ElementsAre(6));   // key 0 goes on
  EXPECT_THAT(Take(&core, 100 * kMs), IsEmpty());  // 5 has no answer yet
  core.OnResult(100 * kMs, Refusal(5));
  EXPECT_THAT(Take(&core, 200 * kMs), ElementsAre(3, 5));
  for (uint64_t number : {4, 6, 3, 5}) core.OnResult(201 * kMs, Answer(number));
  const LoadSummary summary = core.Summary(201 * kMs);
  EXPECT_TRUE(core.Done());
  EXPECT_EQ(summary.refused, 2u);
  EXPECT_EQ(summary.resent, 2u);
  EXPECT_EQ(summary.out_of_order, 0u);
  EXPECT_EQ(OutcomeOf(summary), ExitCode::kDone);
}

TEST(LoadCore, WaitsAsLongAsTheServerSays) {
  LoadCore core({.count = 1, .keys = 1});
  core.Start(0);
  Take(&core, 0);
  core.OnResult(0, {.number = 1, .outcome = Outcome::kRefused, .retry_after_ns = 250 * kMs});
  EXPECT_THAT(Take(&core, 249 * kMs), IsEmpty());
  EXPECT_EQ(core.NextWake(249 * kMs), 250 * kMs);
  EXPECT_THAT(Take(&core, 250 * kMs), ElementsAre(1));
}

TEST(LoadCore, ALostConnectionSendsTheUnansweredAgainInOrder) {
  LoadCore core({.count = 5, .keys = 2, .outstanding = 4});
  core.Start(0);
  EXPECT_THAT(Take(&core, 0), ElementsAre(1, 2, 3, 4));
  core.OnResult(kMs, Answer(2));
  core.OnResult(kMs, Refusal(1));
  core.OnDisconnected();
  EXPECT_THAT(Take(&core, 2 * kMs), ElementsAre(1, 3, 4, 5));
  const LoadSummary summary = core.Summary(2 * kMs);
  EXPECT_EQ(summary.sent, 5u);
  EXPECT_EQ(summary.resent, 3u);
  EXPECT_EQ(summary.lost, 4u);
}

TEST(LoadCore, CountsDoubledAnswersAndDisorder) {
  LoadCore core({.count = 3, .keys = 1});
  core.Start(0);
  Take(&core, 0);
  core.OnResult(1, Answer(2));
  core.OnResult(1, Answer(1));
  core.OnResult(1, Answer(2));
  const LoadSummary summary = core.Summary(1);
  EXPECT_EQ(summary.out_of_order, 1u);
  EXPECT_EQ(summary.doubled, 1u);
  EXPECT_EQ(summary.lost, 1u);
  EXPECT_EQ(OutcomeOf(summary), ExitCode::kFailed);
}

TEST(LoadCore, GoesOnFromALedger) {
  LoadCore core({.count = 1, .first_number = 8});
  core.Restore(3);
  core.Restore(5);
  core.Start(0);
  EXPECT_THAT(Take(&core, 0), ElementsAre(3, 5, 8));
}

TEST(LoadCore, HeldMessagesThatNeverWentOutAreNotLost) {
  LoadCore core({.count = 3, .keys = 1, .outstanding = 2});
  core.Start(0);
  EXPECT_THAT(Take(&core, 0), ElementsAre(1, 2));
  core.OnResult(0, Answer(2));
  core.OnResult(0, Refusal(1));
  EXPECT_THAT(Take(&core, 0), IsEmpty());  // 3 is made and waits behind 1
  EXPECT_EQ(core.unanswered(), 2u);
  EXPECT_EQ(core.Summary(0).lost, 1u);
}

TEST(LoadContent, IsRecognizedWithinOtherText) {
  const LoadOptions options{.size = 64, .run = "ab12cd34"};
  const std::string content = LoadContent(options, 12, 3);
  EXPECT_EQ(content.size(), 64u);
  LoadMark mark;
  ASSERT_TRUE(FindLoadMark(StrCat("{\"n=x, Hello, ", content, "\"}"), &mark));
  EXPECT_EQ(mark.number, 12u);
  EXPECT_EQ(mark.key, 3);
  EXPECT_EQ(mark.run, "ab12cd34");
  EXPECT_FALSE(FindLoadMark("n=1 key=2", &mark));
  EXPECT_FALSE(FindLoadMark("", &mark));
  ASSERT_TRUE(FindLoadMark("n=1 key=-1 run=ff", &mark));
  EXPECT_EQ(mark.key, -1);
}

constexpr char kLedger[] =
    "caxton-load-ledger 1 run=ab12cd34 agent=head mode=send keys=2\n"
    "S 1 100\nS 2 100\nS 3 101\nA 1 150 m-1\nX 3 151 RESOURCE_EXHAUSTED QUEUE_FULL\n"
    "S 4 160\nE 4 170 INTERNAL\nS 5 180\nA 5 190 m-5\nA 5 191 m-5\n";

TEST(Ledger, KnowsEachMessage) {
  const auto ledger = ParseLedger(kLedger);
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  EXPECT_EQ(ledger->header,
            (LedgerHeader{.run = "ab12cd34", .agent = "head", .request = false, .keys = 2}));
  EXPECT_EQ(ledger->Get(1), LedgerStatus::kAcked);
  EXPECT_EQ(ledger->Get(3), LedgerStatus::kRefused);
  EXPECT_EQ(ledger->Get(4), LedgerStatus::kFailed);
  EXPECT_EQ(ledger->Get(9), LedgerStatus::kUnused);
  EXPECT_THAT(ledger->Unfinished(), ElementsAre(2, 3));
  EXPECT_EQ(ledger->last_number(), 5u);
  EXPECT_EQ(ledger->doubled(), 1u);
}

TEST(Ledger, ForgivesATornEndOnly) {
  const std::string torn = StrCat(kLedger, "A 2 15");
  EXPECT_EQ(ParseLedger(torn)->Get(2), LedgerStatus::kSent);
  EXPECT_FALSE(ParseLedger(StrCat(kLedger, "garbage\n")).ok());
  EXPECT_FALSE(ParseLedger(StrCat(kLedger, "A 0 1\n")).ok());
  EXPECT_FALSE(ParseLedger("something else\n").ok());
  EXPECT_FALSE(ParseLedger("").ok());
}

TEST(Ledger, WritesWhatItReads) {
  std::string path = ::testing::TempDir() + "/ledger-XXXXXX";
  const int fd = mkstemp(path.data());
  ASSERT_GE(fd, 0);
  close(fd);
  const LedgerHeader header{.run = "ab12cd34", .agent = "head", .request = true, .keys = 0};
  {
    auto writer = LedgerWriter::Open(path, header);
    ASSERT_TRUE(writer.ok()) << writer.status();
    writer->Append(FormatEntry('S', 1, 10, ""));
    writer->Append("Y 1 2");  // killed here
    ASSERT_TRUE(writer->Flush().ok());
  }
  {
    auto writer = LedgerWriter::Open(path, header);
    ASSERT_TRUE(writer.ok()) << writer.status();
    writer->Append(FormatEntry('Y', 1, 20, "INFORM"));
    ASSERT_TRUE(writer->Flush().ok());
  }
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(),
            "caxton-load-ledger 1 run=ab12cd34 agent=head mode=request keys=0\nS 1 10\n"
            "Y 1 20 INFORM\n");
  EXPECT_EQ(ParseLedger(text.str())->Get(1), LedgerStatus::kAnswered);
  unlink(path.c_str());
}

Ledger Acked(uint64_t count) {
  Ledger ledger;
  ledger.header.run = "ab12cd34";
  for (uint64_t number = 1; number <= count; ++number) ledger.Set(number, LedgerStatus::kAcked);
  return ledger;
}

std::string Mark(uint64_t number, int key) {
  return LoadContent({.size = 0, .run = "ab12cd34"}, number, key);
}

TEST(Verify, FindsLossDoublingAndDisorder) {
  const Ledger ledger = Acked(5);
  TailVerifier verifier("end", "ab12cd34");
  verifier.OnEvent(Mark(2, 0), "handled");
  verifier.OnEvent(Mark(1, 1), "handled");
  verifier.OnEvent("n=1 key=1 run=00000000 ", "handled");  // another load's
  verifier.OnEvent("hello", "handled");
  verifier.OnEvent(Mark(5, 1), "handled");
  verifier.OnEvent(Mark(3, 1), "handled");
  verifier.OnEvent(Mark(3, 1), "handled");
  EXPECT_EQ(verifier.Result(ledger).lost, 1u);
  TailSummary result = verifier.Result(ledger);
  EXPECT_EQ(result.expected, 5u);
  EXPECT_EQ(result.handled, 4u);
  EXPECT_EQ(result.lost, 1u);
  EXPECT_EQ(result.doubled, 1u);
  EXPECT_EQ(result.out_of_order, 1u);
  EXPECT_EQ(OutcomeOf(result), ExitCode::kFailed);
}

TEST(Verify, ADeadLetterIsNotLostAndAGapDecidesNothing) {
  const Ledger ledger = Acked(2);
  TailVerifier verifier("end", "ab12cd34");
  verifier.OnEvent(Mark(1, 0), "dead-lettered");
  EXPECT_EQ(verifier.Result(ledger).lost, 1u);
  verifier.OnGap();
  EXPECT_EQ(OutcomeOf(verifier.Result(ledger)), ExitCode::kInconclusive);
  verifier.OnEvent(Mark(2, 0), "handled");
  EXPECT_EQ(OutcomeOf(verifier.Result(ledger)), ExitCode::kDone);
}

// A tail that begins late: keys 0 and 1 by turns, only messages from 5 on were kept.
TEST(Verify, WhatIsOlderThanTheTailMayBeForgotten) {
  Ledger ledger = Acked(10);
  ledger.header.keys = 2;
  TailVerifier verifier("end", "ab12cd34");
  for (uint64_t number = 5; number <= 10; ++number) {
    verifier.OnEvent(Mark(number, static_cast<int>(number % 2)), "handled");
  }
  EXPECT_EQ(OutcomeOf(verifier.Result(ledger)), ExitCode::kFailed);
  verifier.OnLateBeginning(UINT64_MAX);
  const TailSummary result = verifier.Result(ledger);
  EXPECT_EQ(result.lost, 4u);
  EXPECT_EQ(result.forgotten, 4u);
  EXPECT_TRUE(result.gap);
  EXPECT_EQ(OutcomeOf(result), ExitCode::kInconclusive);
  // But not what was sent while the tail was read along.
  verifier.OnLateBeginning(3);
  EXPECT_EQ(verifier.Result(ledger).forgotten, 2u);
  EXPECT_EQ(OutcomeOf(verifier.Result(ledger)), ExitCode::kFailed);
}

TEST(Verify, ALateBeginningExcusesNoLossInTheMiddleOrAtTheEnd) {
  for (const uint64_t missing : {7, 10, 6}) {
    for (const int keys : {0, 1, 2}) {
      Ledger ledger = Acked(10);
      ledger.header.keys = keys;
      TailVerifier verifier("end", "ab12cd34");
      for (uint64_t number = 4; number <= 10; ++number) {
        const int key = keys == 0 ? -1 : static_cast<int>(number % static_cast<uint64_t>(keys));
        if (number != missing) verifier.OnEvent(Mark(number, key), "handled");
      }
      verifier.OnLateBeginning(UINT64_MAX);
      const TailSummary result = verifier.Result(ledger);
      EXPECT_EQ(result.lost, 4u);
      EXPECT_EQ(result.forgotten, 3u);
      EXPECT_EQ(OutcomeOf(result), ExitCode::kFailed) << missing << " " << keys;
    }
  }
}

TEST(Verify, AKeyThatWentAheadOfTheBeginningMayBeForgotten) {
  Ledger ledger = Acked(12);
  ledger.header.keys = 4;
  TailVerifier verifier("end", "ab12cd34");
  // 6 (key 2) was handled before 4 and forgotten; key 1 was never seen, but its 9 is too far on.
  for (const uint64_t number : {4, 7, 8, 10, 11, 12}) {
    verifier.OnEvent(Mark(number, static_cast<int>(number % 4)), "handled");
  }
  verifier.OnLateBeginning(UINT64_MAX);
  const TailSummary result = verifier.Result(ledger);
  EXPECT_EQ(result.lost, 6u);       // 1 2 3 5 6 9
  EXPECT_EQ(result.forgotten, 5u);  // all but 9
}

TEST(Histogram, IsExactToTwoPercent) {
  Histogram histogram;
  for (int64_t i = 1; i <= 100'000; ++i) histogram.Add(i * 1000);
  for (double quantile : {0.5, 0.99, 0.999}) {
    const double exact = quantile * 1e8;
    EXPECT_NEAR(static_cast<double>(histogram.Quantile(quantile)), exact, exact * 0.02);
  }
  EXPECT_EQ(histogram.Quantile(1), 100'000'000);
  histogram.Add(INT64_MAX);
  histogram.Add(-5);
  EXPECT_EQ(histogram.max(), INT64_MAX);
  EXPECT_EQ(Histogram().Quantile(0.5), 0);
}

TEST(Summary, SaysEverythingInTextAndJson) {
  LoadSummary summary;
  summary.sent = 10;
  summary.answered = 9;
  summary.lost = 1;
  summary.elapsed_ns = 1'000'000'000;
  const TailSummary tail{.agent = "end", .expected = 9, .handled = 9};
  const TailSummary late{.agent = "end", .lost = 3, .forgotten = 2, .gap = true};
  EXPECT_THAT(TailText(late), HasSubstr("2 of what counts as lost may only be older"));
  EXPECT_THAT(SummaryText(summary), HasSubstr("lost          1\n"));
  EXPECT_THAT(SummaryText(summary), HasSubstr("throughput    9.0/s over 1s"));
  const std::string json = SummaryJson(&summary, &tail);
  EXPECT_THAT(json, HasSubstr("\"outOfOrder\": 0"));
  EXPECT_THAT(json, HasSubstr("\"agent\": \"end\""));
  EXPECT_EQ(OutcomeOf(summary), ExitCode::kFailed);
}

}  // namespace
}  // namespace caxton::cli
