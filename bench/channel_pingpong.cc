// SPDX-License-Identifier: Apache-2.0
//
// C: bench_channel park|spin MILLISECONDS
//
// One frame of 256 B there and back over the worker channel, between two processes: this one, and
// itself started as the worker. `park`: both ends sleep until woken; `spin`: both look for the
// frame for as long as a channel allows before they sleep.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/ipc/channel.h"
#include "caxton/platform/process.h"
#include "samples.h"

namespace caxton::bench {
namespace {

constexpr size_t kPayloadBytes = 256;
constexpr uint32_t kFrameType = 1;
constexpr int64_t kPatienceNs = 10 * kNanosPerSecond;

// False: the channel is closed, or the other end is silent.
absl::StatusOr<bool> Receive(ipc::RingReader& reader, int64_t spin_ns, ipc::Frame* frame) {
  const SystemClock clock;
  while (true) {
    ASSIGN_OR_RETURN(const bool got, reader.TryRead(frame));
    if (got) return true;
    ASSIGN_OR_RETURN(const bool readable,
                     reader.WaitReadable(clock.MonoNanos() + kPatienceNs, spin_ns));
    if (!readable) return false;
  }
}

absl::Status Echo(int64_t spin_ns) {
  ASSIGN_OR_RETURN(auto channel, ipc::WorkerChannel::Attach(kDefaultMaxMessageBytes));
  ipc::Frame frame;
  const SystemClock clock;
  while (true) {
    ASSIGN_OR_RETURN(const bool got, Receive(channel->from_server(), spin_ns, &frame));
    if (!got) return absl::OkStatus();
    RETURN_IF_ERROR(
        channel->to_server().Write(frame.type, frame.bytes, clock.MonoNanos() + kPatienceNs));
  }
}

absl::Status Measure(const std::string& mode, int64_t spin_ns, int64_t limit_ns) {
  ASSIGN_OR_RETURN(auto channel, ipc::ServerChannel::Create({}));
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  platform::SpawnOptions spawn;
  spawn.path = self;
  spawn.argv = {self, "--child", mode};
  spawn.fds = channel->ChildFds();
  ASSIGN_OR_RETURN(const platform::Child child, platform::Spawn(spawn));

  const SystemClock clock;
  const std::string payload(kPayloadBytes, 'x');
  ipc::Frame frame;
  Samples samples;
  uint64_t count = 0;
  int64_t start = 0, now = 0;
  for (int round = 0; round == 0 || now - start < limit_ns; ++round) {
    const int64_t before = clock.MonoNanos();
    RETURN_IF_ERROR(channel->to_worker().Write(kFrameType, payload, before + kPatienceNs));
    ASSIGN_OR_RETURN(const bool got, Receive(channel->from_worker(), spin_ns, &frame));
    if (!got) return absl::DeadlineExceededError("the other process does not answer");
    now = clock.MonoNanos();
    if (round == 0) {
      start = now;  // the first one waits for the process to start
      continue;
    }
    samples.Add(now - before);
    ++count;
  }
  channel->Close();
  platform::KillAndReap(child);
  PrintResult(samples, count, now - start);
  return absl::OkStatus();
}

int Exit(const absl::Status& status) {
  if (status.ok() || absl::IsUnavailable(status)) return 0;
  std::fprintf(stderr, "bench_channel: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace caxton::bench

int main(int argc, char** argv) {
  using caxton::bench::Exit;
  const bool child = argc == 3 && std::string(argv[1]) == "--child";
  const std::string mode = argc == 3 ? argv[child ? 2 : 1] : "";
  if (mode != "park" && mode != "spin") {
    std::fprintf(stderr, "usage: bench_channel park|spin MILLISECONDS\n");
    return 2;
  }
  const int64_t spin_ns = mode == "spin" ? caxton::ipc::kMaxSpinNs : 0;
  if (child) return Exit(caxton::bench::Echo(spin_ns));
  return Exit(caxton::bench::Measure(mode, spin_ns, std::atoll(argv[2]) * caxton::kNanosPerMilli));
}
