// SPDX-License-Identifier: Apache-2.0
//
// WorkerGroup: the lanes of one revision, as its RevisionWorkers. Chooses the lane for a step,
// passes the lanes' news on to the sink and to the supervisor.
//
// Lifecycle: made by the supervisor, which starts and retires the lanes' processes; may be held by
// others longer than that: without processes it refuses everything. Thread rule: as RevisionWorkers
// and LaneOwner.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "caxton/base/clock.h"
#include "caxton/model/revision.h"
#include "caxton/supervisor/revision_workers.h"
#include "worker_lane.h"

namespace caxton::supervisor {

class WorkerGroup;

// The supervisor, as its groups see it. Any thread; never blocks.
class GroupHost {
 public:
  virtual ~GroupHost() = default;
  virtual void LaneReady(WorkerGroup* group, Lane* lane, ipc::Ready ready) = 0;
  virtual void LaneEnded(WorkerGroup* group, Lane* lane) = 0;
  // A step that no channel can carry: answer it later, never inside TryDispatch.
  virtual void TooLarge(WorkerGroup* group, Ticket ticket) = 0;
};

class WorkerGroup final : public RevisionWorkers, public LaneOwner {
 public:
  // Host and sink outlive the group's processes, `clock` the group.
  WorkerGroup(const Revision& revision, GroupHost* host, StepSink* sink, const Clock* clock);

  RevisionRef revision() const override { return ref_; }
  bool TryDispatch(const DispatchOrder& order) override;
  void Flush() override;
  void Interrupt(Ticket ticket) override;
  void InterruptAll() override;
  void SetBackground(bool background) override;
  WorkersStatus status() const override;

  void OnReady(Lane* lane, ipc::Ready ready) override;
  void OnResult(StepResult result) override;
  void OnLost(std::vector<LostStep> lost, std::string cause) override;
  void OnLog(std::vector<LogLine> lines) override;
  void OnRoom() override;
  void OnReaderEnded(Lane* lane) override;

  // For the supervisor's thread.
  std::vector<std::unique_ptr<Lane>>& lanes() { return lanes_; }
  // Catches what OnRoom cannot know: reservations that lapsed, ring space given back late.
  void LookForRoom();
  void CountRestart() { restarts_.fetch_add(1, std::memory_order_relaxed); }
  void NoteUsage(uint64_t memory_bytes, uint64_t cpu_usec);
  // From now on the sink hears nothing.
  void Silence() { silent_.store(true); }

 private:
  bool Offer(const DispatchOrder& order);
  bool Accept(Lane& lane, const DispatchOrder& order);
  void ReserveLane();

  const RevisionRef ref_;
  GroupHost& host_;
  StepSink& sink_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::atomic<bool> silent_{false};
  std::atomic<bool> room_wanted_{false};  // TryDispatch answered false, OnRoom is owed
  std::atomic<int> restarts_{0};
  std::atomic<uint64_t> memory_bytes_{0}, cpu_usec_{0};
};

}  // namespace caxton::supervisor
