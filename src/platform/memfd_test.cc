// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/memfd.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

namespace caxton::platform {
namespace {

TEST(Memfd, SizeSealKeepsTheSize) {
  auto fd = CreateMemfd("test", 4096);
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(CheckSealed(fd->get(), Seal::kSize).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(SealMemfd(fd->get(), Seal::kSize).ok());
  EXPECT_TRUE(CheckSealed(fd->get(), Seal::kSize).ok());
  EXPECT_FALSE(CheckSealed(fd->get(), Seal::kContent).ok());
  EXPECT_NE(::ftruncate(fd->get(), 0), 0);
  EXPECT_NE(::ftruncate(fd->get(), 8192), 0);
  EXPECT_EQ(*FdSize(fd->get()), 4096u);
  EXPECT_FALSE(SealMemfd(fd->get(), Seal::kContent).ok()) << "no seal is added later";
}

TEST(Memfd, ContentSealKeepsTheContent) {
  auto fd = MemfdWithContent("test", "native code");
  ASSERT_TRUE(fd.ok());
  EXPECT_TRUE(CheckSealed(fd->get(), Seal::kContent).ok());
  EXPECT_NE(::pwrite(fd->get(), "x", 1, 0), 1);
  EXPECT_FALSE(Mapping::Map(fd->get(), 11, Mapping::Access::kReadWrite).ok());
  EXPECT_EQ(*ReadFd(fd->get(), 100), "native code");
}

TEST(Memfd, ContentSealIsRefusedWhileMappedWritable) {
  auto fd = CreateMemfd("test", 4096);
  auto mapping = Mapping::Map(fd->get(), 4096, Mapping::Access::kReadWrite);
  ASSERT_TRUE(mapping.ok());
  EXPECT_FALSE(SealMemfd(fd->get(), Seal::kContent).ok());
}

TEST(Memfd, ReadFdStopsAtItsLimit) {
  auto fd = MemfdWithContent("test", "12345");
  EXPECT_EQ(*ReadFd(fd->get(), 5), "12345");
  EXPECT_EQ(ReadFd(fd->get(), 4).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(Mapping, SharesBytesAndMoves) {
  auto fd = CreateMemfd("test", 4096);
  auto a = Mapping::Map(fd->get(), 4096, Mapping::Access::kReadWrite);
  auto b = Mapping::Map(fd->get(), 4096, Mapping::Access::kRead);
  std::memcpy(a->data(), "hello", 5);
  Mapping moved = *std::move(a);
  EXPECT_EQ(b->view().substr(0, 5), "hello");
  EXPECT_EQ(moved.size(), 4096u);
  moved = *std::move(b);
  EXPECT_EQ(moved.view().substr(0, 5), "hello");
}

TEST(UniqueFd, ClosesWhatItOwned) {
  int raw;
  {
    auto fd = CreateMemfd("test", 1);
    raw = fd->get();
    UniqueFd moved = *std::move(fd);
    EXPECT_EQ(moved.get(), raw);
  }
  EXPECT_FALSE(FdSize(raw).ok());
}

}  // namespace
}  // namespace caxton::platform
