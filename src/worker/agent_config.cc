// SPDX-License-Identifier: Apache-2.0
#include "agent_config.h"

#include "caxton/worker/limits.h"

namespace caxton::worker {

wasm::AgentConfig AgentConfigOf(const ipc::Configure& configure) {
  wasm::AgentConfig config;
  config.agent = configure.agent;
  config.settings = configure.settings;
  config.memory_bytes = configure.limits.memory_bytes;
  config.max_message_bytes = configure.limits.max_message_bytes;
  config.init_seed = configure.init_seed;
  // A revision that is only being validated has no time of its own yet.
  if (configure.init_time_ns > 0) config.init_time_ns = configure.init_time_ns;
  return config;
}

int64_t InitLimitOf(const ipc::Configure& configure) {
  return configure.init_deadline_ns > 0 ? configure.init_deadline_ns : kDefaultInitLimitNs;
}

}  // namespace caxton::worker
