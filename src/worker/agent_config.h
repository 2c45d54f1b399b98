// SPDX-License-Identifier: Apache-2.0
//
// From what the server sends to what the engine needs. Private to src/worker.
#pragma once

#include "caxton/ipc/frames.h"
#include "caxton/wasm/instance.h"

namespace caxton::worker {

wasm::AgentConfig AgentConfigOf(const ipc::Configure& configure);
int64_t InitLimitOf(const ipc::Configure& configure);  // nanoseconds

}  // namespace caxton::worker
