// SPDX-License-Identifier: Apache-2.0
//
// Seeded histories of the whole server: sends, requests, repeats, agent-to-agent steps, killed
// workers, deployments, rollbacks, kill -9 and power cuts; then what Caxton promises is checked
// against the rows of what was committed. A failure names its seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "caxton/base/strings.h"
#include "caxton/controller/testing/sim_server.h"

namespace caxton::controller::testing {
namespace {

using deployment::DeploymentState;
using supervisor::testing::Script;
using supervisor::testing::ScriptedStep;

constexpr uint64_t kSeeds = 120;  // CAXTON_SIM_SEEDS: another number
constexpr int kActions = 250;
constexpr int kKeys = 6;

uint64_t HashOf(const std::string& content) { return SipHash24(Salt{}, content); }

// Passes every message on to the ledger, under the same key. One message in 40 is poison.
ScriptedStep Relay(const Envelope& envelope) {
  ScriptedStep step;
  step.duration_ns = static_cast<int64_t>(HashOf(envelope.content) % 3000) * kNanosPerMicro;
  if (HashOf(envelope.content) % 40 == 0) {
    step.result = StepResult{.outcome = StepOutcome::kTrapped, .detail = "poison"};
    return step;
  }
  step.result.reply = Reply{Performative::kInform, envelope.content};
  OutgoingMessage sent;
  sent.to = "ledger";
  sent.key = envelope.key;
  sent.content = envelope.content;
  step.result.sends.push_back(std::move(sent));
  return step;
}

Script Good() {
  return [](const Revision&, const StepInput&, const Envelope& e) { return Relay(e); };
}
Script Trapping() {
  return [](const Revision&, const StepInput&, const Envelope& e) {
    ScriptedStep step = Relay(e);
    if (HashOf(e.content + "bad") % 4 == 0) {
      step.result = StepResult{.outcome = StepOutcome::kTrapped, .detail = "unreachable"};
    }
    return step;
  };
}
Script Crashing() {
  return [](const Revision&, const StepInput&, const Envelope& e) {
    ScriptedStep step = Relay(e);
    step.crash = HashOf(e.content + "crash") % 20 == 0;
    return step;
  };
}
Script Keeps() {
  return [](const Revision&, const StepInput&, const Envelope&) {
    return ScriptedStep{.duration_ns = 50 * kNanosPerMicro};
  };
}

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), server_({.seed = seed}) {
    server_.on_transition = [this](const DeploymentView& view) {
      const deployment::DeploymentStatus& s = view.status;
      if (!s.withdrawn || s.agent != "relay") return;
      const size_t rows = server_.Handled(server_.IdOf("relay")).size();
      withdrawn_.emplace(s.candidate.number, Withdrawn{s.id, rows});
    };
  }

  void Run() {
    Begin();
    for (int i = 0; i < kActions && !::testing::Test::HasFatalFailure(); ++i) Act();
    Settle();
    Check();
  }
  // A disk that says it synced and did not.
  void LieAboutSync() { server_.store.IgnoreSync(true); }
  const std::vector<std::string>& faults() const { return faults_; }
  size_t handled() const { return handled_; }
  size_t dead() const { return dead_; }
  size_t withdrawals() const { return withdrawn_.size(); }

 private:
  struct Sent {
    std::string content;
    std::shared_ptr<Caller> caller;
    bool request = false;
  };
  struct Withdrawn {
    DeploymentId deployment;
    size_t rows = 0;  // that were committed before
  };

  void Begin() {
    for (int i = 0; i < 3; ++i) {
      modules_.push_back(server_.AddModule(StrCat("good ", i), Good()));
      modules_.push_back(server_.AddModule(StrCat("trapping ", i), Trapping()));
      modules_.push_back(server_.AddModule(StrCat("crashing ", i), Crashing()));
    }
    const Digest ledger = server_.AddModule("ledger", Keeps());
    ASSERT_TRUE(server_.Deploy(SimServer::Direct("ledger", ledger)).ok());
    ASSERT_TRUE(server_.Await("ledger", DeploymentState::kRunning));
    DeployRequest first = SimServer::Direct("relay", modules_[0]);
    first.overrides.max_attempts = 3;
    first.overrides.instances = 2;
    ASSERT_TRUE(server_.Deploy(first).ok());
    ASSERT_TRUE(server_.Await("relay", DeploymentState::kRunning));
    ASSERT_TRUE(server_.Send(SimServer::To("ledger", "init", "init")) != nullptr);
    server_.world.RunReady();
  }

