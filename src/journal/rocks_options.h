// SPDX-License-Identifier: Apache-2.0
//
// How RocksDB is set up, and its errors as sentences. Private to caxton_journal_rocks.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "caxton/journal/rocks_store.h"
#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/listener.h"
#include "rocksdb/options.h"

namespace caxton::journal {

// The column family of `table`.
const char* FamilyName(Table table);

// Follows RocksDB's write stalls. Called on its threads.
class StallListener final : public rocksdb::EventListener {
 public:
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override;
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::set<std::string> families_;  // guarded by mutex_: those whose writes are stopped
  std::atomic<bool> stopped_{false};
};

rocksdb::DBOptions MakeDbOptions(const RocksStoreOptions& options, rocksdb::Env* env);
std::vector<rocksdb::ColumnFamilyDescriptor> MakeFamilies(
    const RocksStoreOptions& options, const std::shared_ptr<rocksdb::Cache>& cache);

// `status` in our words: what happened to the store in `directory`, why, and what to do.
absl::Status FromRocks(const rocksdb::Status& status, const std::string& directory);
absl::Status InUseError(const std::string& directory);
absl::Status TailLostError(const std::string& directory, uint64_t missing);

}  // namespace caxton::journal
