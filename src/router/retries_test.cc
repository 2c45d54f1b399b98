// SPDX-License-Identifier: Apache-2.0
//
// Retries, by a whole router: when they come, and what they see.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/router/limits.h"
#include "router_fixture.h"

namespace caxton::router {
namespace {

constexpr int kAttempts = 14;  // the ninth retry's delay and those after it meet the cap
constexpr size_t kMessages = 40;
// What a run takes beside its delay: the step and the commits around it.
constexpr int64_t kSlackNs = kMilli;

class RetriesTest : public RouterFixture {
 protected:
  RetriesTest() : RouterFixture([](const Envelope&) { return ScriptedStep(); }) {
    route_.stable = Prepare(kLive, kSecond, kAttempts);
    Publish();
    scripts_[kLive] = [this](const Envelope& envelope) {
      started_[envelope.content].push_back(world_.MonoNanos());
      ScriptedStep step;
      step.duration_ns = 0;
      step.result.outcome = StepOutcome::kTrapped;
      return step;
    };
  }
  void Send(const std::string& content) {
    Envelope envelope;
    envelope.sender = "client:test";
    envelope.receiver = "agent";
    envelope.content = content;
    router_->Send(std::move(envelope),
                  [](const Answer& answer) { EXPECT_TRUE(answer.status.ok()); });
  }

  std::map<std::string, std::vector<int64_t>> started_;  // content -> when its runs began
};

TEST_F(RetriesTest, DelaysDoubleFromTheFirstToTheLongestWithJitter) {
  for (size_t i = 0; i < kMessages; ++i) Send(StrCat("m", i));
  world_.RunFor(kAttempts * kRetryLongestNs);
  ASSERT_EQ(started_.size(), kMessages);
  for (int retry = 1; retry < kAttempts; ++retry) {
    std::vector<int64_t> delays;
    for (const auto& [content, started] : started_) {
      ASSERT_EQ(started.size(), static_cast<size_t>(kAttempts)) << "max_attempts";
      delays.push_back(started[retry] - started[retry - 1]);
    }
    const auto [least, most] = std::minmax_element(delays.begin(), delays.end());
    const auto middle =
        static_cast<double>(std::min(kRetryFirstNs << (retry - 1), kRetryLongestNs));
    const auto lowest = static_cast<int64_t>(middle * (1 - kRetryJitter));
    const int64_t highest =
        std::min(static_cast<int64_t>(middle * (1 + kRetryJitter)), kRetryLongestNs);
    EXPECT_GE(*least, lowest) << "retry " << retry;
    EXPECT_LE(*most, highest + kSlackNs) << "retry " << retry;
    // Over 40 messages the jitter is used: a herd that failed together does not come back together.
    EXPECT_LT(static_cast<double>(*least), middle * 0.95) << "retry " << retry;
    EXPECT_GE(static_cast<double>(*most), std::min(middle * 1.05, 1.0 * kRetryLongestNs));
  }
}

TEST_F(RetriesTest, EveryRunSeesTheSameTimeAndSeed) {
  Send("one");
  world_.RunFor(kSecond);
  Send("two");
  world_.RunFor(kSecond);
  std::map<std::string, std::vector<StepInput>> inputs;
  for (const Ran& ran : ran_) inputs[ran.envelope.content].push_back(ran.input);
  ASSERT_GE(inputs["one"].size(), 4U);
  ASSERT_GE(inputs["two"].size(), 3U);
  for (const auto& [content, runs] : inputs) {
    for (const StepInput& run : runs) {
      EXPECT_EQ(run.time_ns, runs.front().time_ns) << content;
      EXPECT_EQ(run.seed, runs.front().seed) << content;
    }
  }
  EXPECT_LT(inputs["one"].front().time_ns, inputs["two"].front().time_ns);
  EXPECT_NE(inputs["one"].front().seed, inputs["two"].front().seed);
}

}  // namespace
}  // namespace caxton::router
