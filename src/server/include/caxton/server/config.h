// SPDX-License-Identifier: Apache-2.0
//
// What a server is started with: flags over the configuration file over the defaults. A value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "caxton/controller/limits.h"

namespace caxton::server {

struct ServerConfig {
  std::string data_dir = "caxton-data";
  std::string listen = "127.0.0.1:50051";
  std::string http = "127.0.0.1:8080";
  bool dev = false;
  int64_t time_scale = 1;        // divides stage durations; needs dev
  int64_t max_deployments = 32;  // under way at once; the rest waits its turn
  // Clean-up by age, after a deployment's end.
  int64_t keep_evidence_ns = controller::kDefaultKeepEvidenceNs;
  int64_t keep_ended_ns = controller::kDefaultKeepEndedNs;
  bool accept_loss = false;
  std::string log_level = "info";
  bool help = false;  // print `help_text` and do nothing
  std::string help_text;
};

// The arguments behind `caxton server start`. Errors name the flag, or the configuration file's
// line.
absl::StatusOr<ServerConfig> ParseServerConfig(const std::vector<std::string>& args);

}  // namespace caxton::server
