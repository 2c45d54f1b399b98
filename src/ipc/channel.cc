// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/channel.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::ipc {
namespace {

constexpr uint64_t kChannelMagic = 0x314e414843584143;  // "CAXCHAN1"

ControlBlock* ControlOf(const platform::Mapping& mapping) {
  return reinterpret_cast<ControlBlock*>(mapping.data());
}

void Signal(ControlBlock* control) {
  control->interrupt_futex.fetch_add(1, std::memory_order_seq_cst);
  platform::FutexWake(&control->interrupt_futex, INT_MAX);
}

absl::StatusOr<platform::Mapping> MapControl(int fd) {
  RETURN_IF_ERROR(platform::CheckSealed(fd, platform::Seal::kSize));
  ASSIGN_OR_RETURN(const size_t size, platform::FdSize(fd));
  if (size != kControlBytes) {
    return absl::InvalidArgumentError(
        StrCat("worker channel: a control block of ", size, " bytes"));
  }
  return platform::Mapping::Map(fd, size, platform::Mapping::Access::kReadWrite);
}

}  // namespace

struct ServerChannel::Parts {
  platform::UniqueFd control_fd, to_fd, from_fd;
  platform::Mapping control_map, to_map, from_map;
  SlotFile slot;
  size_t max_frame;
};

ServerChannel::ServerChannel(Parts parts)
    : control_fd_(std::move(parts.control_fd)),
      to_fd_(std::move(parts.to_fd)),
      from_fd_(std::move(parts.from_fd)),
      control_map_(std::move(parts.control_map)),
      to_map_(std::move(parts.to_map)),
      from_map_(std::move(parts.from_map)),
      slot_(std::move(parts.slot)),
      writer_(RingView(to_map_)),
      reader_(RingView(from_map_), parts.max_frame) {}

absl::StatusOr<std::unique_ptr<ServerChannel>> ServerChannel::Create(
    const ChannelOptions& options) {
  const size_t ring_bytes =
      options.ring_bytes != 0 ? options.ring_bytes : RingBytesFor(options.max_message_bytes);
  ASSIGN_OR_RETURN(platform::UniqueFd control_fd,
                   platform::CreateMemfd(options.name + "-control", kControlBytes));
  RETURN_IF_ERROR(platform::SealMemfd(control_fd.get(), platform::Seal::kSize));
  ASSIGN_OR_RETURN(platform::UniqueFd to_fd, CreateRing(options.name + "-in", ring_bytes));
  ASSIGN_OR_RETURN(platform::UniqueFd from_fd, CreateRing(options.name + "-out", ring_bytes));
  ASSIGN_OR_RETURN(platform::Mapping control_map, MapControl(control_fd.get()));
  ASSIGN_OR_RETURN(platform::Mapping to_map, MapRing(to_fd.get()));
  ASSIGN_OR_RETURN(platform::Mapping from_map, MapRing(from_fd.get()));
  ASSIGN_OR_RETURN(SlotFile slot, options.slot_directory.empty()
                                      ? SlotFile::CreateAnonymous()
                                      : SlotFile::Create(options.slot_directory, options.name));
  ControlOf(control_map)->magic.store(kChannelMagic, std::memory_order_release);
  return std::unique_ptr<ServerChannel>(
      new ServerChannel(Parts{std::move(control_fd), std::move(to_fd), std::move(from_fd),
                              std::move(control_map), std::move(to_map), std::move(from_map),
                              std::move(slot), MaxFrameBytes(options.max_message_bytes)}));
}

std::vector<platform::PassedFd> ServerChannel::ChildFds() const {
  return {{control_fd_.get(), kControlFd},
          {to_fd_.get(), kToWorkerFd},
          {from_fd_.get(), kFromWorkerFd},
          {slot_.fd(), kSlotFd}};
}

void ServerChannel::Interrupt(Ticket ticket) {
  ControlBlock* control = ControlOf(control_map_);
  const uint32_t place = next_interrupt_.fetch_add(1) % kMaxPendingInterrupts;
  control->interrupts[place].store(ticket.value(), std::memory_order_release);
  Signal(control);
}

void ServerChannel::InterruptThrough(Ticket ticket) {
  ControlBlock* control = ControlOf(control_map_);
  {
    // Under a lock, from a value of our own: two callers may not lower it, whatever the worker
    // writes there.
    MutexLock lock(&interrupt_mutex_);
    if (ticket.value() > interrupt_through_) interrupt_through_ = ticket.value();
    control->interrupt_through.store(interrupt_through_, std::memory_order_release);
  }
  Signal(control);
}

