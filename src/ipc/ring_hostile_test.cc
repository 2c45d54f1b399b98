// SPDX-License-Identifier: Apache-2.0
//
// A peer that writes anything anywhere in the shared memory, at any moment. The honest side may
// refuse (DATA_LOSS, UNAVAILABLE) or deliver rubbish; it must not read or write outside of its
// memory, loop without end or crash.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "caxton/base/random.h"
#include "caxton/ipc/ring.h"

namespace caxton::ipc {
namespace {

constexpr size_t kCapacity = 4096;
constexpr size_t kMaxFrame = 2048;

class HostileRing : public ::testing::TestWithParam<uint64_t> {
 protected:
  HostileRing()
      : fd_(*CreateRing("test", kCapacity)),
        map_(*MapRing(fd_.get())),
        writer_(RingView(map_)),
        reader_(RingView(map_), kMaxFrame),
        random_(GetParam()) {}

  // A value near enough to a valid one to get past careless checks, or far from all.
  uint64_t Nasty() {
    const uint64_t base[] = {0,
                             kCapacity,
                             UINT32_MAX,
                             UINT64_MAX,
                             uint64_t{1} << 63,
                             header()->tail.load(),
                             header()->head.load()};
    const uint64_t offset = random_.Below(3) == 0 ? random_.Next64() : random_.Below(64);
    return base[random_.Below(std::size(base))] + offset - random_.Below(64);
  }

  void Corrupt() {
    switch (random_.Below(5)) {
      case 0:
        header()->tail.store(Nasty());
        break;
      case 1:
        header()->head.store(Nasty());
        break;
      case 2: {  // a frame header somewhere
        const uint32_t value = static_cast<uint32_t>(Nasty());
        std::memcpy(bytes() + 8 * random_.Below(kCapacity / 8), &value, sizeof value);
        break;
      }
      case 3:
        header()->closed.store(static_cast<uint32_t>(random_.Below(2)));
        break;
      default:
        header()->data_futex.fetch_add(1);
        header()->producer_parked.store(static_cast<uint32_t>(Nasty()));
        header()->consumer_parked.store(static_cast<uint32_t>(Nasty()));
    }
  }

  RingHeader* header() { return writer_.view().header(); }
  std::byte* bytes() { return writer_.view().bytes(); }

  platform::UniqueFd fd_;
  platform::Mapping map_;
  RingWriter writer_;
  RingReader reader_;
  SeededRandom random_;
};

TEST_P(HostileRing, NeverHarmsTheReaderOrTheWriter) {
  Frame frame;
  for (int i = 0; i < 3000; ++i) {
    const std::string bytes(random_.Below(kMaxFrame + 100), 'x');
    if (random_.Below(2) == 0) std::ignore = writer_.TryWrite(static_cast<uint32_t>(i), bytes);
    if (random_.Below(2) == 0) writer_.Flush();
    if (random_.Below(4) == 0) Corrupt();
    std::ignore = reader_.WaitReadable(0);
    std::ignore = writer_.WaitWritable(bytes.size() % kCapacity, 0);
    for (int n = 0; n < 4; ++n) {
      absl::StatusOr<bool> read = reader_.TryRead(&frame);
      if (!read.ok() || !*read) break;
      ASSERT_LE(frame.bytes.size(), kMaxFrame);
    }
  }
}

// The same with the corruption in between any two instructions. Not under TSan: this *is* a data
// race, on purpose.
#if !defined(__SANITIZE_THREAD__)
TEST_P(HostileRing, NeverHarmsAReaderThatIsReading) {
  std::atomic<bool> stop{false};
  std::thread peer([this, &stop] {
    while (!stop.load()) Corrupt();
  });
  Frame frame;
  RingReader reader(RingView(map_), kMaxFrame);
  for (int i = 0; i < 20'000; ++i) {
    if (absl::StatusOr<bool> read = reader.TryRead(&frame); !read.ok()) {
      reader = RingReader(RingView(map_), kMaxFrame);
    }
    ASSERT_LE(frame.bytes.size(), kMaxFrame);
  }
  stop.store(true);
  peer.join();
}
#endif

INSTANTIATE_TEST_SUITE_P(Seeds, HostileRing, ::testing::Range(uint64_t{1}, uint64_t{25}));

struct Breach {
  const char* name;
  uint64_t tail;
  uint32_t length;
};

TEST(RingBreach, EachIsDataLoss) {
  for (const Breach& breach :
       {Breach{"tail beyond the capacity", kCapacity + 8, 0}, Breach{"tail not aligned", 12, 0},
        Breach{"tail behind", UINT64_MAX - 7, 0},
        Breach{"frame longer than allowed", 4096, kMaxFrame + 1},
        Breach{"frame longer than written", 64, 100}, Breach{"frame of 4 GiB", 64, UINT32_MAX}}) {
    auto fd = CreateRing("test", kCapacity);
    auto map = MapRing(fd->get());
    RingReader reader(RingView(*map), kMaxFrame);
    std::memcpy(reader.view().bytes(), &breach.length, sizeof breach.length);
    reader.view().header()->tail.store(breach.tail);
    Frame frame;
    EXPECT_EQ(reader.TryRead(&frame).status().code(), absl::StatusCode::kDataLoss) << breach.name;
  }
}

TEST(RingBreach, AReaderThatClaimsTooMuchIsDataLossForTheWriter) {
  for (uint64_t head : {uint64_t{8}, uint64_t{4096}, uint64_t{3}, UINT64_MAX}) {
    auto fd = CreateRing("test", kCapacity);
    auto map = MapRing(fd->get());
    RingWriter writer{RingView(*map)};
    ASSERT_TRUE(*writer.TryWrite(1, std::string(4088, 'x')));  // not published
    writer.view().header()->head.store(head);
    EXPECT_EQ(writer.TryWrite(1, "x").status().code(), absl::StatusCode::kDataLoss) << head;
  }
}

}  // namespace
}  // namespace caxton::ipc
