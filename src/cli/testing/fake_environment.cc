// SPDX-License-Identifier: Apache-2.0
#include "caxton/cli/testing/fake_environment.h"

namespace caxton::cli::testing {

FakeEnvironment::FakeEnvironment() {
  environment.out = &out_;
  environment.err = &err_;
  environment.in = &in_;
  environment.clock = this;
  environment.random = &random_;
  environment.sleep = [this](int64_t nanoseconds) { now_ns_ += nanoseconds; };
  environment.getenv = [this](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  };
  environment.connect = [this](const std::string& address) {
    connected_to = address;
    return channel;
  };
  environment.run_worker = [this](const std::vector<std::string>& args) {
    worker_calls.push_back(args);
    return worker_result;
  };
  environment.hooks.start_server = [this](const std::vector<std::string>& args) {
    server_starts.push_back(args);
    return 0;
  };
}

int FakeEnvironment::Run(const std::vector<std::string>& args) {
  out_.str("");
  err_.str("");
  return cli::Run(args, environment);
}

}  // namespace caxton::cli::testing
