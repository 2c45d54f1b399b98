// SPDX-License-Identifier: Apache-2.0
//
// The server dies inside every transition of every strategy, before and after its record is on the
// disk, under a steady load: every deployment goes on at the same stage, weight, elapsed time and
// evidence, nothing acknowledged is lost and nothing applied twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using deployment::DeploymentStatus;
using supervisor::testing::EchoScript;

constexpr int64_t kSecond = kNanosPerSecond;
constexpr int64_t kBetweenMessages = 50 * kNanosPerMilli;
constexpr int64_t kWholeRun = 40 * kSecond;

struct Scenario {
  const char* name;
  std::function<void(DeployRequest*)> shape;
};

std::vector<Scenario> Scenarios() {
  const auto canary = [](DeployRequest* r, const char* stages) {
    *r = SimServer::Canary("agent", r->module, stages, "error_rate > 1%");
    r->spec.on_inconclusive = OnInconclusive::kPromote;
  };
  return {
      {"direct", [](DeployRequest* r) { r->spec.cleanup_ns = 3 * kSecond; }},
      {"blue_green",
       [](DeployRequest* r) {
         r->spec.strategy = Strategy::kBlueGreen;
         r->spec.stages = {{.kind = StageKind::kWarmUp, .duration_ns = 3 * kSecond, .hold = true},
                           {.kind = StageKind::kSwitch}};
         r->spec.cleanup_ns = 3 * kSecond;
       }},
      {"canary",
       [canary](DeployRequest* r) {
         canary(r, "20:2s,50:2s");
         r->spec.cleanup_ns = 3 * kSecond;
       }},
      {"early_canary",
       [canary](DeployRequest* r) {
         canary(r, "20:9s,50:9s");
         r->spec.promote = PromoteWhen::kEarly;
         r->spec.cleanup_ns = 3 * kSecond;
       }},
      {"shadow",
       [](DeployRequest* r) {
         r->spec.strategy = Strategy::kShadow;
         r->spec.shadow_duration_ns = 5 * kSecond;
         r->spec.shadow_secondary = true;
       }},
  };
}

// One server under load, with a deployment of `scenario`.
class Life {
 public:
  explicit Life(const Scenario& scenario) {
    one_ = server_.AddModule("one", EchoScript());
    two_ = server_.AddModule("two", EchoScript());
    DeployRequest first = SimServer::Direct("agent", one_);
    first.spec.cleanup_ns = 0;
    EXPECT_TRUE(server_.Deploy(first).ok());
    EXPECT_TRUE(server_.Await("agent", DeploymentState::kRunning));
    server_.world.RunFor(kSecond);
    agent_ = server_.IdOf("agent");
    server_.on_transition = [this](const DeploymentView& view) { OnTransition(view); };
    request_ = SimServer::Direct("agent", two_);
    scenario.shape(&request_);
  }

  // Dies at the `n`th transition of the deployment (from 1; 0: never), or `delay_ns` after it.
  // False: it came to no such transition.
  bool Run(int n, int64_t delay_ns, CrashKind kind) {
    crash_at_ = n;
    delay_ns_ = delay_ns;
    Deploy();
    bool crashed = false;
    const int64_t until = server_.world.MonoNanos() + kWholeRun;
    while (server_.world.MonoNanos() < until) {
      Tell();
      server_.world.RunFor(kBetweenMessages);
      if (!crashed && due_ns_ >= 0 && server_.world.MonoNanos() >= due_ns_) {
        crashed = true;
        server_.Crash(kind);
        server_.Start();
        CheckResumed();
        Deploy();  // a client repeats what it has no answer to
      }
    }
    server_.world.RunFor(kWholeRun);
    return crashed || n == 0;
  }
  int transitions() const { return transitions_; }

  void CheckEnd(const char* scenario) {
    const DeploymentStatus status = server_.Get("dep-2")->status;
    const bool shadow = std::string_view(scenario) == "shadow";
    EXPECT_EQ(status.state, shadow ? DeploymentState::kDraining : DeploymentState::kRunning);
    EXPECT_TRUE(shadow ? status.drained : status.finalized);
    // Every acknowledged message was handled, once, and in the order of its key.
    std::map<std::string, int> handled;
    std::map<std::string, int> last;
    for (const journal::RetainedRecord& record : server_.Handled(agent_)) {
      ++handled[record.envelope.content];
      int number = 0;
      EXPECT_TRUE(ParseInt(record.envelope.content, &number));
      EXPECT_GT(number, last[record.envelope.key]) << record.envelope.key;
      last[record.envelope.key] = number;
    }
    for (const auto& [content, times] : handled) EXPECT_EQ(times, 1) << content;
    for (const auto& [content, caller] : told_) {
      if (caller->ok()) {
        EXPECT_EQ(handled[content], 1) << content << " was acknowledged";
      }
    }
    EXPECT_EQ(server_.CheckCounters(), "");
    EXPECT_GT(handled.size(), 500u) << "the load got on";
  }

