// SPDX-License-Identifier: Apache-2.0
//
// Each test jails a forked process. Codes: 0 as expected, 1.. the number of the check that failed.
#include "caxton/platform/jail.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "caxton/platform/limits.h"
#include "caxton/platform/memfd.h"
#include "test_child.h"

// A sanitizer's runtime makes system calls of its own that a worker's filter rightly forbids.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SKIP_UNDER_SANITIZERS() \
  GTEST_SKIP() << "the sanitizer's own calls are not in the allow-list"
#else
#define SKIP_UNDER_SANITIZERS()
#endif

namespace caxton::platform {
namespace {

int FilteredCode(Filter filter) {
  if (!SetNoNewPrivs().ok()) return 100;
  return InstallFilter(filter).ok() ? 0 : 101;
}

// What happens to a process under `filter` (kWorkerRunning: under both) that runs `body`.
ExitStatus UnderFilter(Filter filter, const std::function<int()>& body) {
  return RunInChild([&] {
    if (int code = FilteredCode(filter == Filter::kCompiler ? filter : Filter::kWorkerLoading)) {
      return code;
    }
    if (filter == Filter::kWorkerRunning) {
      if (!InstallFilter(filter).ok()) return 102;
    }
    return body();
  });
}

std::string Describe(const ExitStatus& status) { return status.ToString(); }

TEST(Jail, HoldsAsAWhole) {
  auto memfd = MemfdWithContent("code", "native");
  const int fd = ::dup2(memfd->get(), 3);
  ASSERT_EQ(fd, 3);
  const ExitStatus status = RunInChild([] {
    auto report = EnterJail({.first_closed_fd = 4});
    if (!report.ok()) return 1;
    if (!report->not_enforced.empty() && ::getuid() == 0) return 2;
    if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 3;
    if (::open("/etc/passwd", O_RDONLY) >= 0) return 4;
    if (::open("/proc/self/status", O_RDONLY) >= 0) return 5;
    if (::open("/../../etc/passwd", O_RDONLY) >= 0) return 6;
    if (::chroot("/") == 0) return 7;
    if (::setuid(0) == 0 && ::getuid() == 0) return 8;
    if (::prctl(PR_GET_DUMPABLE) != 0) return 9;
    // Its own descriptors can still be opened by path.
    if (FdPath(3) != "/3") return 10;
    UniqueFd again(::open(FdPath(3).c_str(), O_RDONLY));
    if (!again.valid() || *ReadFd(again.get(), 100) != "native") return 11;
    // Its network namespace has no way to anywhere.
    UniqueFd udp(::socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9);
    address.sin_addr.s_addr = htonl(0x7f000001);
    if (::connect(udp.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return 12;
    return 0;
  });
  EXPECT_TRUE(status.success()) << Describe(status);
}

TEST(Jail, RootBecomesNobody) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const ExitStatus status = RunInChild([] {
    if (!DropPrivileges().ok()) return 1;
    if (::getuid() != kNobodyId || ::geteuid() != kNobodyId || ::getgid() != kNobodyId) return 2;
    return ::setuid(0) == 0 ? 3 : 0;
  });
  EXPECT_TRUE(status.success()) << Describe(status);
}

TEST(Jail, AnOrdinaryUserIsJailedThroughAUserNamespace) {
  const ExitStatus status = RunInChild([] {
    if (::geteuid() == 0 && (::setgid(12345) != 0 || ::setuid(12345) != 0)) return 1;
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // as after an exec by that user
    auto report = EnterJail({.first_closed_fd = 3});
    if (!report.ok()) return 2;
    if (!report->not_enforced.empty()) return 77;  // forbidden on this machine, and said so
    return ::open("/etc/passwd", O_RDONLY) >= 0 ? 3 : 0;
  });
  if (status.code == 77) GTEST_SKIP() << "user namespaces are not permitted here";
  EXPECT_TRUE(status.success()) << Describe(status);
}

TEST(Jail, ClosesStrayDescriptors) {
  const ExitStatus status = RunInChild([] {
    const int fd = ::dup(0);
    CloseFdsFrom(3);
    return ::fcntl(fd, F_GETFD) == -1 ? 0 : 1;
  });
  EXPECT_TRUE(status.success());
}

TEST(Seccomp, AWorkerMayDoItsWork) {
  SKIP_UNDER_SANITIZERS();
  for (Filter filter : {Filter::kWorkerLoading, Filter::kWorkerRunning, Filter::kCompiler}) {
    const ExitStatus status = UnderFilter(filter, [] {
      void* memory =
          ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED) return 1;
      if (::mprotect(memory, 4096, PROT_READ) != 0) return 2;
      if (::madvise(memory, 4096, MADV_DONTNEED) != 0) return 3;
      if (::munmap(memory, 4096) != 0) return 4;
      if (::write(2, "", 0) != 0) return 5;
      timespec now;
      if (::clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 6;
      std::string grown(1 << 22, 'x');
      return grown.size() == 1 << 22 ? 0 : 7;
    });
    EXPECT_TRUE(status.success()) << static_cast<int>(filter) << ": " << Describe(status);
  }
}

TEST(Seccomp, LoadingMayMapCodeAndStartThreads) {
  SKIP_UNDER_SANITIZERS();
  const ExitStatus status = UnderFilter(Filter::kWorkerLoading, [] {
    void* code = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (::mprotect(code, 4096, PROT_READ | PROT_EXEC) != 0) return 1;
    int ran = 0;
    std::thread([&ran] { ran = 1; }).join();
    return ran == 1 ? 0 : 2;
  });
  EXPECT_TRUE(status.success()) << Describe(status);
}

TEST(Seccomp, RunningCoversThreadsThatWereThereBefore) {
  SKIP_UNDER_SANITIZERS();
  const ExitStatus status = RunInChild([] {
    if (int code = FilteredCode(Filter::kWorkerLoading)) return code;
    std::atomic<int> go{0};
    std::thread ticker([&go] {
      while (go.load() == 0) std::this_thread::yield();
      ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    });
    if (!InstallFilter(Filter::kWorkerRunning).ok()) return 1;
    go.store(1);
    ticker.join();
    return 2;
  });
  EXPECT_EQ(status.signal, SIGSYS) << Describe(status);
}

struct Forbidden {
  const char* name;
  std::function<int()> body;
};

TEST(Seccomp, WhatNoWorkerEverNeedsKillsIt) {
  SKIP_UNDER_SANITIZERS();
  const Forbidden forbidden[] = {
      {"socket", [] { return ::socket(AF_INET, SOCK_STREAM, 0); }},
      {"fork", [] { return static_cast<int>(::syscall(SYS_fork)); }},
      {"clone of a process",
       [] { return static_cast<int>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)); }},
      {"execve", [] { return ::execl("/bin/true", "true", nullptr); }},
      {"kill", [] { return ::kill(::getppid(), 0); }},
      {"ptrace", [] { return static_cast<int>(::ptrace(PTRACE_TRACEME)); }},
      {"mount", [] { return static_cast<int>(::syscall(SYS_mount, "", "/", "", 0, "")); }},
      {"unlink", [] { return ::unlink("/nothing"); }},
      {"io_uring", [] { return static_cast<int>(::syscall(SYS_io_uring_setup, 1, nullptr)); }},
      {"process_vm_readv",
       [] { return static_cast<int>(::syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0)); }},
  };
  for (Filter filter : {Filter::kWorkerLoading, Filter::kWorkerRunning, Filter::kCompiler}) {
    for (const Forbidden& call : forbidden) {
      const ExitStatus status = UnderFilter(filter, call.body);
      EXPECT_EQ(status.signal, SIGSYS) << call.name << ": " << Describe(status);
    }
  }
}

