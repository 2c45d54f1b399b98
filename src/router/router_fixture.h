// SPDX-License-Identifier: Apache-2.0
//
// RouterFixture: a router for tests, with a real journal on a simulated disk, scripted workers and
// one clock.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caxton/base/testing/sim_world.h"
#include "caxton/journal/journal.h"
#include "caxton/journal/testing/mem_store.h"
#include "caxton/router/router.h"
#include "caxton/supervisor/testing/fake_supervisor.h"

namespace caxton::router {

inline constexpr int64_t kMilli = kNanosPerMilli;
inline constexpr int64_t kSecond = kNanosPerSecond;
inline constexpr AgentId kAgent{1};
inline constexpr RevisionRef kLive{kAgent, RevisionNumber(1)};

class RouterFixture : public ::testing::Test, protected RouterObserver {
 protected:
  using ScriptedStep = supervisor::testing::ScriptedStep;
  using Script = std::function<ScriptedStep(const Envelope&)>;
  struct Ran {
    RevisionRef revision;
    StepInput input;
    Envelope envelope;
  };

  // `unscripted`: of revisions that have nothing in scripts_.
  explicit RouterFixture(Script unscripted) {
    auto opened =
        journal::Journal::Open(&store_, world_.NewExecutor(), &world_, journal::JournalOptions(),
                               [](const absl::Status&) { FAIL() << "the disk writes"; });
    journal_ = *std::move(opened);
    RouterDeps deps{.journal = journal_.get(), .clock = &world_, .random = &random_};
    deps.shards = {world_.NewExecutor(), world_.NewExecutor()};
    deps.observer = this;
    deps.mirror = world_.NewExecutor();
    router_ = Router::Make(std::move(deps));
    supervisor_ = std::make_unique<supervisor::testing::FakeSupervisor>(
        world_.NewExecutor(), &world_,
        [this, unscripted = std::move(unscripted)](const Revision& revision, const StepInput& input,
                                                   const Envelope& envelope) {
          ran_.push_back({revision.ref, input, envelope});
          auto script = scripts_.find(revision.ref);
          return script != scripts_.end() ? script->second(envelope) : unscripted(envelope);
        });
    supervisor_->SetSink(router_.get());
    route_.id = kAgent;
    route_.name = "agent";
    route_.load = std::make_shared<AgentLoad>();
  }

  RevisionRoute Prepare(RevisionRef ref, int64_t deadline_ns = kSecond, int max_attempts = 0) {
    auto revision = std::make_shared<Revision>();
    revision->agent = "agent";
    revision->ref = ref;
    revision->limits.deadline_ns = deadline_ns;
    revision->limits.max_message_bytes = 4 << 20;
    if (max_attempts > 0) revision->delivery.max_attempts = max_attempts;
    RevisionRoute route{revision, nullptr, std::make_shared<RevisionLoad>()};
    supervisor_->Prepare(*revision, kSecond, [&route](supervisor::Supervisor::Prepared prepared) {
      route.workers = *std::move(prepared);
    });
    world_.RunUntil([&route] { return route.workers != nullptr; }, kSecond);
    return route;
  }
  void Publish() { router_->Publish(std::make_shared<AgentRoute>(route_)); }

  caxton::testing::SimWorld world_;
  SeededRandom random_{1};
  journal::testing::MemStore store_;
  std::map<RevisionRef, Script> scripts_;
  std::vector<Ran> ran_;
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<supervisor::testing::FakeSupervisor> supervisor_;
  AgentRoute route_;
};

}  // namespace caxton::router
