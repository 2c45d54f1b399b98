// SPDX-License-Identifier: Apache-2.0
#include "caxton/supervisor/worker_setup.h"

#include <algorithm>

#include "caxton/base/hash.h"
#include "caxton/base/status.h"
#include "caxton/platform/memfd.h"
#include "caxton/platform/process.h"
#include "caxton/supervisor/limits.h"

namespace caxton::supervisor {
namespace {

constexpr size_t kMaxIdentityBytes = 4096;

uint32_t PoolSize(const Revision& revision) {
  if (revision.traits.reused_instances) return 1;
  const int64_t each = std::max(revision.limits.memory_bytes, kMinAgentMemoryBytes);
  return static_cast<uint32_t>(std::clamp<int64_t>(kMaxPoolBytes / each, 1, kDefaultPool));
}

}  // namespace

ipc::Configure MakeConfigure(const Revision& revision) {
  ipc::Configure configure;
  configure.agent = revision.agent;
  configure.revision = revision.Name();
  configure.limits = revision.limits;
  configure.settings = revision.settings;
  configure.reused_instances = revision.traits.reused_instances;
  configure.pool_size = PoolSize(revision);
  configure.init_seed = Sha256(StrCat("caxton init ", revision.agent)).bytes;
  configure.init_time_ns = revision.created_ns;
  configure.init_deadline_ns = kInitDeadlineNs;
  return configure;
}

absl::Status CheckSettings(const Revision& revision) {
  size_t bytes = 0;
  for (const auto& [name, value] : revision.settings) bytes += name.size() + value.size();
  if (bytes <= kMaxSettingsBytes) return absl::OkStatus();
  return WithFix(
      absl::ResourceExhaustedError(StrCat("the settings of ", revision.agent, " have ", bytes,
                                          " bytes together, the limit is ", kMaxSettingsBytes)),
      "put large data into the module, or send it as messages");
}

int64_t WorkerMemoryBytes(const Revision& revision) {
  return kWorkerOverheadBytes + revision.limits.memory_bytes * (PoolSize(revision) + 1);
}

absl::StatusOr<WorkerIdentity> ParseWorkerIdentity(std::string_view text) {
  WorkerIdentity identity;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kConfig = "engine-config ";
    if (StartsWith(line, "caxton-worker ")) identity.version = line;
    if (StartsWith(line, "wasmtime ")) identity.engine = line;
    if (StartsWith(line, kConfig)) identity.engine_config = line.substr(kConfig.size());
  }
  if (identity.version.empty() || identity.engine.empty() || identity.engine_config.empty()) {
    return absl::InternalError("it did not say its version, engine and engine-config");
  }
  return identity;
}

absl::StatusOr<WorkerIdentity> AskWorkerIdentity(const std::string& worker_path) {
  ASSIGN_OR_RETURN(const platform::UniqueFd output, platform::CreateMemfd("caxton-identity", 0));
  platform::SpawnOptions options;
  options.path = worker_path;
  options.argv = {worker_path, "--version"};
  options.fds = {{output.get(), 1}};
  ASSIGN_OR_RETURN(const platform::Child child, platform::Spawn(options));
  ASSIGN_OR_RETURN(const auto ended, platform::WaitChild(child, kIdentityLimitMs));
  if (!ended.has_value()) {
    platform::KillAndReap(child);
    return absl::DeadlineExceededError(StrCat(worker_path, " --version did not end"));
  }
  if (!ended->success()) {
    return absl::InternalError(StrCat(worker_path, " --version ", ended->ToString()));
  }
  ASSIGN_OR_RETURN(const std::string text, platform::ReadFd(output.get(), kMaxIdentityBytes));
  auto identity = ParseWorkerIdentity(text);
  if (!identity.ok()) return Annotate(identity.status(), StrCat(worker_path, " --version"));
  return identity;
}

}  // namespace caxton::supervisor