void ServerChannel::RequestStop() {
  ControlBlock* control = ControlOf(control_map_);
  control->stop.store(1, std::memory_order_release);
  Signal(control);
  writer_.view().Close();  // wakes a worker that waits for frames
}

uint64_t ServerChannel::heartbeat() const {
  return ControlOf(control_map_)->heartbeat.load(std::memory_order_relaxed);
}

void ServerChannel::Close() {
  writer_.view().Close();
  reader_.view().Close();
}

// ---- worker ----

struct WorkerChannel::Parts {
  platform::Mapping control_map, reader_map, writer_map;
  SlotFile slot;
  size_t max_frame;
};

WorkerChannel::WorkerChannel(Parts parts)
    : control_map_(std::move(parts.control_map)),
      reader_map_(std::move(parts.reader_map)),
      writer_map_(std::move(parts.writer_map)),
      slot_(std::move(parts.slot)),
      reader_(RingView(reader_map_), parts.max_frame),
      writer_(RingView(writer_map_)) {}

absl::StatusOr<std::unique_ptr<WorkerChannel>> WorkerChannel::FromFds(
    std::vector<platform::UniqueFd> fds, size_t max_message_bytes) {
  ASSIGN_OR_RETURN(platform::Mapping control_map, MapControl(fds[0].get()));
  if (ControlOf(control_map)->magic.load(std::memory_order_acquire) != kChannelMagic) {
    return absl::InvalidArgumentError("worker channel: the control block is not one");
  }
  ASSIGN_OR_RETURN(platform::Mapping reader_map, MapRing(fds[1].get()));
  ASSIGN_OR_RETURN(platform::Mapping writer_map, MapRing(fds[2].get()));
  ASSIGN_OR_RETURN(SlotFile slot, SlotFile::Attach(std::move(fds[3])));
  return std::unique_ptr<WorkerChannel>(
      new WorkerChannel(Parts{std::move(control_map), std::move(reader_map), std::move(writer_map),
                              std::move(slot), MaxFrameBytes(max_message_bytes)}));
}

absl::StatusOr<std::unique_ptr<WorkerChannel>> WorkerChannel::Attach(size_t max_message_bytes) {
  std::vector<platform::UniqueFd> fds;
  for (int fd : {kControlFd, kToWorkerFd, kFromWorkerFd, kSlotFd}) fds.emplace_back(fd);
  return FromFds(std::move(fds), max_message_bytes);
}

absl::StatusOr<std::unique_ptr<WorkerChannel>> WorkerChannel::AttachTo(const ServerChannel& server,
                                                                       size_t max_message_bytes) {
  std::vector<platform::UniqueFd> fds;
  for (const platform::PassedFd& passed : server.ChildFds()) {
    fds.emplace_back(::fcntl(passed.fd, F_DUPFD_CLOEXEC, 0));
    if (!fds.back().valid()) return ErrnoStatus(errno, "duplicating a channel's descriptor");
  }
  return FromFds(std::move(fds), max_message_bytes);
}

bool WorkerChannel::Interrupted(Ticket ticket) const {
  const ControlBlock* control = ControlOf(control_map_);
  if (control->interrupt_through.load(std::memory_order_acquire) >= ticket.value()) return true;
  for (const std::atomic<uint64_t>& interrupt : control->interrupts) {
    if (interrupt.load(std::memory_order_relaxed) == ticket.value()) return true;
  }
  return false;
}

bool WorkerChannel::WaitSignal(uint32_t* seen, int64_t deadline_ns) const {
  std::atomic<uint32_t>* futex = &ControlOf(control_map_)->interrupt_futex;
  while (true) {
    const uint32_t now = futex->load(std::memory_order_acquire);
    if (now != *seen) {
      *seen = now;
      return true;
    }
    if (platform::FutexWait(futex, now, deadline_ns) == platform::FutexResult::kTimeout) {
      return false;
    }
  }
}

bool WorkerChannel::stop_requested() const {
  return ControlOf(control_map_)->stop.load(std::memory_order_acquire) != 0;
}

void WorkerChannel::Beat() {
  ControlOf(control_map_)->heartbeat.fetch_add(1, std::memory_order_relaxed);
}

void WorkerChannel::Close() {
  reader_.view().Close();
  writer_.view().Close();
}

}  // namespace caxton::ipc
