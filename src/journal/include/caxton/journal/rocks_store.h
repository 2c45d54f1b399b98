// SPDX-License-Identifier: Apache-2.0
//
// RocksStore: the Store on RocksDB 7.8, the only place that names it (target caxton_journal_rocks).
// Usable alone: no Journal needed.
//
// Lifecycle: Open takes the directory's lock, makes sure that nothing that was once synced is
// missing, and recovers; the destructor syncs and closes. Thread rule: as Store.
//
// The directory also holds `last-synced`, the sequence number of the last synced write, written
// after each sync and never synced itself: it may lag behind the log, never lead. RocksDB drops
// everything behind a damaged record silently; a log that ends before `last-synced` is how that is
// noticed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "caxton/journal/store.h"

namespace caxton::journal {

struct RocksStoreOptions {
  // Open a store whose log ends before what was synced: what is missing is lost (--accept-loss).
  bool accept_loss = false;
  size_t block_cache_bytes = size_t{16} << 20;
  // Of the tables of messages, each of at most two in memory at once; the other tables' are a
  // fraction of it.
  size_t memtable_bytes = size_t{16} << 20;
};

class RocksStore final : public Store {
 public:
  // `directory` is the store's own; its last component is made if it is missing. Errors:
  // FAILED_PRECONDITION, reason DATA_DIR_IN_USE: another process has it open;
  // FAILED_PRECONDITION, reason JOURNAL_TOO_NEW: it has tables this Caxton does not know;
  // DATA_LOSS, reason JOURNAL_TAIL_LOST: synced writes are missing; accept_loss opens it without
  // them; DATA_LOSS, reason JOURNAL_DAMAGED: RocksDB found a damaged file.
  static absl::StatusOr<std::unique_ptr<RocksStore>> Open(const std::string& directory,
                                                          const RocksStoreOptions& options);
  ~RocksStore() override;

  absl::Status Write(const RowBatch& batch, Sync sync) override;
  absl::StatusOr<std::optional<std::string>> Get(Table table, std::string_view key) const override;
  absl::Status Scan(Table table, std::string_view from, std::string_view to,
                    const Each& each) const override;
  absl::StatusOr<uint64_t> FreeBytes() const override;
  bool Stalled() const override;

  // How many writes Open gave up under accept_loss; 0 without loss.
  uint64_t lost_writes() const;
  // Of RocksDB itself (memtables, table readers, block cache), for status and tests.
  uint64_t memory_bytes() const;

 private:
  struct Impl;
  explicit RocksStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  friend struct RocksStoreAccess;
};

}  // namespace caxton::journal
