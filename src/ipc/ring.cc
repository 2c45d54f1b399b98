// SPDX-License-Identifier: Apache-2.0
//
// Parking, both ways round: the sleeper reads the futex, says that it is parked, looks once more
// and sleeps on the value read; the other side moves its position, then looks whether somebody is
// parked. Both orders are sequentially consistent, so that one of the two always sees the other.
#include "caxton/ipc/ring.h"

#include <algorithm>
#include <bit>
#include <climits>
#include <cstring>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::ipc {
namespace {

using platform::FutexWait;
using platform::FutexWake;
using platform::MonotonicNanos;

// The space is given back at the latest after this part of the ring has been read.
constexpr size_t kReleaseFraction = 4;

// Bytes that a frame of `payload` takes.
constexpr uint64_t FrameBytes(uint64_t payload) {
  return (kFrameHeaderBytes + payload + kFrameAlignment - 1) & ~uint64_t{kFrameAlignment - 1};
}

bool ValidCapacity(size_t capacity) {
  return std::has_single_bit(capacity) && capacity >= kMinRingBytes && capacity <= kMaxRingBytes;
}

void WakeParked(std::atomic<uint32_t>* parked, std::atomic<uint32_t>* futex) {
  if (parked->load(std::memory_order_seq_cst) == 0) return;
  parked->store(0, std::memory_order_relaxed);
  futex->fetch_add(1, std::memory_order_seq_cst);
  FutexWake(futex, 1);
}

void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

absl::Status Broken(std::string_view what) {
  return absl::DataLossError(StrCat("worker channel: the peer broke the protocol: ", what));
}

absl::Status ClosedStatus() { return absl::UnavailableError("worker channel: closed"); }

}  // namespace

absl::StatusOr<platform::UniqueFd> CreateRing(const std::string& name, size_t capacity) {
  CAXTON_ASSERT(ValidCapacity(capacity), "ring capacities are powers of two within the limits");
  ASSIGN_OR_RETURN(platform::UniqueFd fd, platform::CreateMemfd(name, kRingHeaderBytes + capacity));
  RETURN_IF_ERROR(platform::SealMemfd(fd.get(), platform::Seal::kSize));
  return fd;
}

absl::StatusOr<platform::Mapping> MapRing(int fd) {
  RETURN_IF_ERROR(platform::CheckSealed(fd, platform::Seal::kSize));
  ASSIGN_OR_RETURN(const size_t size, platform::FdSize(fd));
  if (size < kRingHeaderBytes || !ValidCapacity(size - kRingHeaderBytes)) {
    return absl::InvalidArgumentError(StrCat("worker channel: a ring of ", size, " bytes"));
  }
  return platform::Mapping::Map(fd, size, platform::Mapping::Access::kReadWrite);
}

RingView::RingView(const platform::Mapping& mapping)
    : header_(reinterpret_cast<RingHeader*>(mapping.data())),
      bytes_(mapping.data() + kRingHeaderBytes),
      capacity_(mapping.size() - kRingHeaderBytes) {}

void RingView::Close() const {
  header_->closed.store(1, std::memory_order_seq_cst);
  for (std::atomic<uint32_t>* futex : {&header_->data_futex, &header_->space_futex}) {
    futex->fetch_add(1, std::memory_order_seq_cst);
    FutexWake(futex, INT_MAX);
  }
}

bool RingView::closed() const { return header_->closed.load(std::memory_order_acquire) != 0; }

// ---- writer ----

absl::StatusOr<size_t> RingWriter::Free() {
  const uint64_t head = view_.header()->head.load(std::memory_order_seq_cst);
  // Between what it was and what we published, in the arithmetic of positions.
  if (head % kFrameAlignment != 0 || head - peer_head_ > published_ - peer_head_) {
    return Broken("an impossible read position");
  }
  peer_head_ = head;
  return view_.capacity() - (written_ - head);
}

void RingWriter::Copy(uint64_t position, std::string_view bytes) {
  if (bytes.empty()) return;  // an empty view's data may be null, which memcpy does not take
  const size_t at = position & (view_.capacity() - 1);
  const size_t first = std::min(bytes.size(), view_.capacity() - at);
  std::memcpy(view_.bytes() + at, bytes.data(), first);
  std::memcpy(view_.bytes(), bytes.data() + first, bytes.size() - first);
}

absl::StatusOr<bool> RingWriter::TryWrite(uint32_t type, std::span<const std::string_view> parts) {
  uint64_t size = 0;
  for (std::string_view part : parts) size += part.size();
  const uint64_t total = FrameBytes(size);
  if (total > view_.capacity()) {
    return absl::ResourceExhaustedError(
        StrCat("worker channel: a frame of ", size, " bytes in a ring of ", view_.capacity()));
  }
  if (view_.closed()) return ClosedStatus();
  if (view_.capacity() - (written_ - peer_head_) < total) {
    ASSIGN_OR_RETURN(const size_t free, Free());
    if (free < total) return false;
  }
  // The header never wraps: positions and capacity are multiples of its size.
  const uint32_t header[2] = {static_cast<uint32_t>(size), type};
  static_assert(sizeof header == kFrameHeaderBytes);
  Copy(written_, {reinterpret_cast<const char*>(header), sizeof header});
  uint64_t position = written_ + kFrameHeaderBytes;
  for (std::string_view part : parts) {
    Copy(position, part);
    position += part.size();
  }
  written_ += total;
  return true;
}

