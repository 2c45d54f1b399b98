// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>

#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/platform/sd_notify.h"
#include "caxton/platform/signals.h"
#include "caxton/server/server.h"

namespace caxton::server {
namespace {

constexpr int kFailed = 1, kUsage = 2, kRefused = 6;  // as of every command

int Fail(const absl::Status& status, int exit_status) {
  std::fprintf(stderr, "caxton: %s\n", std::string(StdView(status.message())).c_str());
  if (absl::IsUnimplemented(status)) std::fprintf(stderr, "Reason: %s\n", ReasonOf(status).c_str());
  if (const std::string fix = FixOf(status); !fix.empty())
    std::fprintf(stderr, "To fix: %s\n", fix.c_str());
  return exit_status;
}

}  // namespace

int StartMain(const std::vector<std::string>& args) {
  absl::StatusOr<ServerConfig> config = ParseServerConfig(args);
  if (!config.ok()) {
    return Fail(config.status(), absl::IsUnimplemented(config.status()) ? kRefused : kUsage);
  }
  if (config->help) {
    std::fputs(config->help_text.c_str(), stdout);
    return 0;
  }
  platform::IgnoreSigpipe();
  absl::StatusOr<platform::StopSignals> signals =
      platform::StopSignals::Block();  // before any thread
  if (!signals.ok()) return Fail(signals.status(), kFailed);
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(*config);
  if (!server.ok()) return Fail(server.status(), kFailed);
  std::printf("caxton ready: grpc %s http %s\n", (*server)->grpc_address().c_str(),
              (*server)->http_address().c_str());
  std::fflush(stdout);
  const char* socket = std::getenv("NOTIFY_SOCKET");
  const std::string notify = socket ? socket : "";
  (void)platform::NotifyServiceManager(notify, platform::kNotifyReady);
  (void)signals->Wait(-1);
  (void)platform::NotifyServiceManager(notify, platform::kNotifyStopping);
  (*server)->Stop();
  return 0;
}

}  // namespace caxton::server
