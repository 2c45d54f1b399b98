// SPDX-License-Identifier: Apache-2.0
//
// The modes of caxton-worker, one function each. Private to src/worker.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "caxton/platform/jail.h"
#include "caxton/worker/command_line.h"

namespace caxton::worker {

ipc::WorkerExit RunMode(const ipc::RunCommand& command);
ipc::WorkerExit CompileMode(const ipc::CompileCommand& command);
ipc::WorkerExit InspectMode(const InspectCommand& command);
ipc::WorkerExit ValidateMode(const ValidateCommand& command);
ipc::WorkerExit PackageMode(const PackageCommand& command);
ipc::WorkerExit VersionMode();

// "caxton-worker: `text`" on standard error, with the status's fix if it has one; `exit` again.
ipc::WorkerExit Complain(const absl::Status& status, ipc::WorkerExit exit);
void Print(std::string_view text);  // all of it, on standard output

// The jail up to and including `filter`; with `jail` false only an empty report. What the machine
// does not permit is in the report.
absl::StatusOr<platform::JailReport> EnterJailFor(bool jail, int first_closed_fd,
                                                  platform::Filter filter);
absl::Status LimitResources(int64_t data_bytes, int64_t cpu_seconds);

}  // namespace caxton::worker
