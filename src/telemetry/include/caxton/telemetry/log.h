// SPDX-License-Identifier: Apache-2.0
//
// Logger: structured log lines. The base class itself is the no-op default; JsonLogger writes one
// JSON object a line
// ({"timestamp":..., "level":..., "message":..., fields...}) to a descriptor, normally stderr.
//
// Lifecycle: a JsonLogger owns one writing thread; its destructor writes what waits, for at most
// kLogDrainMs. Thread rule: any thread. Log never blocks: lines wait in a bounded queue, and where
// nobody reads the other end they are dropped and counted; the next line that gets through says how
// many ("dropped_lines"). How to use: log->Info("worker started", {{"agent", name}, {"pid", pid}});
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "caxton/base/clock.h"

namespace caxton::telemetry {

enum class LogLevel : uint8_t { kDebug = 0, kInfo = 1, kWarn = 2, kError = 3 };
std::string_view LogLevelName(LogLevel level);  // "debug", "info", "warn", "error"
std::optional<LogLevel> ParseLogLevel(std::string_view name);

// One field. Views must live until Log returns. Names are interfaces.md's where they exist:
// deployment_id, agent, version, stage, percentage, error_rate, p99_latency_ms, trace_id, span_id.
struct LogField {
  std::string_view name;
  std::variant<std::string_view, int64_t, double, bool> value;

  LogField(std::string_view n, std::string_view text) : name(n), value(text) {}
  LogField(std::string_view n, const std::string& text) : name(n), value(std::string_view(text)) {}
  LogField(std::string_view n, const char* text) : name(n), value(std::string_view(text)) {}
  LogField(std::string_view n, bool flag) : name(n), value(flag) {}
  LogField(std::string_view n, std::integral auto number)
      : name(n), value(static_cast<int64_t>(number)) {}
  LogField(std::string_view n, double number) : name(n), value(number) {}
};

class Logger {
 public:
  virtual ~Logger() = default;
  virtual bool Enabled(LogLevel) const { return false; }
  virtual void Log(LogLevel, std::string_view /*message*/, std::span<const LogField>) {}

  using Fields = std::initializer_list<LogField>;
  void Debug(std::string_view message, Fields f = {}) { At(LogLevel::kDebug, message, f); }
  void Info(std::string_view message, Fields f = {}) { At(LogLevel::kInfo, message, f); }
  void Warn(std::string_view message, Fields f = {}) { At(LogLevel::kWarn, message, f); }
  void Error(std::string_view message, Fields f = {}) { At(LogLevel::kError, message, f); }

 private:
  void At(LogLevel level, std::string_view message, Fields fields) {
    if (Enabled(level)) Log(level, message, {fields.begin(), fields.size()});
  }
};

struct JsonLoggerOptions {
  LogLevel level = LogLevel::kInfo;
  int fd = 2;  // not owned; outlives the logger
};

class JsonLogger final : public Logger {
 public:
  // `clock` (for timestamps) outlives this.
  JsonLogger(const JsonLoggerOptions& options, const Clock& clock);
  ~JsonLogger() override;

  bool Enabled(LogLevel level) const override;
  void Log(LogLevel level, std::string_view message, std::span<const LogField> fields) override;
  // Lines that nobody took, since the start.
  uint64_t dropped() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The line that JsonLogger writes, newline included; for tests and for tools that read logs.
std::string FormatLogLine(int64_t wall_ns, LogLevel level, std::string_view message,
                          std::span<const LogField> fields);
// Appends `text` as a JSON string with quotes; control characters are escaped, bytes that are not
// UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string* out);
// "2026-11-25T03:06:41.123456Z"
std::string FormatTimestamp(int64_t wall_ns);

}  // namespace caxton::telemetry