TEST(Seccomp, RunningForbidsNewCode) {
  SKIP_UNDER_SANITIZERS();
  EXPECT_EQ(UnderFilter(Filter::kWorkerRunning,
                        [] {
                          ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                                 -1, 0);
                          return 0;
                        })
                .signal,
            SIGSYS);
  EXPECT_EQ(UnderFilter(Filter::kWorkerRunning,
                        [] {
                          void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                          ::mprotect(page, 4096, PROT_READ | PROT_EXEC);
                          return 0;
                        })
                .signal,
            SIGSYS);
}

TEST(Seccomp, RunningRefusesFilesAndThreads) {
  SKIP_UNDER_SANITIZERS();
  const ExitStatus status = UnderFilter(Filter::kWorkerRunning, [] {
    if (::open("/dev/null", O_RDONLY) >= 0 || errno != EACCES) return 1;
    const long clone = ::syscall(SYS_clone, CLONE_THREAD | CLONE_VM | CLONE_SIGHAND, 0, 0, 0, 0);
    return clone < 0 && errno == EAGAIN ? 0 : 2;
  });
  EXPECT_TRUE(status.success()) << Describe(status);
}

TEST(Seccomp, TheCompilerTakesNoSecondFilter) {
  SKIP_UNDER_SANITIZERS();
  const ExitStatus status = UnderFilter(
      Filter::kCompiler, [] { return InstallFilter(Filter::kWorkerRunning).ok() ? 1 : 2; });
  EXPECT_EQ(status.signal, SIGSYS) << Describe(status);
}

}  // namespace
}  // namespace caxton::platform
