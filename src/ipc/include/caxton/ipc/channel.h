// SPDX-License-Identifier: Apache-2.0
//
// Channel: everything the server and one worker share: a ring each way, the slot file, and a
// control block for what must not queue behind frames (interrupts, stop, heartbeat).
//
// Lifecycle: ServerChannel::Create -> add ChildFds() to SpawnOptions -> the worker calls
// WorkerChannel::Attach() -> frames (frames.h) -> Close() by the supervisor when the worker's pidfd
// says it ended; results published before that can still be read. A channel serves one worker
// process, never a second. Thread rule: one thread at a time uses a writer, one a reader; the
// control calls are for any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/base/mutex.h"
#include "caxton/ipc/limits.h"
#include "caxton/ipc/ring.h"
#include "caxton/ipc/slot.h"
#include "caxton/model/ids.h"
#include "caxton/platform/process.h"

namespace caxton::ipc {

// The shared page of the control block. Any field may hold anything.
struct ControlBlock {
  std::atomic<uint64_t> magic;
  alignas(64) std::atomic<uint32_t> interrupt_futex;  // bumped with every interrupt and stop
  std::atomic<uint32_t> stop;
  std::atomic<uint64_t> interrupt_through;  // every ticket up to here
  std::atomic<uint64_t> interrupts[kMaxPendingInterrupts];
  alignas(64) std::atomic<uint64_t> heartbeat;  // the worker's
};
static_assert(sizeof(ControlBlock) <= kControlBytes);

struct ChannelOptions {
  std::string name = "worker";  // of the slot file, and of the memory in /proc
  std::string slot_directory;   // empty: the slot is anonymous and dies with the processes
  size_t max_message_bytes = kDefaultMaxMessageBytes;  // sizes rings and frames
  size_t ring_bytes = 0;  // each way, a power of two; 0: what max_message_bytes needs
};

// The server's end. Addresses are stable.
class ServerChannel {
 public:
  static absl::StatusOr<std::unique_ptr<ServerChannel>> Create(const ChannelOptions& options);

  RingWriter& to_worker() { return writer_; }
  RingReader& from_worker() { return reader_; }
  // Descriptors for SpawnOptions::fds, under the numbers of limits.h. Valid while this lives.
  std::vector<platform::PassedFd> ChildFds() const;

  // Asks the worker to abandon the step of `ticket`, running or still queued. The step's result is
  // then kInterrupted. Beyond kMaxPendingInterrupts unanswered ones the oldest is forgotten: its
  // step runs to its deadline.
  void Interrupt(Ticket ticket);
  // The same for every ticket up to and including this one (withdrawal).
  void InterruptThrough(Ticket ticket);
  // Finish the running step, then exit; nothing can be sent to the worker from now on, its results
  // still come.
  void RequestStop();
  uint64_t heartbeat() const;
  // The message the worker says it is executing; invalid: none.
  Seq Executing() const { return slot_.Executing(); }

  // Wakes everyone who waits on either ring. Idempotent, any thread.
  void Close();
  bool closed() const { return reader_.view().closed(); }

 private:
  struct Parts;
  explicit ServerChannel(Parts parts);

  platform::UniqueFd control_fd_, to_fd_, from_fd_;
  platform::Mapping control_map_, to_map_, from_map_;
  SlotFile slot_;
  RingWriter writer_;
  RingReader reader_;
  std::atomic<uint32_t> next_interrupt_{0};
  Mutex interrupt_mutex_;
  uint64_t interrupt_through_ ABSL_GUARDED_BY(interrupt_mutex_) = 0;
};

// The worker's end.
class WorkerChannel {
 public:
  // From descriptors kControlFd..kSlotFd of this process, which it takes over; checks seals and
  // sizes.
  static absl::StatusOr<std::unique_ptr<WorkerChannel>> Attach(size_t max_message_bytes);
  // In-process (tests, benchmarks): the other end of `server`, by duplicates of its descriptors.
  static absl::StatusOr<std::unique_ptr<WorkerChannel>> AttachTo(const ServerChannel& server,
                                                                 size_t max_message_bytes);

  RingReader& from_server() { return reader_; }
  RingWriter& to_server() { return writer_; }

  // Brackets one step: sets the slot file's mark.
  void MarkExecuting(Seq seq) { slot_.Mark(seq); }
  void MarkIdle() { slot_.Mark(Seq()); }
  // Whether the server wants this step abandoned. A few nanoseconds to about 30 ns: for the epoch
  // callback, and once before a queued step starts.
  bool Interrupted(Ticket ticket) const;
  // For the ticker thread: sleeps until an interrupt or stop is signalled, or until `deadline_ns`;
  // `*seen` carries the position from call to call (start with 0). True: signalled; bump the epoch.
  bool WaitSignal(uint32_t* seen, int64_t deadline_ns) const;
  bool stop_requested() const;
  void Beat();
  void Close();

 private:
  struct Parts;
  explicit WorkerChannel(Parts parts);
  static absl::StatusOr<std::unique_ptr<WorkerChannel>> FromFds(std::vector<platform::UniqueFd> fds,
                                                                size_t max_message_bytes);

  platform::Mapping control_map_, reader_map_, writer_map_;
  SlotFile slot_;
  RingReader reader_;
  RingWriter writer_;
};

}  // namespace caxton::ipc
