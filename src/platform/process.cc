// SPDX-License-Identifier: Apache-2.0
//
// The child runs in the parent's memory until it execs, so RunChild and all below it may only make
// system calls on memory that Spawn prepared: no allocation, no locks, no library call that might
// take one.
#include "caxton/platform/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/base/dynamic_annotations.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/file.h"
#include "caxton/platform/limits.h"

// P_PIDFD is an enumerator in newer headers and missing in older ones.
static constexpr auto kByPidfd = static_cast<idtype_t>(3);

namespace caxton::platform {
namespace {

constexpr size_t kChildStackBytes = 64 << 10;
constexpr int kStdFds = 3;
constexpr int kExecFailedCode = 127;

struct FdPlan {
  int source;
  int target;
  int parked;  // where the child keeps the source out of the targets' way
};

// Everything the child needs, and where it says what went wrong (its memory is ours).
struct ChildPlan {
  const char* path;
  char* const* argv;
  char* const* envp;
  const char* const* cgroup_files;
  size_t cgroup_count;
  const ResourceLimit* rlimits;
  size_t rlimit_count;
  FdPlan fds[kMaxPassedFds + kStdFds];
  size_t fd_count;
  int highest_target;
  pid_t parent;
  bool no_new_privs;
  bool die_with_parent;

  int error = 0;
  const char* failed_step = nullptr;
};

#define CAXTON_CHILD_CODE __attribute__((no_sanitize("address", "thread", "undefined")))

CAXTON_CHILD_CODE bool Failed(ChildPlan* plan, const char* step) {
  plan->error = errno;
  plan->failed_step = step;
  return false;
}

CAXTON_CHILD_CODE bool JoinCgroups(ChildPlan* plan) {
  for (size_t i = 0; i < plan->cgroup_count; ++i) {
    const int fd = ::open(plan->cgroup_files[i], O_WRONLY | O_CLOEXEC);
    if (fd < 0) return Failed(plan, "open its cgroup");
    if (::write(fd, "0", 1) != 1) return Failed(plan, "join its cgroup");
    ::close(fd);
  }
  return true;
}

CAXTON_CHILD_CODE bool PlaceFds(ChildPlan* plan) {
  // First out of the way of every target, then into place: sources and targets may overlap in any
  // way.
  for (size_t i = 0; i < plan->fd_count; ++i) {
    FdPlan& fd = plan->fds[i];
    fd.parked = ::fcntl(fd.source, F_DUPFD_CLOEXEC, plan->highest_target + 1);
    if (fd.parked < 0) return Failed(plan, "duplicate a descriptor");
  }
  for (size_t i = 0; i < plan->fd_count; ++i) {
    if (::dup2(plan->fds[i].parked, plan->fds[i].target) < 0) {
      return Failed(plan, "place a descriptor");
    }
  }
  // Numbers between the targets that nobody asked for.
  for (int fd = 0; fd <= plan->highest_target; ++fd) {
    bool wanted = false;
    for (size_t i = 0; i < plan->fd_count; ++i) wanted = wanted || plan->fds[i].target == fd;
    if (!wanted) ::close(fd);
  }
  if (::syscall(SYS_close_range, plan->highest_target + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    return Failed(plan, "close inherited descriptors");
  }
  return true;
}

CAXTON_CHILD_CODE bool ResetSignals(ChildPlan* plan) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) return Failed(plan, "unblock signals");
  return true;
}

CAXTON_CHILD_CODE bool Confine(ChildPlan* plan) {
  for (size_t i = 0; i < plan->rlimit_count; ++i) {
    const rlimit limit{plan->rlimits[i].soft, plan->rlimits[i].hard};
    if (::setrlimit(static_cast<__rlimit_resource>(plan->rlimits[i].resource), &limit) != 0) {
      return Failed(plan, "set a resource limit");
    }
  }
  // A session of its own: a Ctrl-C at the server's terminal is the server's to handle.
  if (::setsid() < 0) return Failed(plan, "start a session");
  if (::chdir("/") != 0) return Failed(plan, "change to /");
  ::umask(077);
  if (plan->no_new_privs && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return Failed(plan, "give up new privileges");
  }
  if (plan->die_with_parent) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
      return Failed(plan, "tie itself to its parent");
    if (::getppid() != plan->parent) {  // it died before the signal was armed
      errno = ESRCH;
      return Failed(plan, "find its parent");
    }
  }
  return true;
}

