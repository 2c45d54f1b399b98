// SPDX-License-Identifier: Apache-2.0
//
// AgentLogBook: the last lines that each agent logged. In memory, bounded per agent; not durable.
// Thread rule: any thread.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "caxton/api/api_server.h"
#include "caxton/base/mutex.h"
#include "caxton/model/step.h"

namespace caxton::server {

class AgentLogBook final : public api::AgentLogs {
 public:
  void Add(const std::string& agent, const std::string& revision, int64_t at_ns,
           const std::vector<LogLine>& lines);
  std::vector<api::LogEntry> Read(const std::string& agent, uint64_t after,
                                  size_t most) const override;

 private:
  struct Book {
    uint64_t next = 1;
    size_t bytes = 0;
    std::deque<api::LogEntry> lines;
  };
  mutable Mutex mutex_;
  std::map<std::string, Book> books_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace caxton::server
