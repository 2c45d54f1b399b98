// SPDX-License-Identifier: Apache-2.0
#include "caxton/controller/command_book.h"

#include <algorithm>

#include "caxton/base/assert.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"
#include "caxton/controller/limits.h"

namespace caxton::controller {

using journal::RowBatch;
using journal::Table;

namespace {

absl::Status KeyTooLong(size_t bytes) {
  absl::Status wrong =
      absl::InvalidArgumentError(StrCat("idempotency_key: it has ", bytes, " bytes, at most ",
                                        kMaxIdempotencyKeyBytes, " are taken"));
  return WithFix(
      WithField(WithReason(std::move(wrong), "IDEMPOTENCY_KEY_TOO_LONG"), "idempotency_key"),
      "draw a short random key, a UUID for example");
}

absl::Status TooManyRun() {
  return WithFix(
      WithReason(absl::ResourceExhaustedError(StrCat(
                     kMaxCommandsRunning, " commands with idempotency keys are being carried out")),
                 "TOO_MANY_COMMANDS"),
      "wait for the answers to some of them, or leave the key out");
}

absl::Status TooManyWait() {
  return WithReason(
      absl::ResourceExhaustedError("too many repeats wait for the answer to one request"),
      "TOO_MANY_REPEATS");
}

std::string Lines(const RequestDigests& request) {
  std::string lines;
  for (const auto& [field, digest] : request) StrAppend(&lines, field, " ", digest, "\n");
  return lines;
}

std::vector<std::string> SplitLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// The fields in which two requests differ: those of the lines that only one of them has.
std::string Differing(std::string_view first, std::string_view second) {
  std::vector<std::string> a = SplitLines(first);
  std::vector<std::string> b = SplitLines(second);
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  std::vector<std::string> only;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only));
  std::string fields;
  std::string last;
  for (const std::string& line : only) {
    std::string field = line.substr(0, line.find(' '));
    if (field == last) continue;
    StrAppend(&fields, fields.empty() ? "" : ", ", field);
    last = std::move(field);
  }
  return fields;
}

absl::Status KeyReused(std::string_view first, std::string_view second) {
  return WithFix(
      WithReason(
          absl::FailedPreconditionError(StrCat(
              "the idempotency key was used before, by another request: this one differs in ",
              Differing(first, second))),
          "IDEMPOTENCY_KEY_REUSED"),
      "draw a new key for a new request");
}

}  // namespace

void PutClaim(const CommandClaim& claim, RowBatch* rows) {
  if (claim.number == 0) return;
  std::string bytes;
  journal::Encode(claim.record, &bytes);
  rows->Put(Table::kCommands, journal::CommandKey(claim.number), std::move(bytes));
}

size_t CommandBook::BytesOf(const Entry& entry) {
  return entry.record.key.size() + entry.record.request.size() + entry.record.answer.size();
}

absl::Status CommandBook::Recover() {
  std::vector<std::pair<uint64_t, journal::CommandRecord>> found;
  RETURN_IF_ERROR(journal_->RecoverCommands([&](uint64_t number, journal::CommandRecord record) {
    found.emplace_back(number, std::move(record));
  }));
  RowBatch rows;
  const int64_t wall_ns = clock_->WallNanos();
  const int64_t mono_ns = clock_->MonoNanos();
  {
    MutexLock lock(&mutex_);
    for (auto& [number, record] : found) {
      next_ = number + 1;
      // The wall clock may have been set: no younger than now, no older than is kept.
      const int64_t age_ns = std::clamp<int64_t>(wall_ns - record.claimed_ns, 0, kCommandsKeptNs);
      // An older row of the key was left behind: that command had failed, this one came after it.
      if (auto older = numbers_.find(record.key); older != numbers_.end()) {
        Erase(older->second, &rows);
      }
      numbers_[record.key] = number;
      Entry& entry = entries_[number];
      entry.record = std::move(record);
      ++running_;
      Keep(number, &entry, entry.record.done ? State::kDone : State::kClaimed, mono_ns - age_ns);
    }
    Forget(&rows);
  }
  Submit(std::move(rows));
  return absl::OkStatus();
}

std::optional<CommandClaim> CommandBook::Begin(std::string_view call, std::string_view key,
                                               const RequestDigests& request, Told told) {
  if (key.size() > kMaxIdempotencyKeyBytes) {
    told(KeyTooLong(key.size()));
    return std::nullopt;
  }
  RowBatch rows;
  std::optional<CommandClaim> claim;
  absl::StatusOr<std::string> answer;
  {
    MutexLock lock(&mutex_);
    Forget(&rows);
    claim = BeginLocked(StrCat(call, " ", key), Lines(request), &told, &answer);
  }
  Submit(std::move(rows));
  // Moved from: it waits.
  if (!claim.has_value() && told) told(answer);
  return claim;
}

