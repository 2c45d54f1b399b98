// SPDX-License-Identifier: Apache-2.0
//
// The system call policies. An allow-list: what is not named kills the process with SIGSYS, except
// for a few probes of libc and the Rust runtime that get an errno they know how to take.
#include <linux/prctl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/jail.h"

namespace caxton::platform {
namespace {

using Context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

// What a process needs that computes, logs and talks through shared memory.
constexpr int kAllowed[] = {
    // Given descriptors.
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(fcntl),
    SCMP_SYS(dup),
    SCMP_SYS(ftruncate),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    // Memory.
    SCMP_SYS(mmap),
    SCMP_SYS(mprotect),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(membarrier),
    // Threads, waiting, signals of its own.
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    // Time, randomness, facts.
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(getcpu),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
};

// While native code is loaded: own descriptors by path (the root is empty), memory images.
constexpr int kAllowedWhileLoading[] = {
    SCMP_SYS(open),      SCMP_SYS(openat),     SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(memfd_create),
};

struct Refusal {
  int call;
  int error;
};
// Harmless probes, answered instead of punished.
constexpr Refusal kRefused[] = {
    {SCMP_SYS(clone3), ENOSYS},  // its flags cannot be looked at; libc falls back to clone
    {SCMP_SYS(ioctl), ENOTTY},
    {SCMP_SYS(readlink), ENOENT},
    {SCMP_SYS(readlinkat), ENOENT},
    {SCMP_SYS(getcwd), ENOENT},
    {SCMP_SYS(stat), ENOENT},
    {SCMP_SYS(lstat), ENOENT},
    {SCMP_SYS(sched_setaffinity), EPERM},
    {SCMP_SYS(sched_setscheduler), EPERM},
    {SCMP_SYS(setpriority), EPERM},
    {SCMP_SYS(mlock), EPERM},
    {SCMP_SYS(mbind), EPERM},
    {SCMP_SYS(userfaultfd), EPERM},
};

absl::Status Check(int result, const char* what) {
  if (result == 0) return absl::OkStatus();
  return ErrnoStatus(-result, StrCat("system call filter: ", what));
}

// A call this processor does not have (EDOM) needs no rule.
absl::Status Rule(scmp_filter_ctx context, uint32_t action, int call) {
  const int result = ::seccomp_rule_add(context, action, call, 0);
  return result == -EDOM ? absl::OkStatus() : Check(result, "adding a rule");
}

absl::Status RuleIf(scmp_filter_ctx context, uint32_t action, int call, scmp_arg_cmp condition) {
  const int result = ::seccomp_rule_add_array(context, action, call, 1, &condition);
  return Check(result, "adding a condition");
}

absl::StatusOr<Context> NewContext(uint32_t default_action) {
  Context context(::seccomp_init(default_action), ::seccomp_release);
  if (context == nullptr) return absl::UnimplementedError("system call filter: no seccomp here");
  // All threads at once; no_new_privs is set before (and its prctl may already be refused).
  RETURN_IF_ERROR(Check(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_TSYNC, 1), "TSYNC"));
  RETURN_IF_ERROR(Check(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_NNP, 0), "NNP"));
  RETURN_IF_ERROR(
      Check(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "binary tree"));
  return context;
}

absl::Status AddConditional(scmp_filter_ctx context) {
  // Threads, never processes.
  RETURN_IF_ERROR(RuleIf(context, SCMP_ACT_ALLOW, SCMP_SYS(clone),
                         SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)));
  // abort() signals the process itself.
  RETURN_IF_ERROR(RuleIf(context, SCMP_ACT_ALLOW, SCMP_SYS(tgkill),
                         SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid()))));
  for (int option : {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA}) {
    RETURN_IF_ERROR(RuleIf(context, SCMP_ACT_ALLOW, SCMP_SYS(prctl),
                           SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(option))));
  }
  // Limits may be read (the size of the stack), not set.
  return RuleIf(context, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0));
}

absl::StatusOr<Context> LoadingPolicy(Filter filter) {
  ASSIGN_OR_RETURN(Context context, NewContext(SCMP_ACT_KILL_PROCESS));
  for (int call : kAllowed) RETURN_IF_ERROR(Rule(context.get(), SCMP_ACT_ALLOW, call));
  for (int call : kAllowedWhileLoading) RETURN_IF_ERROR(Rule(context.get(), SCMP_ACT_ALLOW, call));
  for (const Refusal& refused : kRefused) {
    RETURN_IF_ERROR(Rule(context.get(), SCMP_ACT_ERRNO(refused.error), refused.call));
  }
  // Only a worker comes back for its second filter.
  if (filter == Filter::kWorkerLoading) {
    RETURN_IF_ERROR(Rule(context.get(), SCMP_ACT_ALLOW, SCMP_SYS(seccomp)));
  }
  RETURN_IF_ERROR(AddConditional(context.get()));
  return context;
}

// Comes on top of kWorkerLoading; the kernel takes the stricter answer of the two.
absl::StatusOr<Context> RunningPolicy() {
  ASSIGN_OR_RETURN(Context context, NewContext(SCMP_ACT_ALLOW));
  for (int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)}) {
    RETURN_IF_ERROR(RuleIf(context.get(), SCMP_ACT_KILL_PROCESS, call,
                           SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC)));
  }
  for (int call : kAllowedWhileLoading) {
    RETURN_IF_ERROR(Rule(context.get(), SCMP_ACT_ERRNO(EACCES), call));
  }
  RETURN_IF_ERROR(Rule(context.get(), SCMP_ACT_ERRNO(EAGAIN), SCMP_SYS(clone)));
  RETURN_IF_ERROR(Rule(context.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp)));
  return context;
}

}  // namespace

absl::Status InstallFilter(Filter filter) {
  absl::StatusOr<Context> context =
      filter == Filter::kWorkerRunning ? RunningPolicy() : LoadingPolicy(filter);
  if (!context.ok()) return context.status();
  return Check(::seccomp_load(context->get()), "installing it");
}

}  // namespace caxton::platform
