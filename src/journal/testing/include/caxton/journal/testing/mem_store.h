// SPDX-License-Identifier: Apache-2.0
//
// MemStore: a Store in memory for tests and simulation, with the faults of a real disk on demand.
// It keeps two images: what was written, and what was synced. kill -9 of the process keeps the
// first (make a new Journal on the same MemStore); PowerCut() falls back to the second.
//
// Thread rule: as Store; the switches from any thread.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "caxton/journal/store.h"

namespace caxton::journal::testing {

class MemStore final : public Store {
 public:
  absl::Status Write(const RowBatch& batch, Sync sync) override;
  absl::StatusOr<std::optional<std::string>> Get(Table table, std::string_view key) const override;
  absl::Status Scan(Table table, std::string_view from, std::string_view to,
                    const Each& each) const override;
  absl::StatusOr<uint64_t> FreeBytes() const override;
  bool Stalled() const override;

  // Drops the writes that were not synced, except the first `survivors` of them: a log may have got
  // that far.
  void PowerCut(size_t survivors = 0);

  // From the write after the next `after` ones on, every write fails with `error` and changes
  // nothing.
  void FailWrites(absl::Status error, size_t after = 0);
  // Likewise, but the rows are written and the sync fails: nobody knows what the disk has.
  void FailSyncs(absl::Status error);
  void FailReads(absl::Status error);
  void Heal();

  // A store that lies: Sync::kYes does nothing. Tests use it to prove that they would notice.
  void IgnoreSync(bool ignore);

  void SetFreeBytes(uint64_t bytes);
  void SetStalled(bool stalled);

  size_t rows(Table table) const;
  uint64_t writes() const;
  uint64_t syncs() const;
  uint64_t reads() const;  // Get calls
  uint64_t free_bytes_calls() const;

 private:
  using Rows = std::map<std::string, std::string, std::less<>>;
  using Image = std::array<Rows, kTableCount>;
  static void Apply(const RowBatch& batch, Image* image);

  mutable std::recursive_mutex mutex_;
  // All guarded by mutex_.
  Image written_;
  Image synced_;
  std::vector<RowBatch> unsynced_;  // in order: synced_ plus these is written_
  absl::Status write_error_;
  size_t writes_before_error_ = 0;
  absl::Status sync_error_;
  absl::Status read_error_;
  bool ignore_sync_ = false;
  bool stalled_ = false;
  uint64_t free_bytes_ = uint64_t{1} << 40;
  uint64_t writes_ = 0;
  uint64_t syncs_ = 0;
  mutable uint64_t reads_ = 0;
  mutable uint64_t free_bytes_calls_ = 0;
};

}  // namespace caxton::journal::testing
