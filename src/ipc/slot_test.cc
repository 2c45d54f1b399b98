// SPDX-License-Identifier: Apache-2.0
#include "caxton/ipc/slot.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caxton/base/strings.h"
#include "caxton/platform/file.h"

namespace caxton::ipc {
namespace {

class SlotTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "caxton-slot-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::ignore = ::system(StrCat("rm -rf ", dir_).c_str()); }
  std::string dir_;
};

TEST_F(SlotTest, SurvivesKill9OfBothSides) {
  // The child is server and worker in one, and dies in the middle of a step.
  const pid_t pid = ::fork();
  if (pid == 0) {
    auto server = SlotFile::Create(dir_, "greeter-1-0");
    if (!server.ok()) ::_exit(1);
    auto worker = SlotFile::Attach(platform::UniqueFd(::dup(server->fd())));
    if (!worker.ok()) ::_exit(2);
    worker->Mark(Seq(41));
    worker->Mark(Seq());
    worker->Mark(Seq(42));
    if (server->Executing() != Seq(42)) ::_exit(3);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  auto marks = ReadSlots(dir_);
  ASSERT_TRUE(marks.ok());
  ASSERT_EQ(marks->size(), 1u);
  EXPECT_EQ((*marks)[0].worker, "greeter-1-0");
  EXPECT_EQ((*marks)[0].seq, Seq(42));
  ASSERT_TRUE(RemoveAllSlots(dir_).ok());
  EXPECT_TRUE(ReadSlots(dir_)->empty());
}

TEST_F(SlotTest, IdleWorkersAndForeignFilesAreNoMarks) {
  auto idle = SlotFile::Create(dir_, "idle");
  ASSERT_TRUE(idle.ok());
  ASSERT_TRUE(platform::WriteFileAtomic(dir_ + "/short.slot", "x").ok());
  ASSERT_TRUE(platform::WriteFileAtomic(dir_ + "/long.slot", std::string(9000, 'x')).ok());
  ASSERT_TRUE(platform::WriteFileAtomic(dir_ + "/no-magic.slot", std::string(4096, 'x')).ok());
  ASSERT_TRUE(platform::WriteFileAtomic(dir_ + "/other", "x").ok());
  auto marks = ReadSlots(dir_);
  ASSERT_TRUE(marks.ok());
  EXPECT_TRUE(marks->empty());
}

TEST_F(SlotTest, ANewFileIsNotTheOldOne) {
  auto old = SlotFile::Create(dir_, "w");
  auto fresh = SlotFile::Create(dir_, "w");
  ASSERT_TRUE(old.ok() && fresh.ok());
  old->Mark(Seq(7));  // a worker of before that lingers
  EXPECT_EQ(fresh->Executing(), Seq());
  ASSERT_TRUE(RemoveSlot(dir_, "w").ok());
  EXPECT_TRUE(RemoveSlot(dir_, "w").ok());
}

TEST_F(SlotTest, AttachChecksSizeAndMagic) {
  auto memfd = platform::CreateMemfd("x", 100);
  EXPECT_FALSE(SlotFile::Attach(*std::move(memfd)).ok());
  auto zeros = platform::CreateMemfd("x", 4096);
  EXPECT_FALSE(SlotFile::Attach(*std::move(zeros)).ok());
  EXPECT_FALSE(ReadSlots(dir_ + "/missing").ok());
}

}  // namespace
}  // namespace caxton::ipc