CAXTON_CHILD_CODE int RunChild(void* arg) {
  auto* plan = static_cast<ChildPlan*>(arg);
  if (JoinCgroups(plan) && ResetSignals(plan) && Confine(plan) && PlaceFds(plan)) {
    ::execve(plan->path, plan->argv, plan->envp);
    Failed(plan, "execute it");
  }
  ::_exit(kExecFailedCode);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

absl::Status PlanFds(const SpawnOptions& options, int dev_null, ChildPlan* plan) {
  if (options.fds.size() > static_cast<size_t>(kMaxPassedFds)) {
    return absl::InvalidArgumentError(StrCat("spawning ", options.path, ": ", options.fds.size(),
                                             " descriptors, at most ", kMaxPassedFds,
                                             " can be passed"));
  }
  bool given[kStdFds] = {};
  plan->fd_count = 0;
  plan->highest_target = kStdFds - 1;
  auto add = [plan](int source, int target) {
    plan->fds[plan->fd_count++] = FdPlan{source, target, -1};
    plan->highest_target = std::max(plan->highest_target, target);
  };
  for (const PassedFd& passed : options.fds) {
    if (passed.fd < 0 || passed.child_fd < 0) {
      return absl::InvalidArgumentError(StrCat("spawning ", options.path, ": descriptor ",
                                               passed.fd, " -> ", passed.child_fd, " is not one"));
    }
    if (passed.child_fd < kStdFds) given[passed.child_fd] = true;
    add(passed.fd, passed.child_fd);
  }
  for (int fd = 0; fd < kStdFds; ++fd) {
    if (!given[fd]) add(fd == STDERR_FILENO ? STDERR_FILENO : dev_null, fd);
  }
  return absl::OkStatus();
}

// ThreadSanitizer takes each clone() for a fork and loses count when the child shares our memory,
// as this one does until it executes its program. It leaves glibc's other name for it alone.
// What the child then does to its own descriptors would count as this thread's doing: not looked
// at.
#if defined(__SANITIZE_THREAD__)
extern "C" int __clone(int (*run)(void*), void* stack, int flags, void* argument, ...);
constexpr auto& CloneFunction = __clone;
#else
constexpr auto& CloneFunction = ::clone;
#endif

// Clones, with every signal blocked: a handler of ours must not run in the child.
pid_t CloneBlocked(ChildPlan* plan, void* stack, int* pidfd) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  ABSL_ANNOTATE_IGNORE_READS_AND_WRITES_BEGIN();
  const pid_t pid = CloneFunction(RunChild, static_cast<char*>(stack) + kChildStackBytes,
                                  CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, plan, pidfd);
  const int error = errno;
  ABSL_ANNOTATE_IGNORE_READS_AND_WRITES_END();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

const char* SignalMeaning(int signal) {
  switch (signal) {
    case SIGKILL:
      return " (killed from outside, or beyond its memory limit)";
    case SIGSYS:
      return " (it made a system call that its jail forbids)";
    case SIGSEGV:
    case SIGBUS:
      return " (bad memory access)";
    case SIGABRT:
      return " (it gave up: a failed check or panic)";
    case SIGXCPU:
      return " (beyond its CPU time limit)";
    default:
      return "";
  }
}

}  // namespace

std::string ExitStatus::ToString() const {
  if (exited) return StrCat("exited with code ", code);
  const char* name = ::sigabbrev_np(signal);
  return StrCat("was killed by ", name != nullptr ? StrCat("SIG", name) : StrCat("signal ", signal),
                SignalMeaning(signal));
}

absl::StatusOr<Child> Spawn(const SpawnOptions& options) {
  const std::vector<char*> argv = Pointers(options.argv);
  const std::vector<char*> env = Pointers(options.env);
  const std::vector<char*> cgroups = Pointers(options.cgroup_procs_files);
  ASSIGN_OR_RETURN(UniqueFd dev_null, OpenFile("/dev/null", O_RDWR));
  ChildPlan plan{};
  plan.path = options.path.c_str();
  plan.argv = argv.data();
  plan.envp = env.data();
  plan.cgroup_files = cgroups.data();
  plan.cgroup_count = options.cgroup_procs_files.size();
  plan.rlimits = options.rlimits.data();
  plan.rlimit_count = options.rlimits.size();
  plan.parent = ::getpid();
  plan.no_new_privs = options.no_new_privs;
  plan.die_with_parent = options.die_with_parent;
  RETURN_IF_ERROR(PlanFds(options, dev_null.get(), &plan));

  void* stack = ::mmap(nullptr, kChildStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return ErrnoStatus(errno, "making room for a child's stack");
  int pidfd = -1;
  const pid_t pid = CloneBlocked(&plan, stack, &pidfd);
  const int clone_error = errno;
  ::munmap(stack, kChildStackBytes);
  if (pid < 0) return ErrnoStatus(clone_error, StrCat("starting ", options.path));

  Child child{pid, UniqueFd(pidfd)};
  if (plan.failed_step != nullptr) {
    KillAndReap(child);
    return WithFix(ErrnoStatus(plan.error, StrCat("starting ", options.path, ": it could not ",
                                                  plan.failed_step)),
                   "check that the program is installed at this path and may be executed");
  }
  return child;
}

absl::StatusOr<std::optional<ExitStatus>> WaitChild(const Child& child, int timeout_ms) {
  pollfd poll_fd{child.pidfd.get(), POLLIN, 0};
  const int ready = ::poll(&poll_fd, 1, timeout_ms);
  if (ready == 0 || (ready < 0 && errno == EINTR)) return std::nullopt;
  if (ready < 0) return ErrnoStatus(errno, "waiting for a child process");
  siginfo_t info{};
  int result;
  do {
    result = ::waitid(kByPidfd, static_cast<id_t>(child.pidfd.get()), &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return ErrnoStatus(errno, "reaping a child process");
  ExitStatus status;
  status.exited = info.si_code == CLD_EXITED;
  (status.exited ? status.code : status.signal) = info.si_status;
  return status;
}

absl::Status KillChild(const Child& child, int signal) {
  if (::syscall(SYS_pidfd_send_signal, child.pidfd.get(), signal, nullptr, 0) != 0 &&
      errno != ESRCH) {
    return ErrnoStatus(errno, StrCat("signalling process ", child.pid));
  }
  return absl::OkStatus();
}

void KillAndReap(const Child& child) {
  if (!child.pidfd.valid()) return;
  if (!KillChild(child, SIGKILL).ok()) return;
  siginfo_t info{};
  while (::waitid(kByPidfd, static_cast<id_t>(child.pidfd.get()), &info, WEXITED) != 0 &&
         errno == EINTR) {
  }
}

}  // namespace caxton::platform
