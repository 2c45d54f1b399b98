// SPDX-License-Identifier: Apache-2.0
//
// Ring: frames from one process to another through shared memory; one producer, one consumer.
//
// Memory: a page with the two positions and two futexes, then `capacity` bytes (a power of two). A
// frame is {u32 length, u32 type} and its bytes, padded to 8; it may wrap anywhere. Positions count
// bytes for ever and are never reset. Each side keeps its own position privately and never reads it
// back; what it reads of the other side (position, frame header) is checked against what is
// possible, and a frame is copied once, then looked at. A peer that writes nonsense gets its
// channel refused (DATA_LOSS), never us.
//
// Lifecycle: CreateRing (memory, sealed) -> both sides map -> RingWriter / RingReader -> Close()
// from either side or by a third party (the supervisor, when the peer died): wakes both; what was
// published before can still be read. Thread rule: a writer or reader is used by one thread at a
// time; Close() and closed() by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/ipc/limits.h"
#include "caxton/platform/fd.h"
#include "caxton/platform/futex.h"
#include "caxton/platform/memfd.h"

namespace caxton::ipc {

using platform::kNoDeadline;

// The shared page. Every field may hold anything at any time.
struct RingHeader {
  alignas(64) std::atomic<uint64_t> tail;  // published by the producer
  alignas(64) std::atomic<uint64_t> head;  // given back by the consumer
  alignas(64) std::atomic<uint32_t> data_futex;
  std::atomic<uint32_t> consumer_parked;
  alignas(64) std::atomic<uint32_t> space_futex;
  std::atomic<uint32_t> producer_parked;
  alignas(64) std::atomic<uint32_t> closed;
};
static_assert(sizeof(RingHeader) <= kRingHeaderBytes);

// A sealed memfd of zeros, which is an empty ring. `capacity`: a power of two within
// [kMinRingBytes, kMaxRingBytes].
absl::StatusOr<platform::UniqueFd> CreateRing(const std::string& name, size_t capacity);
// Checks seals and size, then maps.
absl::StatusOr<platform::Mapping> MapRing(int fd);

// One mapped ring; what writer and reader share. The mapping outlives it.
class RingView {
 public:
  explicit RingView(const platform::Mapping& mapping);
  RingHeader* header() const { return header_; }
  std::byte* bytes() const { return bytes_; }
  size_t capacity() const { return capacity_; }
  // Idempotent; wakes both sides.
  void Close() const;
  bool closed() const;

 private:
  RingHeader* header_;
  std::byte* bytes_;
  size_t capacity_;
};

class RingWriter {
 public:
  // The ring must be fresh: positions start at 0.
  explicit RingWriter(RingView view) : view_(view) {}

  // Copies one frame (its bytes are the parts, one after the other) behind what was written; the
  // reader sees it at Flush. False: no room now. RESOURCE_EXHAUSTED: larger than the ring, ever;
  // UNAVAILABLE: closed; DATA_LOSS: the peer broke the protocol.
  absl::StatusOr<bool> TryWrite(uint32_t type, std::span<const std::string_view> parts);
  absl::StatusOr<bool> TryWrite(uint32_t type, std::string_view bytes);
  // Publishes everything written and wakes a parked reader. Cheap when there is nothing.
  void Flush();
  // Flushes, then waits for room for a frame of `bytes`. False: `deadline_ns` passed.
  absl::StatusOr<bool> WaitWritable(size_t bytes, int64_t deadline_ns);
  // TryWrite, waiting for room, and Flush. DEADLINE_EXCEEDED when the deadline passed.
  absl::Status Write(uint32_t type, std::string_view bytes, int64_t deadline_ns);

  const RingView& view() const { return view_; }

 private:
  absl::StatusOr<size_t> Free();
  void Copy(uint64_t position, std::string_view bytes);

  RingView view_;
  uint64_t written_ = 0;    // behind the last frame copied in
  uint64_t published_ = 0;  // behind the last frame the reader may see
  uint64_t peer_head_ = 0;  // last one seen and found possible
};

struct Frame {
  uint32_t type = 0;
  std::string bytes;  // reused from frame to frame
};

class RingReader {
 public:
  // `max_frame_bytes`: a longer one is a breach of the protocol.
  RingReader(RingView view, size_t max_frame_bytes) : view_(view), max_frame_(max_frame_bytes) {}

  // Copies the next frame out. False: none now (and the space of those read is given back).
  // UNAVAILABLE: closed and nothing left to read; DATA_LOSS: the peer broke the protocol.
  absl::StatusOr<bool> TryRead(Frame* frame);
  // Waits until there is something to read, or the ring is closed (true as well: TryRead tells).
  // Spins first for `spin_ns` (at most kMaxSpinNs; 0 unless cores are idle). False: `deadline_ns`
  // passed.
  absl::StatusOr<bool> WaitReadable(int64_t deadline_ns, int64_t spin_ns = 0);
  // Gives the space of what was read back to the writer now.
  void Release();

  const RingView& view() const { return view_; }

 private:
  absl::StatusOr<size_t> Available();
  void Copy(uint64_t position, char* to, size_t size) const;

  RingView view_;
  size_t max_frame_;
  uint64_t read_ = 0;
  uint64_t released_ = 0;
  uint64_t peer_tail_ = 0;
};

}  // namespace caxton::ipc
