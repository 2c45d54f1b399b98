// SPDX-License-Identifier: Apache-2.0
#include "caxton/journal/testing/mem_store.h"

#include <algorithm>

namespace caxton::journal::testing {

void MemStore::Apply(const RowBatch& batch, Image* image) {
  for (const RowBatch::Row& row : batch.rows()) {
    Rows& rows = (*image)[static_cast<size_t>(row.table)];
    switch (row.kind) {
      case RowBatch::Kind::kPut:
        rows.insert_or_assign(row.key, row.value);
        break;
      case RowBatch::Kind::kDelete:
        rows.erase(row.key);
        break;
      case RowBatch::Kind::kDeleteRange:
        if (row.key < row.value) {
          rows.erase(rows.lower_bound(row.key), rows.lower_bound(row.value));
        }
        break;
    }
  }
}

absl::Status MemStore::Write(const RowBatch& batch, Sync sync) {
  std::lock_guard lock(mutex_);
  if (!write_error_.ok()) {
    if (writes_before_error_ == 0) return write_error_;
    --writes_before_error_;
  }
  ++writes_;
  Apply(batch, &written_);
  if (!batch.empty()) unsynced_.push_back(batch);
  if (sync == Sync::kNo) return absl::OkStatus();
  if (!sync_error_.ok()) return sync_error_;
  ++syncs_;
  if (ignore_sync_) return absl::OkStatus();
  for (const RowBatch& earlier : unsynced_) Apply(earlier, &synced_);
  unsynced_.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> MemStore::Get(Table table, std::string_view key) const {
  std::lock_guard lock(mutex_);
  ++reads_;
  if (!read_error_.ok()) return read_error_;
  const Rows& rows = written_[static_cast<size_t>(table)];
  auto it = rows.find(key);
  if (it == rows.end()) return std::optional<std::string>();
  return std::optional<std::string>(it->second);
}

absl::Status MemStore::Scan(Table table, std::string_view from, std::string_view to,
                            const Each& each) const {
  // Held throughout: a scan sees whole writes. `each` may read the store, not write it.
  std::lock_guard lock(mutex_);
  if (!read_error_.ok()) return read_error_;
  if (from >= to) return absl::OkStatus();
  const Rows& rows = written_[static_cast<size_t>(table)];
  for (auto it = rows.lower_bound(from); it != rows.end() && it->first < to; ++it) {
    if (!each(it->first, it->second)) break;
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> MemStore::FreeBytes() const {
  std::lock_guard lock(mutex_);
  ++free_bytes_calls_;
  return free_bytes_;
}

bool MemStore::Stalled() const {
  std::lock_guard lock(mutex_);
  return stalled_;
}

void MemStore::PowerCut(size_t survivors) {
  std::lock_guard lock(mutex_);
  const size_t kept = std::min(survivors, unsynced_.size());
  for (size_t i = 0; i < kept; ++i) Apply(unsynced_[i], &synced_);
  unsynced_.clear();
  written_ = synced_;
}

void MemStore::FailWrites(absl::Status error, size_t after) {
  std::lock_guard lock(mutex_);
  write_error_ = std::move(error);
  writes_before_error_ = after;
}

void MemStore::FailSyncs(absl::Status error) {
  std::lock_guard lock(mutex_);
  sync_error_ = std::move(error);
}

void MemStore::FailReads(absl::Status error) {
  std::lock_guard lock(mutex_);
  read_error_ = std::move(error);
}

void MemStore::Heal() {
  std::lock_guard lock(mutex_);
  write_error_ = sync_error_ = read_error_ = absl::OkStatus();
  writes_before_error_ = 0;
  ignore_sync_ = false;
}

void MemStore::IgnoreSync(bool ignore) {
  std::lock_guard lock(mutex_);
  ignore_sync_ = ignore;
}

void MemStore::SetFreeBytes(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  free_bytes_ = bytes;
}

void MemStore::SetStalled(bool stalled) {
  std::lock_guard lock(mutex_);
  stalled_ = stalled;
}

size_t MemStore::rows(Table table) const {
  std::lock_guard lock(mutex_);
  return written_[static_cast<size_t>(table)].size();
}

uint64_t MemStore::writes() const {
  std::lock_guard lock(mutex_);
  return writes_;
}

uint64_t MemStore::syncs() const {
  std::lock_guard lock(mutex_);
  return syncs_;
}

uint64_t MemStore::reads() const {
  std::lock_guard lock(mutex_);
  return reads_;
}

uint64_t MemStore::free_bytes_calls() const {
  std::lock_guard lock(mutex_);
  return free_bytes_calls_;
}

}  // namespace caxton::journal::testing
