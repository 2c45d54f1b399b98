// SPDX-License-Identifier: Apache-2.0
#include "caxton/telemetry/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <mutex>
#include <thread>

#include "caxton/base/strings.h"
#include "caxton/telemetry/limits.h"

namespace caxton::telemetry {
namespace {

// Length of the UTF-8 sequence at the start of `text`, 0 if it is malformed (overlong forms and
// surrogates included).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const uint8_t second = byte(1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
      (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
    return 0;
  }
  return length;
}

void AppendBounded(std::string_view text, size_t limit, std::string* out) {
  if (text.size() <= limit) return AppendJsonString(text, out);
  AppendJsonString(StrCat(text.substr(0, limit), "..."), out);
}

void AppendValue(const LogField& field, std::string* out) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    AppendBounded(*text, kMaxLogFieldBytes, out);
  } else if (const auto* number = std::get_if<int64_t>(&field.value)) {
    StrAppend(out, *number);
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    // JSON has no NaN and no infinity.
    if (std::isfinite(*real)) {
      StrAppend(out, *real);
    } else {
      out->append("null");
    }
  } else {
    out->append(std::get<bool>(field.value) ? "true" : "false");
  }
}

}  // namespace

std::string_view LogLevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "info";
}

std::optional<LogLevel> ParseLogLevel(std::string_view name) {
  for (auto level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (name == LogLevelName(level)) return level;
  }
  return std::nullopt;
}

void AppendJsonString(std::string_view text, std::string* out) {
  out->push_back('"');
  while (!text.empty()) {
    const char c = text.front();
    const size_t length = Utf8Length(text);
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out->append(escaped);
    } else if (length == 0) {
      out->append("\xef\xbf\xbd");
    } else {
      out->append(text.substr(0, length));
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  out->push_back('"');
}

std::string FormatTimestamp(int64_t wall_ns) {
  int64_t seconds = wall_ns / kNanosPerSecond;
  int64_t rest = wall_ns % kNanosPerSecond;
  if (rest < 0) {
    --seconds;
    rest += kNanosPerSecond;
  }
  const time_t t = seconds;
  tm parts{};
  gmtime_r(&t, &parts);
  char text[64];
  const size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text + n, sizeof text - n, ".%06dZ", static_cast<int>(rest / kNanosPerMicro));
  return text;
}

std::string FormatLogLine(int64_t wall_ns, LogLevel level, std::string_view message,
                          std::span<const LogField> fields) {
  std::string line = StrCat("{\"timestamp\":\"", FormatTimestamp(wall_ns), "\",\"level\":\"",
                            LogLevelName(level), "\",\"message\":");
  AppendBounded(message, kMaxLogMessageBytes, &line);
  for (const LogField& field : fields.subspan(0, std::min(fields.size(), kMaxLogFields))) {
    line.push_back(',');
    AppendJsonString(field.name, &line);
    line.push_back(':');
    AppendValue(field, &line);
  }
  line.append("}\n");
  return line;
}

// Where lines go. Never blocks for more than the poll: pipes and terminals are opened anew without
// blocking (the flag on the shared description would surprise whoever else writes there), sockets
// are told per call.
class LineSink {
 public:
  explicit LineSink(int fd) : fd_(fd) {
    struct stat st {};
    if (fstat(fd, &st) != 0) return;
    socket_ = S_ISSOCK(st.st_mode);
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
      own_ =
          open(StrCat("/proc/self/fd/", fd).c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    }
  }
  ~LineSink() {
    if (own_ >= 0) close(own_);
  }

  // Writes a prefix of `bytes`; 0: no room within `wait_ms`. -1: nobody will ever read.
  ssize_t Write(std::string_view bytes, int wait_ms) {
    const int fd = own_ >= 0 ? own_ : fd_;
    const ssize_t n = socket_ ? send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                              : write(fd, bytes.data(), bytes.size());
    if (n >= 0) return n;
    if (errno == EINTR) return 0;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return -1;
    pollfd waiting{fd, POLLOUT, 0};
    (void)poll(&waiting, 1, wait_ms);
    return 0;
  }

 private:
  int fd_;
  int own_ = -1;
  bool socket_ = false;
};

struct JsonLogger::State {
  LogLevel level;
  const Clock* clock;
  LineSink sink;

  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::string> lines;  // guarded by mutex, as the rest
  size_t bytes = 0;
  uint64_t dropped = 0;
  uint64_t unreported = 0;  // dropped since a line last said so
  bool stopping = false;
  std::thread thread;

  void Run();
  // Writes one line whole, or gives it up once stopping took too long or nobody reads.
  bool WriteLine(std::string_view line, int64_t* drain_left_ms);
};

bool JsonLogger::State::WriteLine(std::string_view line, int64_t* drain_left_ms) {
  constexpr int kPollMs = 50;
  while (!line.empty()) {
    const ssize_t n = sink.Write(line, kPollMs);
    if (n < 0) return false;
    line.remove_prefix(static_cast<size_t>(n));
    if (n > 0) continue;
    std::lock_guard lock(mutex);
    if (stopping && (*drain_left_ms -= kPollMs) <= 0) return false;
  }
  return true;
}

void JsonLogger::State::Run() {
  int64_t drain_left_ms = kLogDrainMs;
  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [this] { return stopping || !lines.empty(); });
    if (lines.empty()) return;
    const std::string line = std::move(lines.front());
    lines.pop_front();
    bytes -= line.size();
    lock.unlock();
    const bool written = WriteLine(line, &drain_left_ms);
    lock.lock();
    if (!written) {
      ++dropped;
      ++unreported;
    }
    if (stopping && drain_left_ms <= 0) return;
  }
}

JsonLogger::JsonLogger(const JsonLoggerOptions& options, const Clock& clock)
    : state_(new State{.level = options.level, .clock = &clock, .sink = LineSink(options.fd)}) {
  state_->thread = std::thread([s = state_.get()] {
    pthread_setname_np(pthread_self(), "cx-log");
    s->Run();
  });
}

JsonLogger::~JsonLogger() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  state_->thread.join();
}

bool JsonLogger::Enabled(LogLevel level) const { return level >= state_->level; }

void JsonLogger::Log(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  if (!Enabled(level)) return;
  std::string line = FormatLogLine(state_->clock->WallNanos(), level, message, fields);
  std::lock_guard lock(state_->mutex);
  if (state_->stopping || state_->bytes + line.size() > kMaxQueuedLogBytes) {
    ++state_->dropped;
    ++state_->unreported;
    return;
  }
  if (state_->unreported > 0) {
    line.resize(line.size() - 2);  // "}\n"
    StrAppend(&line, ",\"dropped_lines\":", state_->unreported, "}\n");
    state_->unreported = 0;
  }
  state_->bytes += line.size();
  state_->lines.push_back(std::move(line));
  state_->wake.notify_one();
}

uint64_t JsonLogger::dropped() const {
  std::lock_guard lock(state_->mutex);
  return state_->dropped;
}

}  // namespace caxton::telemetry
