// SPDX-License-Identifier: Apache-2.0
//
// FakeEnvironment: the command line's surroundings in memory: no terminal, a clock that moves by
// sleeping only. Thread rule: one thread, but for the clock.
#pragma once

#include <atomic>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "environment.h"

namespace caxton::cli::testing {

class FakeEnvironment final : public Clock {
 public:
  FakeEnvironment();

  int64_t WallNanos() const override { return now_ns_; }
  int64_t MonoNanos() const override { return now_ns_ += tick_ns; }

  // Runs a command line; out() and err() hold what it wrote.
  int Run(const std::vector<std::string>& args);
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  Environment environment;
  int64_t tick_ns = 0;
  std::map<std::string, std::string> variables;
  std::vector<std::vector<std::string>> worker_calls;
  ToolResult worker_result;
  std::vector<std::vector<std::string>> server_starts;
  std::string connected_to;  // the last address
  std::shared_ptr<grpc::Channel> channel;

 private:
  mutable std::atomic<int64_t> now_ns_{1'764'040'000'000'000'000};
  SeededRandom random_{1};
  std::ostringstream out_, err_;
  std::istringstream in_;
};

}  // namespace caxton::cli::testing
