// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/ring.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "caxton/base/random.h"
#include "caxton/base/strings.h"

namespace caxton::ipc {
namespace {

constexpr size_t kRingFrame = 64 << 10;

// Both ends of one ring, mapped twice like two processes would.
struct TestRing {
  explicit TestRing(size_t capacity, size_t max_frame = kRingFrame)
      : fd(*CreateRing("test", capacity)),
        writer_map(*MapRing(fd.get())),
        reader_map(*MapRing(fd.get())),
        writer(RingView(writer_map)),
        reader(RingView(reader_map), max_frame) {}

  platform::UniqueFd fd;
  platform::Mapping writer_map, reader_map;
  RingWriter writer;
  RingReader reader;
};

std::string Pattern(size_t size, uint64_t seed) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(seed + i * 7);
  return bytes;
}

TEST(Ring, CarriesFramesInOrder) {
  TestRing ring(4096);
  Frame frame;
  EXPECT_FALSE(*ring.reader.TryRead(&frame));
  ASSERT_TRUE(*ring.writer.TryWrite(1, "one"));
  const std::string_view parts[] = {"t", "", "wo"};
  ASSERT_TRUE(*ring.writer.TryWrite(2, parts));
  ASSERT_TRUE(*ring.writer.TryWrite(3, ""));
  EXPECT_FALSE(*ring.reader.TryRead(&frame)) << "nothing is seen before the flush";
  ring.writer.Flush();
  for (auto [type, bytes] : {std::pair{1u, "one"}, {2u, "two"}, {3u, ""}}) {
    ASSERT_TRUE(*ring.reader.TryRead(&frame));
    EXPECT_EQ(frame.type, type);
    EXPECT_EQ(frame.bytes, bytes);
  }
  EXPECT_FALSE(*ring.reader.TryRead(&frame));
}

TEST(Ring, WrapsAtEveryAlignment) {
  for (size_t size = 0; size <= 72; ++size) {
    TestRing ring(4096);
    Frame frame;
    for (uint32_t i = 0; i < 4096 / 8; ++i) {
      ASSERT_TRUE(*ring.writer.TryWrite(i, Pattern(size, i)));
      ring.writer.Flush();
      ASSERT_TRUE(*ring.reader.TryRead(&frame));
      ASSERT_EQ(frame.type, i);
      ASSERT_EQ(frame.bytes, Pattern(size, i));
    }
  }
}

TEST(Ring, AFullRingRefusesUntilSpaceIsGivenBack) {
  TestRing ring(4096);
  const std::string half = Pattern(2040, 1);  // 2048 with its header
  ASSERT_TRUE(*ring.writer.TryWrite(1, half));
  ASSERT_TRUE(*ring.writer.TryWrite(2, half));
  EXPECT_FALSE(*ring.writer.TryWrite(3, ""));
  ring.writer.Flush();
  Frame frame;
  ASSERT_TRUE(*ring.reader.TryRead(&frame));
  ring.reader.Release();
  EXPECT_TRUE(*ring.writer.TryWrite(3, half));
  EXPECT_FALSE(*ring.writer.TryWrite(4, ""));
}

TEST(Ring, TheLargestFrameFillsTheRingALargerOneNeverFits) {
  TestRing ring(4096);
  ASSERT_TRUE(*ring.writer.TryWrite(1, Pattern(4088, 5)));
  ring.writer.Flush();
  Frame frame;
  ASSERT_TRUE(*ring.reader.TryRead(&frame));
  EXPECT_EQ(frame.bytes, Pattern(4088, 5));
  EXPECT_EQ(ring.writer.TryWrite(1, Pattern(4089, 5)).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ring.writer.WaitWritable(4089, kNoDeadline).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Ring, HoldsTheLargestFrameOfEveryMessageLimit) {
  for (size_t message :
       {size_t{1}, size_t{kDefaultMaxMessageBytes}, size_t{kHardMaxMessageBytes}}) {
    TestRing ring(RingBytesFor(message), MaxFrameBytes(message));
    const std::string largest(MaxFrameBytes(message), 'x');
    ASSERT_TRUE(*ring.writer.TryWrite(1, largest));
    ring.writer.Flush();
    Frame frame;
    ASSERT_TRUE(*ring.reader.TryRead(&frame));
    EXPECT_EQ(frame.bytes, largest);
  }
}

TEST(Ring, WaitsEndAtTheirDeadline) {
  TestRing ring(4096);
  EXPECT_FALSE(*ring.reader.WaitReadable(0));
  EXPECT_FALSE(*ring.reader.WaitReadable(0, kMaxSpinNs));
  ASSERT_TRUE(*ring.writer.TryWrite(1, Pattern(4088, 1)));
  EXPECT_FALSE(*ring.writer.WaitWritable(1, 0));
  EXPECT_EQ(ring.writer.Write(1, "x", 0).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(Ring, CloseWakesBothAndKeepsWhatWasPublished) {
  TestRing ring(4096);
  ASSERT_TRUE(*ring.writer.TryWrite(1, "last words"));
  ring.writer.Flush();
  ring.reader.view().Close();
  EXPECT_EQ(ring.writer.TryWrite(2, "").status().code(), absl::StatusCode::kUnavailable);
  Frame frame;
  EXPECT_TRUE(*ring.reader.WaitReadable(kNoDeadline));
  ASSERT_TRUE(*ring.reader.TryRead(&frame));
  EXPECT_EQ(frame.bytes, "last words");
  EXPECT_TRUE(*ring.reader.WaitReadable(kNoDeadline));
  EXPECT_EQ(ring.reader.TryRead(&frame).status().code(), absl::StatusCode::kUnavailable);
}

TEST(Ring, CloseWakesAParkedReaderAndAParkedWriter) {
  TestRing ring(4096);
  std::thread reader([&ring] {
    Frame frame;
    while (ring.reader.WaitReadable(kNoDeadline).ok() && ring.reader.TryRead(&frame).ok()) {
    }
  });
  ring.writer.view().Close();
  reader.join();

  TestRing full(4096);
  ASSERT_TRUE(*full.writer.TryWrite(1, Pattern(4088, 1)));
  std::thread writer([&full] {
    EXPECT_EQ(full.writer.WaitWritable(1, kNoDeadline).status().code(),
              absl::StatusCode::kUnavailable);
  });
  full.reader.view().Close();
  writer.join();
}

TEST(Ring, TwoThreadsMoveEveryByte) {
  TestRing ring(4096);
  constexpr uint32_t kFrames = 20'000;
  std::thread writer([&ring] {
    SeededRandom random(1);
    for (uint32_t i = 0; i < kFrames; ++i) {
      const std::string bytes = Pattern(random.Below(600), i);
      // Mostly batches, now and then a wait in between.
      absl::StatusOr<bool> written = ring.writer.TryWrite(i, bytes);
      ASSERT_TRUE(written.ok()) << written.status();
      if (!*written) {
        ASSERT_TRUE(ring.writer.Write(i, bytes, kNoDeadline).ok());
      }
      if (random.Below(8) == 0) ring.writer.Flush();
    }
    ring.writer.Flush();
  });
  SeededRandom random(1);
  SeededRandom choices(2);
  Frame frame;
  for (uint32_t i = 0; i < kFrames;) {
    ASSERT_TRUE(*ring.reader.WaitReadable(kNoDeadline, choices.Below(2) * kMaxSpinNs));
    while (*ring.reader.TryRead(&frame)) {
      ASSERT_EQ(frame.type, i);
      const size_t size = random.Below(600);
      ASSERT_EQ(frame.bytes, Pattern(size, i));
      random.Below(8);
      ++i;
    }
  }
  writer.join();
}

TEST(Ring, MapRingRefusesWhatIsNotARing) {
  auto unsealed = platform::CreateMemfd("x", kRingHeaderBytes + 4096);
  EXPECT_FALSE(MapRing(unsealed->get()).ok());
  for (size_t size : {size_t{0}, size_t{4096}, kRingHeaderBytes + 100, kRingHeaderBytes + 12288,
                      kRingHeaderBytes + 2 * kMaxRingBytes}) {
    auto odd = platform::CreateMemfd("x", size);
    ASSERT_TRUE(platform::SealMemfd(odd->get(), platform::Seal::kSize).ok());
    EXPECT_FALSE(MapRing(odd->get()).ok()) << size;
  }
}

}  // namespace
}  // namespace caxton::ipc
