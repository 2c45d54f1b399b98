// SPDX-License-Identifier: Apache-2.0
//
// W: bench_wasm MODULE.wasm call|fresh MILLISECONDS
//
// `call`: one message of 256 B through handle_message of an instance that is kept (alloc, copy,
// call, reply). `fresh`: the same with a new store and instance for each message.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/wasm/engine.h"
#include "caxton/wasm/instance.h"
#include "caxton/wasm/module.h"
#include "samples.h"

namespace caxton::bench {
namespace {

constexpr size_t kPayloadBytes = 256;
constexpr uint64_t kCallsPerSample = 16;  // a call is shorter than reading the clock is exact

absl::Status Measure(const std::string& wasm, bool fresh, int64_t limit_ns) {
  ASSIGN_OR_RETURN(auto engine, wasm::Engine::Create({.max_instances = 4}));
  ASSIGN_OR_RETURN(const std::string native, engine->Compile(wasm));
  ASSIGN_OR_RETURN(auto module, wasm::Module::LoadBytes(*engine, native));
  const SystemClock clock;
  const wasm::AgentConfig config{.agent = "echo"};
  const wasm::StepControl control{.clock = &clock};
  ASSIGN_OR_RETURN(auto instance, module->NewInstance(config, control));
  Envelope message;
  message.id = "0123456789abcdef";
  message.sender = "client:bench";
  message.receiver = "echo";
  message.performative = Performative::kRequest;
  message.content.assign(kPayloadBytes, 'x');
  StepInput input;
  Samples samples;
  uint64_t count = 0;
  const int64_t start = clock.MonoNanos();
  int64_t now = start;
  while (now - start < limit_ns) {
    const int64_t before = clock.MonoNanos();
    for (uint64_t i = 0; i < kCallsPerSample; ++i) {
      if (fresh) {
        instance.reset();
        ASSIGN_OR_RETURN(instance, module->NewInstance(config, control));
      }
      const StepResult result = instance->HandleMessage(input, message, control);
      if (result.outcome != StepOutcome::kHandled) {
        return absl::InternalError(StrCat("the step failed: ", result.detail));
      }
    }
    now = clock.MonoNanos();
    samples.Add((now - before) / static_cast<int64_t>(kCallsPerSample));
    count += kCallsPerSample;
  }
  PrintResult(samples, count, now - start);
  return absl::OkStatus();
}

}  // namespace
}  // namespace caxton::bench

int main(int argc, char** argv) {
  const std::string mode = argc == 4 ? argv[2] : "";
  if (mode != "call" && mode != "fresh") {
    std::fprintf(stderr, "usage: bench_wasm MODULE.wasm call|fresh MILLISECONDS\n");
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  const absl::Status status = caxton::bench::Measure(bytes.str(), mode == "fresh",
                                                     std::atoll(argv[3]) * caxton::kNanosPerMilli);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_wasm: %s\n", status.ToString().c_str());
  return 1;
}
