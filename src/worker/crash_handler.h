// SPDX-License-Identifier: Apache-2.0
//
// Last words of a crashing worker: which signal, at which address. Private to src/worker.
#pragma once

namespace caxton::worker {

// Handlers for SIGSEGV, SIGBUS, SIGILL and SIGFPE that write one line on standard error and let the
// signal kill the process. Installed before the engine, whose own handlers pass on what is not a
// guest's trap. Once, in main.
void InstallCrashHandler();

}  // namespace caxton::worker
