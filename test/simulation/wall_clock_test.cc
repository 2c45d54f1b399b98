// SPDX-License-Identifier: Apache-2.0
//
// Somebody sets the wall clock, a day forward or back, in the middle of a stage or of a cleanup
// window. No stage is longer or shorter for it and no verdict another one: the whole course of a
// deployment is the same, to the nanosecond, as without.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using supervisor::testing::EchoScript;
using supervisor::testing::Script;
using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kDay = int64_t{24} * 3'600 * kSecond;
constexpr int64_t kBetweenMessages = 200 * kNanosPerMilli;

struct Jump {
  int64_t at_ns = 0;  // from the beginning
  int64_t by_ns = 0;
};

class WallClock : public ::testing::Test {
 protected:
  // What one server did: its transitions, and every ten seconds how far its deployment has come.
  std::vector<std::string> Course(const std::vector<Jump>& jumps, int64_t crash_at_ns = -1) {
    SimServer server;
    const Digest one = server.AddModule("one", EchoScript());
    const Digest two = server.AddModule("two", Candidate(server));
    EXPECT_TRUE(server.Deploy(SimServer::Direct("agent", one)).ok());
    EXPECT_TRUE(server.Await("agent", deployment::DeploymentState::kRunning));
    std::vector<std::string> course;
    server.on_transition = [&](const DeploymentView& view) {
      course.push_back(StrCat(server.world.MonoNanos(), " ", view.status.id.value(), " ",
                              server.transitions.back().second, " ", view.status.verdict.text));
    };
    DeployRequest request =
        SimServer::Canary("agent", two, "20:60s,50:60s", "error_rate > 5%, p99_latency > 100ms");
    for (StageSpec& stage : request.spec.stages) stage.min_samples = 10;
    request.spec.cleanup_ns = 60 * kSecond;
    EXPECT_TRUE(server.Deploy(request).ok());
    begun_ns_ = server.world.MonoNanos();
    for (int i = 0; i < 1'000; ++i) {
      const int64_t age_ns = i * kBetweenMessages;
      for (const Jump& jump : jumps) {
        if (jump.at_ns == age_ns) server.world.JumpWall(jump.by_ns);
      }
      if (crash_at_ns == age_ns) {
        server.Crash();
        server.Start();
      }
      callers_.push_back(server.Request(SimServer::To("agent", StrCat(i), StrCat("k", i % 97))));
      server.world.RunFor(kBetweenMessages);
      if (i % 50 != 0) continue;
      const DeploymentView view = *server.Get("dep-2");
      course.push_back(StrCat(age_ns, ": ", view.status.WeightPpm(), " ", view.elapsed_ns, " of ",
                              view.elapsed_ns + view.remaining_ns));
    }
    server.world.RunFor(kSecond);
    EXPECT_EQ(server.CheckCounters(), "");
    return course;
  }
  virtual Script Candidate(const SimServer&) { return EchoScript(); }

  int64_t begun_ns_ = 0;
  std::vector<std::shared_ptr<Caller>> callers_;
};

// In the first stage, in the second, in the cleanup window.
const std::vector<int64_t> kWhen = {30 * kSecond, 90 * kSecond, 150 * kSecond};

TEST_F(WallClock, NoStageIsLongerOrShorterForIt) {
  const std::vector<std::string> plain = Course({});
  ASSERT_THAT(plain, Contains(HasSubstr("2 CleanupElapsed")));
  for (const int64_t by_ns : {kDay, -kDay}) {
    for (const int64_t at_ns : kWhen) {
      SCOPED_TRACE(StrCat("at ", at_ns / kSecond, " s by ", by_ns / kSecond, " s"));
      EXPECT_EQ(Course({{at_ns, by_ns}}), plain);
    }
  }
  EXPECT_EQ(Course({{kWhen[0], kDay}, {kWhen[1], -2 * kDay}, {kWhen[2], kDay}}), plain);
  for (const auto& caller : callers_) EXPECT_TRUE(caller->ok());
}

TEST_F(WallClock, NorAfterARestart) {
  for (const int64_t at_ns : kWhen) {
    const std::vector<std::string> plain = Course({}, at_ns);
    ASSERT_THAT(plain, Contains(HasSubstr("2 CleanupElapsed")));
    for (const int64_t by_ns : {kDay, -kDay}) {
      SCOPED_TRACE(StrCat("at ", at_ns / kSecond, " s by ", by_ns / kSecond, " s"));
      EXPECT_EQ(Course({{at_ns, by_ns}}, at_ns), plain);
    }
  }
}

// Slow from the middle of the second stage on: a verdict by seconds with traffic.
class SlowCandidate : public WallClock {
 protected:
  Script Candidate(const SimServer& server) override {
    return [this, &server](const Revision& revision, const StepInput& input,
                           const Envelope& envelope) {
      const bool slow = server.world.MonoNanos() - begun_ns_ > 80 * kSecond;
      return EchoScript((slow ? 150 : 1) * kNanosPerMilli)(revision, input, envelope);
    };
  }
};

TEST_F(SlowCandidate, IsFoundOutInTheSameInstant) {
  const std::vector<std::string> plain = Course({});
  ASSERT_THAT(plain, Contains(::testing::ContainsRegex("2 JudgeVerdict .*p99_latency > 100ms")));
  for (const int64_t by_ns : {kDay, -kDay}) {
    for (const int64_t at_ns : {30 * kSecond, 82 * kSecond}) {
      SCOPED_TRACE(StrCat("at ", at_ns / kSecond, " s by ", by_ns / kSecond, " s"));
      EXPECT_EQ(Course({{at_ns, by_ns}}), plain);
    }
  }
}

}  // namespace
}  // namespace caxton::controller::testing