 private:
  void Deploy() {
    auto told = server_.Once<DeployOutcome>(
        "this one", "",
        [this](CommandClaim claim, Done<DeployOutcome> done) {
          DeployRequest request = request_;
          request.terms.claim = std::move(claim);
          server_.controller->Deploy(std::move(request), std::move(done));
        },
        [](const DeployOutcome& made) { return StrCat(made.view.status.id.value()); });
    server_.world.RunUntil([&told] { return told->has_value(); }, kSecond);
    ASSERT_TRUE(told->has_value() && (*told)->ok());
    EXPECT_EQ(***told, "2") << "one deployment";
  }
  void Tell() {
    const std::string content = StrCat(++number_);
    told_.emplace_back(content,
                       server_.Send(SimServer::To("agent", content, StrCat("key ", number_ % 7))));
  }
  void OnTransition(const DeploymentView& view) {
    if (view.status.id != DeploymentId(2)) return;
    ++transitions_;
    seen_.push_back(view);
    if (transitions_ == crash_at_) due_ns_ = server_.world.MonoNanos() + delay_ns_;
  }
  // As one of the two records around the crash says; the clock may lag by a tick, never lead.
  void CheckResumed() {
    auto now = server_.Get("dep-2");
    if (!now.ok()) return;  // its first record was not on the disk: it was never acknowledged
    bool matches = false;
    for (size_t i = seen_.size() < 2 ? 0 : seen_.size() - 2; i < seen_.size(); ++i) {
      const DeploymentStatus& before = seen_[i].status;
      matches |= before.state == now->status.state && before.stage == now->status.stage &&
                 before.WeightPpm() == now->status.WeightPpm() &&
                 before.withdrawn == now->status.withdrawn;
    }
    EXPECT_TRUE(matches || seen_.size() < 2)
        << deployment::DeploymentStateName(now->status.state) << " stage " << now->status.stage;
    const DeploymentStatus& last = seen_.back().status;
    if (last.state == now->status.state && last.stage == now->status.stage) {
      EXPECT_LE(now->status.stage_elapsed_ns, last.stage_elapsed_ns + delay_ns_ + 2 * kSecond);
    }
  }

  SimServer server_;
  Digest one_, two_;
  AgentId agent_;
  DeployRequest request_;
  int number_ = 0;
  std::vector<std::pair<std::string, std::shared_ptr<Caller>>> told_;
  int transitions_ = 0;
  int crash_at_ = 0;
  int64_t delay_ns_ = 0;
  int64_t due_ns_ = -1;
  std::vector<DeploymentView> seen_;
};

class Crashes : public ::testing::TestWithParam<size_t> {};

TEST_P(Crashes, InEveryTransitionLoseNothing) {
  const Scenario scenario = Scenarios()[GetParam()];
  Life whole(scenario);
  ASSERT_TRUE(whole.Run(0, 0, CrashKind::kKill));
  whole.CheckEnd(scenario.name);
  const int transitions = whole.transitions();
  ASSERT_GE(transitions, 3);
  int crashes = 0;
  for (int n = 1; n <= transitions; ++n) {
    for (const CrashKind kind : {CrashKind::kKill, CrashKind::kPowerCut}) {
      // Before its record is on the disk, right after, and when its effects have begun.
      for (const int64_t delay_ns : {int64_t{0}, kNanosPerMilli, 30 * kNanosPerMilli}) {
        SCOPED_TRACE(StrCat(scenario.name, " transition ", n, " + ", delay_ns / kNanosPerMicro,
                            " us, ", kind == CrashKind::kKill ? "kill" : "power cut"));
        Life life(scenario);
        crashes += life.Run(n, delay_ns, kind) ? 1 : 0;
        life.CheckEnd(scenario.name);
        if (::testing::Test::HasFailure()) return;
      }
    }
  }
  EXPECT_EQ(crashes, transitions * 6);
}

INSTANTIATE_TEST_SUITE_P(EachStrategy, Crashes, ::testing::Range(size_t{0}, Scenarios().size()),
                         [](const auto& info) { return Scenarios()[info.param].name; });

}  // namespace
}  // namespace caxton::controller::testing
