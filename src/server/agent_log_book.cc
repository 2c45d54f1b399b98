// SPDX-License-Identifier: Apache-2.0
#include "agent_log_book.h"

#include <algorithm>

#include "caxton/server/limits.h"

namespace caxton::server {

void AgentLogBook::Add(const std::string& agent, const std::string& revision, int64_t at_ns,
                       const std::vector<LogLine>& lines) {
  MutexLock lock(&mutex_);
  Book& book = books_[agent];
  for (const LogLine& line : lines) {
    book.bytes += line.text.size();
    book.lines.push_back({book.next++, at_ns, revision, line.level, line.text});
  }
  while (book.lines.size() > kLogLinesPerAgent || book.bytes > kLogBytesPerAgent) {
    book.bytes -= book.lines.front().text.size();
    book.lines.pop_front();
  }
}

std::vector<api::LogEntry> AgentLogBook::Read(const std::string& agent, uint64_t after,
                                              size_t most) const {
  MutexLock lock(&mutex_);
  auto it = books_.find(agent);
  if (it == books_.end()) return {};
  const std::deque<api::LogEntry>& lines = it->second.lines;
  auto from =
      std::upper_bound(lines.begin(), lines.end(), after,
                       [](uint64_t n, const api::LogEntry& line) { return n < line.number; });
  const auto count = std::min<size_t>(most, static_cast<size_t>(lines.end() - from));
  return {from, from + static_cast<long>(count)};
}

}  // namespace caxton::server
