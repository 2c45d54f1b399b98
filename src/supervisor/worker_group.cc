// SPDX-License-Identifier: Apache-2.0
#include "worker_group.h"

#include <algorithm>
#include <utility>

namespace caxton::supervisor {

WorkerGroup::WorkerGroup(const Revision& revision, GroupHost* host, StepSink* sink,
                         const Clock* clock)
    : ref_(revision.ref), host_(*host), sink_(*sink) {
  for (int i = 0; i < std::max(revision.limits.instances, 1); ++i) {
    lanes_.push_back(std::make_unique<Lane>(this, clock));
  }
}

bool WorkerGroup::TryDispatch(const DispatchOrder& order) {
  if (Offer(order)) return true;
  // Answers that came before this line saw nobody waiting: look once more after saying so.
  room_wanted_.store(true);
  if (Offer(order)) return true;
  if (order.alone) ReserveLane();
  return false;
}

bool WorkerGroup::Offer(const DispatchOrder& order) {
  Lane* least = nullptr;
  for (const auto& lane : lanes_) {
    if (lane->load() == Lane::kDownLoad) continue;
    if (least == nullptr || lane->load() < least->load()) least = lane.get();
  }
  if (least == nullptr) return false;
  if (Accept(*least, order)) return true;
  for (const auto& lane : lanes_) {
    if (lane.get() != least && lane->load() != Lane::kDownLoad && Accept(*lane, order)) return true;
  }
  return false;
}

bool WorkerGroup::Accept(Lane& lane, const DispatchOrder& order) {
  const Lane::Taken taken = lane.TryDispatch(order);
  if (taken == Lane::Taken::kNever) host_.TooLarge(this, order.input.ticket);
  return taken != Lane::Taken::kNotNow;
}

void WorkerGroup::ReserveLane() {
  Lane* least = nullptr;
  for (const auto& lane : lanes_) {
    if (lane->load() == Lane::kDownLoad) continue;
    if (lane->reserved()) return;
    if (least == nullptr || lane->load() < least->load()) least = lane.get();
  }
  if (least != nullptr) least->Reserve();
}

void WorkerGroup::Flush() {
  for (const auto& lane : lanes_) lane->Flush();
}

void WorkerGroup::Interrupt(Ticket ticket) {
  for (const auto& lane : lanes_) lane->Interrupt(ticket);
}

void WorkerGroup::InterruptAll() {
  for (const auto& lane : lanes_) lane->InterruptAll();
}

void WorkerGroup::SetBackground(bool background) {
  for (const auto& lane : lanes_) lane->SetBackground(background);
}

WorkersStatus WorkerGroup::status() const {
  WorkersStatus status;
  for (const auto& lane : lanes_) {
    const uint32_t load = lane->load();
    const bool ready = load != Lane::kDownLoad;
    status.processes.push_back(
        {.pid = lane->pid(), .ready = ready, .outstanding = ready ? load : 0});
    if (!ready) continue;
    ++status.running;
    status.outstanding += load;
    std::string note;
    status.health_pending |= lane->HealthPending();
    if (!lane->Healthy(&note)) {
      status.healthy = false;
      status.note = std::move(note);
    }
  }
  if (status.running == 0) {
    status.healthy = false;
    status.note = "no worker is running";
  }
  status.restarts = restarts_.load(std::memory_order_relaxed);
  status.memory_bytes = memory_bytes_.load(std::memory_order_relaxed);
  status.cpu_usec = cpu_usec_.load(std::memory_order_relaxed);
  return status;
}

void WorkerGroup::OnReady(Lane* lane, ipc::Ready ready) {
  host_.LaneReady(this, lane, std::move(ready));
}

void WorkerGroup::OnResult(StepResult result) {
  if (!silent_.load(std::memory_order_relaxed)) sink_.OnResult(ref_, std::move(result));
}

void WorkerGroup::OnLost(std::vector<LostStep> lost, std::string cause) {
  if (!silent_.load()) sink_.OnLost(ref_, std::move(lost), std::move(cause));
}

void WorkerGroup::OnLog(std::vector<LogLine> lines) {
  if (!silent_.load()) sink_.OnLog(ref_, std::move(lines));
}

void WorkerGroup::OnRoom() {
  if (!room_wanted_.load(std::memory_order_relaxed) || silent_.load()) return;
  if (room_wanted_.exchange(false)) sink_.OnRoom(ref_);
}

void WorkerGroup::OnReaderEnded(Lane* lane) { host_.LaneEnded(this, lane); }

void WorkerGroup::LookForRoom() {
  if (!room_wanted_.load(std::memory_order_relaxed)) return;
  for (const auto& lane : lanes_) {
    if (lane->HasRoom()) return OnRoom();
  }
}

void WorkerGroup::NoteUsage(uint64_t memory_bytes, uint64_t cpu_usec) {
  memory_bytes_.store(memory_bytes, std::memory_order_relaxed);
  cpu_usec_.store(cpu_usec, std::memory_order_relaxed);
}

}  // namespace caxton::supervisor
