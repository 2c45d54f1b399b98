// SPDX-License-Identifier: Apache-2.0
//
// Replays: runs kept messages on stable and on a candidate, in workers of their own, and tells what
// both did (docs/internals/history.md). Like the mirror it knows no journal, no shard and no
// caller: nothing a run does can be committed.
//
// Lifecycle: as the router's; its executor (the mirror's) ends before it. Thread rule: the public
// methods from any thread (they post); the rest is private and runs on the strand.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "caxton/base/clock.h"
#include "caxton/base/executor.h"
#include "caxton/base/random.h"
#include "caxton/router/replay.h"
#include "caxton/supervisor/revision_workers.h"

namespace caxton::router {

class Replays {
 public:
  Replays(Executor* executor, const Clock* clock, uint64_t order_seed);

  void Start(ReplayOrder order);
  void Stop(DeploymentId deployment);  // unknown: nothing happens

  // Of tickets whose place is kReplayPlace.
  void Result(RevisionRef revision, StepResult result);
  void Lost(RevisionRef revision, std::vector<supervisor::LostStep> lost, std::string cause);
  void Room(RevisionRef revision);

 private:
  // One message with what has come back of it. One of its two runs is dispatched at a time.
  struct Job {
    DeploymentId deployment;
    StepInput input;
    std::string message_id, content_type;
    std::string envelope;  // encoded; both runs read these bytes
    bool candidate_first = false;
    int kills = 0;  // workers that died of the run that is next or dispatched
    std::optional<MirrorSide> stable, candidate;
    int64_t dispatched_ns = 0;  // monotonic

    bool on_candidate() const;  // the run that is dispatched, or next
    bool done() const { return stable.has_value() && candidate.has_value(); }
  };
  struct Replay {
    ReplayOrder order;
    // In the order of the messages, but for second runs, which come first.
    std::deque<std::unique_ptr<Job>> waiting;
    size_t running = 0;
    ReplayEnd end;
    TimerId timer;
    const RevisionRoute& Target(const Job& job) const {
      return job.on_candidate() ? order.candidate : order.stable;
    }
  };

  void OnStart(ReplayOrder order);
  std::unique_ptr<Job> JobOf(const Replay& replay, const KeptMessage& message);
  void OnResult(RevisionRef revision, StepResult result, int64_t at_ns);
  void OnLost(const std::vector<supervisor::LostStep>& lost, const std::string& cause);
  void OnTimeUp(DeploymentId deployment);
  std::unique_ptr<Job> TakeRunning(Ticket ticket, Replay** of);
  void Settle(Replay* replay, std::unique_ptr<Job> job, MirrorSide side);
  void Pump(DeploymentId deployment);
  bool TryRun(const Replay& replay, std::unique_ptr<Job>& job);
  void InterruptRunning(DeploymentId deployment);
  void Finish(DeploymentId deployment);
  void Drop(DeploymentId deployment);

  Executor* const executor_;
  const Clock* const clock_;
  std::atomic<int64_t> active_{0};  // replays
  // The strand's.
  SeededRandom order_;
  uint64_t next_ticket_ = 1;
  absl::flat_hash_map<DeploymentId, std::unique_ptr<Replay>> replays_;
  absl::flat_hash_map<Ticket, std::unique_ptr<Job>> running_;
};

}  // namespace caxton::router