absl::StatusOr<bool> RingWriter::TryWrite(uint32_t type, std::string_view bytes) {
  return TryWrite(type, std::span<const std::string_view>(&bytes, 1));
}

void RingWriter::Flush() {
  if (written_ == published_) return;
  published_ = written_;
  view_.header()->tail.store(written_, std::memory_order_seq_cst);
  WakeParked(&view_.header()->consumer_parked, &view_.header()->data_futex);
}

absl::StatusOr<bool> RingWriter::WaitWritable(size_t bytes, int64_t deadline_ns) {
  const uint64_t total = FrameBytes(bytes);
  if (total > view_.capacity()) {
    return absl::ResourceExhaustedError("worker channel: the frame is larger than the ring");
  }
  Flush();
  RingHeader* header = view_.header();
  while (true) {
    const uint32_t seen = header->space_futex.load(std::memory_order_seq_cst);
    header->producer_parked.store(1, std::memory_order_seq_cst);
    absl::StatusOr<size_t> free = Free();
    const bool closed = view_.closed();
    const bool done = !free.ok() || closed || *free >= total;
    const bool timed_out = !done && FutexWait(&header->space_futex, seen, deadline_ns) ==
                                        platform::FutexResult::kTimeout;
    header->producer_parked.store(0, std::memory_order_relaxed);
    if (!free.ok()) return free.status();
    if (closed) return ClosedStatus();
    if (done) return true;
    if (timed_out) return false;
  }
}

absl::Status RingWriter::Write(uint32_t type, std::string_view bytes, int64_t deadline_ns) {
  while (true) {
    ASSIGN_OR_RETURN(const bool written, TryWrite(type, bytes));
    if (written) break;
    ASSIGN_OR_RETURN(const bool room, WaitWritable(bytes.size(), deadline_ns));
    if (!room) return absl::DeadlineExceededError("worker channel: the peer does not read");
  }
  Flush();
  return absl::OkStatus();
}

// ---- reader ----

absl::StatusOr<size_t> RingReader::Available() {
  const uint64_t tail = view_.header()->tail.load(std::memory_order_seq_cst);
  const uint64_t used = tail - read_;
  if (tail % kFrameAlignment != 0 || used > view_.capacity() || used < peer_tail_ - read_) {
    return Broken("an impossible write position");
  }
  peer_tail_ = tail;
  return used;
}

void RingReader::Copy(uint64_t position, char* to, size_t size) const {
  const size_t at = position & (view_.capacity() - 1);
  const size_t first = std::min(size, view_.capacity() - at);
  std::memcpy(to, view_.bytes() + at, first);
  std::memcpy(to + first, view_.bytes(), size - first);
}

absl::StatusOr<bool> RingReader::TryRead(Frame* frame) {
  uint64_t available = peer_tail_ - read_;
  if (available == 0) {
    // In this order: what was published before the close is still delivered.
    const bool closed = view_.closed();
    ASSIGN_OR_RETURN(available, Available());
    if (available == 0) {
      Release();
      if (closed) return ClosedStatus();
      return false;
    }
  }
  // Copied out first, then looked at: the peer may change them meanwhile.
  uint32_t header[2];
  Copy(read_, reinterpret_cast<char*>(header), sizeof header);
  const uint64_t size = header[0];
  if (size > max_frame_) return Broken(StrCat("a frame of ", size, " bytes"));
  if (FrameBytes(size) > available) return Broken("a frame longer than what was written");
  frame->type = header[1];
  frame->bytes.resize(size);
  Copy(read_ + kFrameHeaderBytes, frame->bytes.data(), size);
  read_ += FrameBytes(size);
  if (read_ - released_ >= view_.capacity() / kReleaseFraction) Release();
  return true;
}

void RingReader::Release() {
  if (released_ == read_) return;
  released_ = read_;
  view_.header()->head.store(read_, std::memory_order_seq_cst);
  WakeParked(&view_.header()->producer_parked, &view_.header()->space_futex);
}

absl::StatusOr<bool> RingReader::WaitReadable(int64_t deadline_ns, int64_t spin_ns) {
  if (peer_tail_ != read_) return true;
  Release();
  RingHeader* header = view_.header();
  if (spin_ns > 0) {
    const int64_t until = MonotonicNanos() + std::min(spin_ns, kMaxSpinNs);
    do {
      ASSIGN_OR_RETURN(const size_t available, Available());
      if (available > 0) return true;
      CpuRelax();
    } while (MonotonicNanos() < until);
  }
  while (true) {
    const uint32_t seen = header->data_futex.load(std::memory_order_seq_cst);
    header->consumer_parked.store(1, std::memory_order_seq_cst);
    absl::StatusOr<size_t> available = Available();
    const bool done = !available.ok() || *available > 0 || view_.closed();
    const bool timed_out = !done && FutexWait(&header->data_futex, seen, deadline_ns) ==
                                        platform::FutexResult::kTimeout;
    header->consumer_parked.store(0, std::memory_order_relaxed);
    if (!available.ok()) return available.status();
    if (done) return true;
    if (timed_out) return false;
  }
}

}  // namespace caxton::ipc
