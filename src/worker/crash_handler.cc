// SPDX-License-Identifier: Apache-2.0
#include "crash_handler.h"

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>

namespace caxton::worker {
namespace {

constexpr size_t kAlternateStackBytes = 64 << 10;
alignas(16) char alternate_stack[kAlternateStackBytes];

// Only what a signal handler may call.
void WriteText(const char* text) {
  const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
  (void)written;  // there is nobody left to tell
}

void WriteHex(uint64_t value) {
  char text[19] = "0x";
  for (int i = 0; i < 16; ++i) text[2 + i] = "0123456789abcdef"[(value >> (60 - 4 * i)) & 0xf];
  text[18] = '\0';
  WriteText(text);
}

const char* SignalName(int number) {
  switch (number) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGILL:
      return "SIGILL";
    case SIGFPE:
      return "SIGFPE";
    default:
      return "a signal";
  }
}

void OnCrash(int number, siginfo_t* info, void*) {
  WriteText("caxton-worker: crashed with ");
  WriteText(SignalName(number));
  WriteText(" at ");
  WriteHex(reinterpret_cast<uintptr_t>(info->si_addr));
  WriteText("\n");
  // Returning runs the faulting instruction again, now with the default action.
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  ::sigaction(number, &action, nullptr);
}

}  // namespace

void InstallCrashHandler() {
  stack_t stack = {};
  stack.ss_sp = alternate_stack;
  stack.ss_size = sizeof alternate_stack;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = &OnCrash;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace caxton::worker
