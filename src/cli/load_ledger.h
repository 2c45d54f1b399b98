// SPDX-License-Identifier: Apache-2.0
//
// The ledger of `caxton load`: an append-only text file that holds what the client knows of each
// message, so that a later run can go on with it, or check what a crash left. Format:
// docs/internals/load-ledger.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace caxton::cli {

struct LedgerHeader {
  std::string run;  // 8 hex digits
  std::string agent;
  bool request = true;
  int keys = 0;
  friend bool operator==(const LedgerHeader&, const LedgerHeader&) = default;
};

enum class LedgerStatus : uint8_t { kUnused = 0, kSent, kRefused, kAcked, kAnswered, kFailed };

// All that is known of a load's messages. A value.
class Ledger final {
 public:
  LedgerHeader header;

  void Set(uint64_t number, LedgerStatus status);
  LedgerStatus Get(uint64_t number) const;
  uint64_t last_number() const { return entries_.empty() ? 0 : entries_.size() - 1; }
  // Sent or refused, with no final answer: their numbers, in order.
  std::vector<uint64_t> Unfinished() const;
  uint64_t doubled() const { return doubled_; }  // final answers after the first

 private:
  std::vector<LedgerStatus> entries_;  // by number; [0] is never used
  uint64_t doubled_ = 0;
};

// A torn last line, as a killed client leaves it, is passed over; any other fault is an error with
// its line.
absl::StatusOr<Ledger> ParseLedger(std::string_view text);

std::string FormatHeader(const LedgerHeader& header);
// One line; `kind` is S R A Y X E (see the format), `detail` may be empty.
std::string FormatEntry(char kind, uint64_t number, int64_t time_us, std::string_view detail);

// Appends lines to the file. Thread rule: one thread at a time. Lines are in the file after
// Flush().
class LedgerWriter final {
 public:
  // Opens `path` for appending, creating it with `header` if it is new or empty.
  static absl::StatusOr<LedgerWriter> Open(const std::string& path, const LedgerHeader& header);
  LedgerWriter(LedgerWriter&& other) noexcept;
  LedgerWriter& operator=(LedgerWriter&&) = delete;
  ~LedgerWriter();

  void Append(std::string_view line) { buffer_.append(line); }
  absl::Status Flush();

 private:
  explicit LedgerWriter(int fd) : fd_(fd) {}
  int fd_;
  std::string buffer_;
};

}  // namespace caxton::cli
