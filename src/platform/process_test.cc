// SPDX-License-Identifier: Apache-2.0
#include "caxton/platform/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/memfd.h"

namespace caxton::platform {
namespace {

SpawnOptions Shell(const std::string& script) {
  SpawnOptions options;
  options.path = "/bin/sh";
  options.argv = {"sh", "-c", script};
  return options;
}

ExitStatus Wait(const Child& child) {
  auto status = WaitChild(child, -1);
  EXPECT_TRUE(status.ok() && status->has_value()) << status.status();
  return status.ok() && status->has_value() ? **status : ExitStatus{};
}

// Runs `script` with its output in a memfd and returns that.
std::string Output(SpawnOptions options) {
  auto out = CreateMemfd("out", 0);
  options.fds.push_back({out->get(), STDOUT_FILENO});
  auto child = Spawn(options);
  EXPECT_TRUE(child.ok()) << child.status();
  if (!child.ok()) return "";
  EXPECT_TRUE(Wait(*child).success());
  return *ReadFd(out->get(), 1 << 20);
}

TEST(Spawn, TellsTheExitCode) {
  auto child = Spawn(Shell("exit 3"));
  ASSERT_TRUE(child.ok()) << child.status();
  const ExitStatus status = Wait(*child);
  EXPECT_EQ(status.code, 3);
  EXPECT_EQ(status.ToString(), "exited with code 3");
}

TEST(Spawn, AMissingProgramIsAClearError) {
  SpawnOptions options;
  options.path = "/nowhere/caxton-worker";
  options.argv = {"caxton-worker"};
  auto child = Spawn(options);
  EXPECT_EQ(child.status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(StrContains(child.status().message(), "/nowhere/caxton-worker"));
  EXPECT_TRUE(StrContains(child.status().message(), "execute"));
  EXPECT_FALSE(FixOf(child.status()).empty());
}

TEST(Spawn, AProgramThatMayNotRunIsAClearError) {
  SpawnOptions options;
  options.path = "/etc/passwd";
  options.argv = {"passwd"};
  EXPECT_EQ(Spawn(options).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST(Spawn, AFailedStepIsNamed) {
  SpawnOptions options = Shell("true");
  options.cgroup_procs_files = {"/nowhere/cgroup.procs"};
  auto child = Spawn(options);
  ASSERT_FALSE(child.ok());
  EXPECT_TRUE(StrContains(child.status().message(), "cgroup")) << child.status();
}

TEST(Spawn, TheEnvironmentIsWhatIsGiven) {
  SpawnOptions options;
  options.path = "/usr/bin/env";
  options.argv = {"env"};
  options.env = {"A=1"};
  EXPECT_EQ(Output(options), "A=1\n");
}

TEST(Spawn, DescriptorsMayOverlapInAnyWay) {
  auto a = MemfdWithContent("a", "AAA");
  auto b = MemfdWithContent("b", "BBB");
  // Each goes to the number of the other, so that one order of dup2 calls alone would lose one.
  SpawnOptions options = Shell(StrCat("cat /proc/self/fd/", a->get(), " /proc/self/fd/", b->get()));
  options.fds = {{a->get(), b->get()}, {b->get(), a->get()}};
  EXPECT_EQ(Output(options), "BBBAAA");
}

TEST(Spawn, NothingElseIsInherited) {
  UniqueFd leak(::open("/dev/null", O_RDONLY));  // without O_CLOEXEC
  ASSERT_TRUE(leak.valid());
  SpawnOptions options;
  options.path = "/bin/ls";
  options.argv = {"ls", "/proc/self/fd"};
  EXPECT_EQ(Output(options), "0\n1\n2\n3\n") << "3 is the directory that ls reads";
}

TEST(Spawn, TooManyDescriptorsAreRefused) {
  SpawnOptions options = Shell("true");
  for (int i = 0; i < 100; ++i) options.fds.push_back({0, i + 3});
  EXPECT_EQ(Spawn(options).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Spawn, LimitsAndNoNewPrivilegesHold) {
  SpawnOptions options = Shell("ulimit -n; grep NoNewPrivs /proc/self/status");
  options.rlimits = {{RLIMIT_NOFILE, 17, 17}};
  EXPECT_EQ(Output(options), "17\nNoNewPrivs:\t1\n");
}

TEST(Spawn, SignalsStartUnblockedAndUnignored) {
  ::signal(SIGPIPE, SIG_IGN);
  SpawnOptions options = Shell("grep -E 'Sig(Blk|Ign)' /proc/self/status");
  const std::string output = Output(options);
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(WaitChild, ATimeoutIsNoAnswer) {
  auto child = Spawn(Shell("exec sleep 1000"));
  ASSERT_TRUE(child.ok());
  auto status = WaitChild(*child, 0);
  ASSERT_TRUE(status.ok());
  EXPECT_FALSE(status->has_value());
  ASSERT_TRUE(KillChild(*child, SIGKILL).ok());
  const ExitStatus end = Wait(*child);
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_TRUE(StrContains(end.ToString(), "SIGKILL"));
  EXPECT_TRUE(KillChild(*child, SIGKILL).ok()) << "signalling one that has ended is fine";
  EXPECT_FALSE(WaitChild(*child, 0).ok()) << "it was reaped";
}

TEST(WaitChild, AChildDiesWithTheThreadThatMadeIt) {
  Child child;
  std::thread([&child] { child = *Spawn(Shell("exec sleep 1000")); }).join();
  EXPECT_EQ(Wait(child).signal, SIGKILL);
}

TEST(Spawn, ManyThreadsSpawnAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 10; ++i) {
        auto child = Spawn(Shell(StrCat("exit ", 10 * t + i)));
        ASSERT_TRUE(child.ok());
        EXPECT_EQ(Wait(*child).code, 10 * t + i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace caxton::platform
