// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::platform {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "caxton-file-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::ignore = ::system(StrCat("rm -rf ", dir_).c_str()); }
  std::string dir_;
};

TEST_F(FileTest, ReplacesAtomicallyAndLeavesNothingBeside) {
  const std::string path = dir_ + "/f";
  ASSERT_TRUE(WriteFileAtomic(path, "one").ok());
  ASSERT_TRUE(WriteFileAtomic(path, "two").ok());
  EXPECT_EQ(*ReadFile(path, 10), "two");
  EXPECT_EQ(*ListDirectory(dir_), std::vector<std::string>{"f"});
}

TEST_F(FileTest, ErrorsNameThePath) {
  const std::string path = dir_ + "/missing/f";
  for (const absl::Status& status : {ReadFile(path, 10).status(), WriteFileAtomic(path, "x"),
                                     WriteControlFile(path, "x"), ListDirectory(path).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_TRUE(StrContains(status.message(), path)) << status;
  }
  EXPECT_TRUE(RemoveFile(dir_ + "/missing").ok());
}

TEST_F(FileTest, ReadFileHasALimit) {
  const std::string path = dir_ + "/f";
  ASSERT_TRUE(WriteFileAtomic(path, std::string(200'000, 'x')).ok());
  EXPECT_EQ(ReadFile(path, 200'000)->size(), 200'000u);
  EXPECT_EQ(ReadFile(path, 199'999).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(FileTest, MkdirAllMakesEveryPartAndRefusesAFile) {
  ASSERT_TRUE(MkdirAll(dir_ + "/a/b/c").ok());
  EXPECT_TRUE(MkdirAll(dir_ + "/a/b/c").ok());
  EXPECT_TRUE(PathExists(dir_ + "/a/b/c"));
  ASSERT_TRUE(WriteFileAtomic(dir_ + "/file", "").ok());
  EXPECT_FALSE(MkdirAll(dir_ + "/file").ok());
}

TEST_F(FileTest, PwriteWritesInPlace) {
  auto fd = OpenFile(dir_ + "/side", O_RDWR | O_CREAT);
  ASSERT_TRUE(fd.ok());
  ASSERT_TRUE(PwriteAll(fd->get(), 0, "12345678").ok());
  ASSERT_TRUE(PwriteAll(fd->get(), 2, "xy").ok());
  EXPECT_EQ(*ReadFile(dir_ + "/side", 100), "12xy5678");
}

TEST_F(FileTest, ASecondLockNamesTheHolder) {
  auto lock = DirectoryLock::Acquire(dir_);
  ASSERT_TRUE(lock.ok()) << lock.status();
  auto second = DirectoryLock::Acquire(dir_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(ReasonOf(second.status()), "DATA_DIR_IN_USE");
  EXPECT_TRUE(StrContains(second.status().message(), StrCat("pid ", ::getpid())));
  EXPECT_FALSE(FixOf(second.status()).empty());
}

TEST_F(FileTest, TheLockEndsWithItsHolder) {
  { ASSERT_TRUE(DirectoryLock::Acquire(dir_).ok()); }
  EXPECT_TRUE(DirectoryLock::Acquire(dir_).ok());
}

TEST_F(FileTest, Facts) {
  EXPECT_GT(*FreeBytes(dir_), 0);
  EXPECT_TRUE(PathExists(*SelfExecutable()));
}

}  // namespace
}  // namespace caxton::platform
