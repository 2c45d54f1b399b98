// SPDX-License-Identifier: Apache-2.0
#include "load_ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_split.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/cli/limits.h"

namespace caxton::cli {
namespace {

constexpr std::string_view kMagic = "caxton-load-ledger 1";

bool IsFinal(LedgerStatus status) {
  return status == LedgerStatus::kAcked || status == LedgerStatus::kAnswered ||
         status == LedgerStatus::kFailed;
}

bool StatusOf(char kind, LedgerStatus* status) {
  switch (kind) {
    case 'S':
    case 'R':
      *status = LedgerStatus::kSent;
      return true;
    case 'X':
      *status = LedgerStatus::kRefused;
      return true;
    case 'A':
      *status = LedgerStatus::kAcked;
      return true;
    case 'Y':
      *status = LedgerStatus::kAnswered;
      return true;
    case 'E':
      *status = LedgerStatus::kFailed;
      return true;
    default:
      return false;
  }
}

absl::Status NotALedger(size_t line, std::string_view why) {
  return WithFix(absl::InvalidArgumentError(StrCat("line ", line, " of the ledger: ", why)),
                 "name the file of an earlier `caxton load --ledger`, or a new one");
}

absl::StatusOr<LedgerHeader> ParseHeader(std::string_view line) {
  if (!StartsWith(line, kMagic)) return NotALedger(1, "this is not a load ledger");
  LedgerHeader header;
  bool keys = false;
  for (absl::string_view item :
       absl::StrSplit(AbslView(line.substr(kMagic.size())), ' ', absl::SkipEmpty())) {
    const std::string_view word = StdView(item);
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) return NotALedger(1, "a word without '='");
    const std::string_view name = word.substr(0, equals), value = word.substr(equals + 1);
    if (name == "run") header.run = std::string(value);
    if (name == "agent") header.agent = std::string(value);
    if (name == "mode") header.request = value == "request";
    if (name == "keys") keys = ParseInt(value, &header.keys) && header.keys >= 0;
  }
  if (header.run.empty() || header.agent.empty() || !keys) {
    return NotALedger(1, "run, agent or keys is missing");
  }
  return header;
}

}  // namespace

void Ledger::Set(uint64_t number, LedgerStatus status) {
  if (number >= entries_.size()) entries_.resize(number + 1, LedgerStatus::kUnused);
  LedgerStatus& entry = entries_[number];
  if (IsFinal(entry)) {
    if (IsFinal(status)) ++doubled_;
    return;  // the first final answer stands
  }
  entry = status;
}

LedgerStatus Ledger::Get(uint64_t number) const {
  return number < entries_.size() ? entries_[number] : LedgerStatus::kUnused;
}

std::vector<uint64_t> Ledger::Unfinished() const {
  std::vector<uint64_t> numbers;
  for (uint64_t number = 1; number < entries_.size(); ++number) {
    if (entries_[number] != LedgerStatus::kUnused && !IsFinal(entries_[number])) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

absl::StatusOr<Ledger> ParseLedger(std::string_view text) {
  Ledger ledger;
  size_t line_number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // torn: its writer was killed
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (++line_number == 1) {
      ASSIGN_OR_RETURN(ledger.header, ParseHeader(line));
      continue;
    }
    if (StripWhitespace(line).empty()) continue;
    LedgerStatus status = LedgerStatus::kUnused;
    const std::vector<absl::string_view> words =
        absl::StrSplit(AbslView(line), absl::MaxSplits(' ', 3));
    uint64_t number = 0;
    if (words.size() < 3 || words[0].size() != 1 || !StatusOf(words[0][0], &status) ||
        !ParseInt(StdView(words[1]), &number) || number == 0 ||
        number > static_cast<uint64_t>(kMaxLoadCount)) {
      return NotALedger(line_number, StrCat("'", line.substr(0, 60), "' is no entry"));
    }
    ledger.Set(number, status);
  }
  if (line_number == 0) return NotALedger(1, "it is empty");
  return ledger;
}

std::string FormatHeader(const LedgerHeader& header) {
  return StrCat(kMagic, " run=", header.run, " agent=", header.agent,
                " mode=", header.request ? "request" : "send", " keys=", header.keys, "\n");
}

std::string FormatEntry(char kind, uint64_t number, int64_t time_us, std::string_view detail) {
  return StrCat(std::string_view(&kind, 1), " ", number, " ", time_us, detail.empty() ? "" : " ",
                detail, "\n");
}

absl::StatusOr<LedgerWriter> LedgerWriter::Open(const std::string& path,
                                                const LedgerHeader& header) {
  const int fd = open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, StrCat("Cannot open the ledger ", path));
  LedgerWriter writer(fd);
  struct stat info = {};
  if (fstat(fd, &info) != 0) return ErrnoStatus(errno, path);
  if (info.st_size == 0) {
    writer.Append(FormatHeader(header));
  } else {
    char last = '\n';
    if (pread(fd, &last, 1, info.st_size - 1) == 1 && last != '\n') {
      // Takes the torn line away: it would join our first one.
      std::string tail(static_cast<size_t>(std::min<off_t>(info.st_size, 4096)), '\0');
      const ssize_t got =
          pread(fd, tail.data(), tail.size(), info.st_size - static_cast<off_t>(tail.size()));
      const size_t newline = got > 0 ? tail.rfind('\n', static_cast<size_t>(got)) : tail.npos;
      if (newline == tail.npos ||
          ftruncate(fd, info.st_size - static_cast<off_t>(tail.size() - newline - 1)) != 0) {
        return absl::DataLossError(StrCat("Cannot mend the torn last line of ", path));
      }
    }
  }
  RETURN_IF_ERROR(writer.Flush());
  return writer;
}

LedgerWriter::LedgerWriter(LedgerWriter&& other) noexcept
    : fd_(other.fd_), buffer_(std::move(other.buffer_)) {
  other.fd_ = -1;
}

LedgerWriter::~LedgerWriter() {
  if (fd_ >= 0) close(fd_);
}

absl::Status LedgerWriter::Flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t count = write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "Cannot write the ledger");
    done += static_cast<size_t>(count);
  }
  buffer_.clear();
  return absl::OkStatus();
}

}  // namespace caxton::cli