std::optional<CommandClaim> CommandBook::BeginLocked(std::string name, std::string request,
                                                     Told* told,
                                                     absl::StatusOr<std::string>* answer) {
  const auto known = numbers_.find(name);
  if (known == numbers_.end()) {
    if (running_ >= kMaxCommandsRunning) {
      *answer = TooManyRun();
      return std::nullopt;
    }
    const uint64_t number = next_++;
    Entry& entry = entries_[number];
    entry.record.key = name;
    entry.record.request = std::move(request);
    entry.record.claimed_ns = clock_->WallNanos();
    numbers_.emplace(std::move(name), number);
    ++running_;
    return CommandClaim{number, entry.record, false};
  }
  Entry& entry = entries_[known->second];
  if (entry.record.request != request) {
    *answer = KeyReused(entry.record.request, request);
    return std::nullopt;
  }
  switch (entry.state) {
    case State::kDone:
      *answer = entry.record.answer;
      return std::nullopt;
    case State::kClaimed:
      entry.state = State::kRunning;
      ++running_;
      bytes_ -= BytesOf(entry);
      return CommandClaim{known->second, entry.record, true};
    case State::kRunning:
      break;
  }
  if (entry.waiting.size() >= kMaxRepeatsWaiting) {
    *answer = TooManyWait();
  } else {
    entry.waiting.push_back(std::exchange(*told, nullptr));
  }
  return std::nullopt;
}

void CommandBook::Settle(uint64_t number, absl::StatusOr<std::string> answer, Told told) {
  journal::CommitOp op;
  std::vector<Told> waiting;
  {
    MutexLock lock(&mutex_);
    auto it = entries_.find(number);
    CAXTON_ASSERT(it != entries_.end() && it->second.state == State::kRunning,
                  "a command is settled once");
    if (answer.ok()) {
      it->second.record.done = true;
      it->second.record.answer = *std::move(answer);
      PutClaim({number, it->second.record, false}, &op.rows);
      op.durable = [this, number, told = std::move(told)] { OnDurable(number, told); };
    } else {
      waiting.swap(it->second.waiting);
      Erase(number, &op.rows);
    }
  }
  const bool failed = !op.durable;
  journal_->committer().Submit(std::move(op));
  if (!failed) return;
  told(answer);
  for (const Told& other : waiting) other(answer);
}

void CommandBook::OnDurable(uint64_t number, const Told& told) {
  RowBatch rows;
  std::vector<Told> waiting;
  absl::StatusOr<std::string> answer;
  {
    MutexLock lock(&mutex_);
    Entry& entry = entries_[number];
    waiting.swap(entry.waiting);
    answer = entry.record.answer;
    Keep(number, &entry, State::kDone, clock_->MonoNanos());
    Forget(&rows);
  }
  Submit(std::move(rows));
  told(answer);
  for (const Told& other : waiting) other(answer);
}

void CommandBook::Submit(RowBatch rows) {
  if (rows.empty()) return;
  journal::CommitOp op;
  op.rows = std::move(rows);
  journal_->committer().Submit(std::move(op));
}

// It was running.
void CommandBook::Keep(uint64_t number, Entry* entry, State state, int64_t since_ns) {
  --running_;
  entry->state = state;
  entry->since_ns = since_ns;
  bytes_ += BytesOf(*entry);
  kept_.emplace_back(since_ns, number);
}

void CommandBook::Erase(uint64_t number, RowBatch* rows) {
  auto it = entries_.find(number);
  if (it->second.state == State::kRunning) {
    --running_;
  } else {
    bytes_ -= BytesOf(it->second);
  }
  numbers_.erase(it->second.record.key);
  entries_.erase(it);
  rows->Delete(Table::kCommands, journal::CommandKey(number));
}

// What is too old, or the oldest where there is too much.
void CommandBook::Forget(RowBatch* rows) {
  const int64_t now_ns = clock_->MonoNanos();
  while (!kept_.empty()) {
    const auto [since_ns, number] = kept_.front();
    auto it = entries_.find(number);
    const bool is_kept = it != entries_.end() && it->second.state != State::kRunning &&
                         it->second.since_ns == since_ns;
    if (is_kept) {
      if (entries_.size() - running_ <= kMaxCommandsKept && bytes_ <= kMaxCommandsKeptBytes &&
          now_ns - since_ns < kCommandsKeptNs) {
        return;
      }
      Erase(number, rows);
    }
    kept_.pop_front();
  }
}

}  // namespace caxton::controller
