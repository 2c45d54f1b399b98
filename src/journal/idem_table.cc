// SPDX-License-Identifier: Apache-2.0
#include "idem_table.h"

#include <algorithm>

#include "caxton/base/clock.h"
#include "caxton/base/status.h"
#include "caxton/base/wire.h"
#include "caxton/journal/limits.h"
#include "meta_rows.h"

namespace caxton::journal {
namespace {

constexpr int64_t kNanosPerHour = 3600 * kNanosPerSecond;

std::string BucketKey(uint32_t bucket) {
  std::string key;
  ByteWriter(&key).U32BigEndian(bucket);
  return key;
}

CommitVerdict Repeat(const IdemClaim& claim, Seq seq, std::string_view digest,
                     const IdemRecord* answer) {
  CommitVerdict verdict;
  verdict.seq = seq;
  if (claim.digest != digest) {
    verdict.kind = CommitVerdict::Kind::kRepeatMismatch;
  } else if (answer == nullptr) {
    verdict.kind = CommitVerdict::Kind::kRepeatPending;
  } else {
    verdict.kind = CommitVerdict::Kind::kRepeatDone;
    verdict.record = *answer;
  }
  return verdict;
}

absl::Status FullError(uint64_t max_bytes) {
  return WithReason(
      WithFix(absl::ResourceExhaustedError(StrCat("idempotency records fill their ", max_bytes,
                                                  " bytes; they are kept for 24 hours and never "
                                                  "dropped early, so no new key is taken")),
              "send without an idempotency key, or wait: what is older than 24 hours makes room "
              "every hour"),
      "IDEMPOTENCY_FULL");
}

}  // namespace

std::string IdemTable::LiveKey(AgentId agent, std::string_view key) {
  std::string out;
  out.reserve(4 + key.size());
  ByteWriter w(&out);
  w.U32BigEndian(agent.value());
  w.Tail(key);
  return out;
}

absl::Status IdemTable::Load() {
  absl::Status bad;
  RETURN_IF_ERROR(store_->Scan(Table::kMeta, kIdemSizePrefix, PrefixEnd(kIdemSizePrefix),
                               [&](std::string_view key, std::string_view value) {
                                 absl::StatusOr<uint32_t> bucket = ParseIdemSizeKey(key);
                                 absl::StatusOr<uint64_t> bytes = DecodeU64(value);
                                 if (!bucket.ok()) bad = bucket.status();
                                 if (!bytes.ok()) bad = bytes.status();
                                 if (!bad.ok()) return false;
                                 buckets_[*bucket].bytes = *bytes;
                                 total_bytes_ += *bytes;
                                 bucket_ = std::max(bucket_, *bucket);
                                 return true;
                               }));
  return bad;
}

void IdemTable::BeginRound(int64_t wall_ns, RowBatch* rows) {
  ++round_;
  const uint32_t hour = wall_ns <= 0 ? 0 : static_cast<uint32_t>(wall_ns / kNanosPerHour);
  if (hour <= bucket_) return;  // the same hour, or a clock set back
  bucket_ = hour;
  while (!buckets_.empty() && buckets_.begin()->first + kIdemHoursKept < bucket_) {
    const uint32_t old = buckets_.begin()->first;
    rows->DeleteRange(Table::kIdem, BucketKey(old), BucketKey(old + 1));
    rows->Delete(Table::kMeta, IdemSizeKey(old));
    total_bytes_ -= buckets_.begin()->second.bytes;
    buckets_.erase(buckets_.begin());
  }
}

absl::StatusOr<std::optional<IdemTable::Stored>> IdemTable::Find(AgentId agent,
                                                                 std::string_view key) const {
  std::string row_key = IdemKey(0, agent, key);
  for (auto it = buckets_.rbegin(); it != buckets_.rend(); ++it) {
    row_key.replace(0, 4, BucketKey(it->first));
    ASSIGN_OR_RETURN(const std::optional<std::string> row, store_->Get(Table::kIdem, row_key));
    if (!row.has_value()) continue;
    absl::StatusOr<IdemRecord> record = DecodeIdem(*row);
    if (!record.ok()) return Annotate(record.status(), StrCat("agent ", agent.value()));
    return Stored{it->first, row_key.size() + row->size(), *std::move(record)};
  }
  return std::nullopt;
}

absl::StatusOr<bool> IdemTable::MessageExists(AgentId agent, Seq seq) const {
  const std::string key = MessageKey(agent, seq);
  for (Table table : {Table::kInbox, Table::kHeld}) {
    ASSIGN_OR_RETURN(const std::optional<std::string> row, store_->Get(table, key));
    if (row.has_value()) return true;
  }
  return false;
}

absl::StatusOr<IdemTable::Answer> IdemTable::Check(const IdemClaim& claim) {
  Answer answer;
  const std::string live_key = LiveKey(claim.agent, claim.key);
  auto live = live_.find(live_key);
  if (live != live_.end()) {
    const Live& entry = live->second;
    if (entry.answer != nullptr) {
      answer.verdict = Repeat(claim, entry.seq, entry.digest, entry.answer.get());
      answer.durable = false;
      return answer;
    }
    // A claim of this very round is not in the store yet.
    bool waits = entry.round == round_;
    if (!waits) {
      ASSIGN_OR_RETURN(waits, MessageExists(claim.agent, entry.seq));
    }
    if (waits) {
      answer.verdict = Repeat(claim, entry.seq, entry.digest, nullptr);
      return answer;
    }
  } else {
    ASSIGN_OR_RETURN(std::optional<Stored> stored, Find(claim.agent, claim.key));
    if (stored.has_value()) {
      const IdemRecord& record = stored->record;
      bool counts = record.done;
      if (!counts) {
        ASSIGN_OR_RETURN(counts, MessageExists(claim.agent, record.seq));
      }
      if (counts) {
        answer.verdict = Repeat(claim, record.seq, record.digest, record.done ? &record : nullptr);
        return answer;
      }
    }
  }
  if (total_bytes_ + 8 + claim.key.size() + claim.digest.size() > max_bytes_) {
    answer.verdict.kind = CommitVerdict::Kind::kRefused;
    answer.verdict.status = FullError(max_bytes_);
  }
  return answer;
}

void IdemTable::Grow(uint32_t bucket, size_t more, size_t less) {
  Bucket& b = buckets_[bucket];
  // A row of a claim that no longer counted may be overwritten without having been asked for.
  less = std::min<uint64_t>(less, b.bytes);
  b.bytes = b.bytes + more - less;
  b.touched = true;
  total_bytes_ = total_bytes_ + more - less;
}

void IdemTable::Claim(const IdemClaim& claim, RowBatch* rows) {
  IdemRecord record;
  record.seq = claim.seq;
  record.digest = claim.digest;
  std::string value;
  Encode(record, &value);
  std::string key = IdemKey(bucket_, claim.agent, claim.key);
  Live entry;
  entry.bucket = bucket_;
  entry.row_bytes = key.size() + value.size();
  entry.round = round_;
  entry.seq = claim.seq;
  entry.digest = claim.digest;
  Live& slot = live_[LiveKey(claim.agent, claim.key)];
  Grow(bucket_, entry.row_bytes, slot.bucket == bucket_ ? slot.row_bytes : 0);
  slot = std::move(entry);
  rows->Put(Table::kIdem, std::move(key), std::move(value));
}

absl::Status IdemTable::Settle(IdemSettle settle, RowBatch* rows) {
  std::string live_key = LiveKey(settle.agent, settle.key);
  auto live = live_.find(live_key);
  if (live == live_.end()) {
    // Claimed in an earlier start, or answered before (a dead letter that was retried).
    ASSIGN_OR_RETURN(std::optional<Stored> stored, Find(settle.agent, settle.key));
    Live entry;
    entry.bucket = bucket_;
    entry.seq = settle.record.seq;
    if (stored.has_value()) {
      entry.bucket = stored->bucket;
      entry.row_bytes = stored->row_bytes;
      entry.seq = stored->record.seq;
      entry.digest = std::move(stored->record.digest);
    }
    live = live_.emplace(live_key, std::move(entry)).first;
  }
  Live& entry = live->second;
  IdemRecord& record = settle.record;
  record.done = true;
  if (record.digest.empty()) record.digest = entry.digest;
  if (!record.seq.valid()) record.seq = entry.seq;
  // The claim's bucket may be gone, with its row, where the message waited longer than rows are
  // kept.
  if (entry.bucket + kIdemHoursKept < bucket_) {
    entry.bucket = bucket_;
    entry.row_bytes = 0;
  }
  std::string value;
  Encode(record, &value);
  std::string key = IdemKey(entry.bucket, settle.agent, settle.key);
  const size_t row_bytes = key.size() + value.size();
  Grow(entry.bucket, row_bytes, entry.row_bytes);
  entry.row_bytes = row_bytes;
  entry.seq = record.seq;
  entry.digest = record.digest;
  entry.answer = std::make_unique<IdemRecord>(std::move(record));
  settled_.push_back(std::move(live_key));
  rows->Put(Table::kIdem, std::move(key), std::move(value));
  return absl::OkStatus();
}

void IdemTable::EndRound(RowBatch* rows) {
  for (auto& [bucket, state] : buckets_) {
    if (!state.touched) continue;
    state.touched = false;
    rows->Put(Table::kMeta, IdemSizeKey(bucket), EncodeU64(state.bytes));
  }
}

void IdemTable::Durable() {
  for (const std::string& key : settled_) {
    auto it = live_.find(key);
    if (it != live_.end() && it->second.answer != nullptr) live_.erase(it);
  }
  settled_.clear();
}

}  // namespace caxton::journal