  void Act() {
    const uint64_t what = random_.Below(100);
    if (what < 45) {
      Message(/*request=*/false);
    } else if (what < 65) {
      Message(/*request=*/true);
    } else if (what < 75) {
      Keyed();
    } else if (what < 79) {
      KillWorker();
    } else if (what < 83) {
      Deploy();
    } else if (what < 85) {
      server_.controller->Rollback(
          {.target = "relay",
           .drain_ns = static_cast<int64_t>(random_.Below(2)) * 5 * kNanosPerMilli},
          [](absl::StatusOr<RollbackOutcome>) {});
    } else if (what < 86) {
      server_.controller->Promote({"relay", "", random_.Below(2) == 0, {}},
                                  [](absl::StatusOr<DeploymentView>) {});
    } else if (what < 88) {
      Crash();
    } else {
      server_.world.RunFor(static_cast<int64_t>(random_.Below(3'000)) * kNanosPerMilli);
    }
    server_.world.RunFor(static_cast<int64_t>(random_.Below(2'000)) * kNanosPerMicro);
  }

  void Message(bool request) {
    const std::string key = StrCat("k", random_.Below(kKeys));
    const std::string content = StrCat(key, ":", 100'000 + ++count_);
    Envelope envelope = SimServer::To("relay", content, key);
    if (request && random_.Below(8) == 0) envelope.delivery = Delivery::kVolatile;
    sent_.push_back({content,
                     request ? server_.Request(std::move(envelope)) : server_.Send(envelope),
                     request});
  }

  // A message with an idempotency key: a new one, or an earlier one again.
  void Keyed() {
    const uint64_t n = random_.Below(keyed_ + 2);
    if (n >= keyed_) ++keyed_;
    const std::string content = StrCat("keyed:", n);
    Envelope envelope = SimServer::To("relay", content, StrCat("i", n % 3));
    envelope.idempotency_key = StrCat("once-", n);
    sent_.push_back({content, server_.Request(std::move(envelope)), true});
  }

  void KillWorker() {
    const auto running = server_.supervisor->Running();
    if (!running.empty()) server_.supervisor->Kill(running[random_.Below(running.size())]);
  }

  void Deploy() {
    const Digest& module = modules_[random_.Below(modules_.size())];
    DeployRequest request =
        random_.Below(3) == 0
            ? SimServer::Direct("relay", module)
            : SimServer::Canary("relay", module, "30:2s,60:3s", "error_rate > 5%");
    request.force = true;
    request.spec.cleanup_ns = static_cast<int64_t>(random_.Below(4)) * kNanosPerSecond;
    request.spec.queue = random_.Below(2) == 0 ? QueuePolicy::kWait : QueuePolicy::kReplace;
    request.spec.on_inconclusive = OnInconclusive::kRollback;
    server_.controller->Deploy(std::move(request), [](absl::StatusOr<DeployOutcome>) {});
  }

  void Crash() {
    const bool power_cut = random_.Below(2) == 0;
    server_.Crash(power_cut ? CrashKind::kPowerCut : CrashKind::kKill, random_.Below(4));
    server_.Start();
    if (std::string wrong = server_.CheckCounters(); !wrong.empty()) Fault(wrong);
    // A withdrawal that the disk does not know is lost with all that it had fenced.
    const size_t rows = server_.Handled(server_.IdOf("relay")).size();
    for (auto it = withdrawn_.begin(); it != withdrawn_.end();) {
      auto view = server_.Get(deployment::DeploymentName(it->second.deployment));
      if (!view.ok() || !view->status.withdrawn) {
        it = withdrawn_.erase(it);
      } else {
        it->second.rows = std::min(it->second.rows, rows);
        ++it;
      }
    }
  }

  void Settle() {
    const AgentId relay = server_.IdOf("relay");
    const AgentId ledger = server_.IdOf("ledger");
    server_.world.RunUntil(
        [&] {
          return server_.journal->Counters(relay).waiting == 0 &&
                 server_.journal->Counters(ledger).waiting == 0 && server_.router->Running() == 0 &&
                 server_.router->UnwrittenRequests() == 0;
        },
        600 * kNanosPerSecond);
    server_.world.RunFor(5 * kNanosPerSecond);
  }

  void Fault(std::string what) { faults_.push_back(std::move(what)); }

  void Check() {
    const auto relayed = server_.Handled(server_.IdOf("relay"));
    const auto kept = server_.Handled(server_.IdOf("ledger"));
    std::set<std::string> done, dead, at_ledger;
    for (const auto& row : relayed) {
      if (!done.insert(row.envelope.content).second) Fault("twice: " + row.envelope.content);
    }
    for (const auto& row : server_.DeadLetters(server_.IdOf("relay"))) {
      const std::string& content = row.envelope.content;
      if (!dead.insert(content).second) Fault("two dead letters: " + content);
      if (done.contains(content)) Fault("handled and a dead letter: " + content);
    }
    for (const auto& row : kept) {
      const std::string& content = row.envelope.content;
      if (content != "init" && !at_ledger.insert(content).second) {
        Fault("twice at the ledger: " + content);
      }
    }
    if (at_ledger != done) Fault("the ledger has other messages than were handled");
    CheckCallers(done, dead);
    CheckOrder(relayed);
    CheckOrder(kept);
    for (const auto& [revision, withdrawn] : withdrawn_) {
      for (size_t i = withdrawn.rows; i < relayed.size(); ++i) {
        if (relayed[i].revision == revision) Fault("committed after its withdrawal");
      }
    }
    if (std::string wrong = server_.CheckCounters(); !wrong.empty()) Fault(wrong);
    if (server_.journal->TotalCounters().waiting != 0) Fault("still waiting at the end");
    if (server_.router->Running() != 0) Fault("still running at the end");
    if (server_.router->UnwrittenRequests() != 0) Fault("unwritten requests at the end");
    handled_ = done.size();
    dead_ = dead.size();
  }

  void CheckCallers(const std::set<std::string>& done, const std::set<std::string>& dead) {
    for (const Sent& sent : sent_) {
      if (sent.caller->answers > 1) Fault("answered twice: " + sent.content);
      if (!sent.caller->ok()) continue;
      const bool ended =
          done.contains(sent.content) || (!sent.request && dead.contains(sent.content));
      if (!ended) Fault("acknowledged and lost: " + sent.content);
      if (sent.request && sent.caller->answer->reply->content != sent.content) {
        Fault("another's reply: " + sent.content);
      }
    }
  }

  // Numbers grow within a key. Repeated messages may come late by their nature.
  void CheckOrder(const std::vector<journal::RetainedRecord>& rows) {
    std::map<std::string, std::string> last;
    for (const auto& row : rows) {
      const std::string& content = row.envelope.content;
      if (!content.starts_with("k") || content.starts_with("keyed")) continue;
      std::string& before = last[row.envelope.key];
      if (before >= content) Fault(StrCat("out of order: ", content, " after ", before));
      before = content;
    }
  }

  SeededRandom random_;
  SimServer server_;
  std::vector<Digest> modules_;
  std::vector<Sent> sent_;
  uint64_t keyed_ = 0;
  int count_ = 0;
  std::map<RevisionNumber, Withdrawn> withdrawn_;
  std::vector<std::string> faults_;
  size_t handled_ = 0;
  size_t dead_ = 0;
};

TEST(RandomHistories, KeepWhatIsPromised) {
  const char* more = std::getenv("CAXTON_SIM_SEEDS");
  const uint64_t seeds = more == nullptr ? kSeeds : std::strtoull(more, nullptr, 10);
  size_t handled = 0, dead = 0, withdrawals = 0;
  for (uint64_t seed = 1; seed <= seeds && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    History history(seed);
    history.Run();
    EXPECT_THAT(history.faults(), ::testing::IsEmpty());
    handled += history.handled();
    dead += history.dead();
    withdrawals += history.withdrawals();
  }
  // That much went on.
  EXPECT_GT(handled, seeds * 50);
  EXPECT_GT(dead, seeds / 2);
  EXPECT_GT(withdrawals, seeds / 2);
}

// The checkers prove themselves.
TEST(RandomHistories, NoticeADiskThatLies) {
  constexpr uint64_t kLyingSeeds = 3;
  for (uint64_t seed = 1; seed <= kLyingSeeds; ++seed) {
    History history(seed);
    history.LieAboutSync();
    history.Run();
    EXPECT_THAT(history.faults(), ::testing::Contains(::testing::HasSubstr("lost"))) << seed;
  }
}

}  // namespace
}  // namespace caxton::controller::testing
